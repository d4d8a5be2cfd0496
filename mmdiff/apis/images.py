"""Images from wherever they are: files, folders, Pillow, NumPy, PyTorch."""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
# What makes an image upright, by the EXIF standard's number.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
AnyImage = str | PathLike | Image.Image | np.ndarray | Tensor


def list_images(path: str | PathLike) -> list[Path]:
    """The image files of a folder, or a file as it is.

    Args:
        path (str | PathLike): A file, or a folder.

    Returns:
        list[Path]: The file, or what is directly in the folder and has the
        suffix of an image, sorted by name.

    Raises:
        FileNotFoundError: If there is no such file or folder, or no image in
            the folder.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f'images: {path} is no file and no folder')
    found = sorted(
        file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()
    )
    if not found:
        raise FileNotFoundError(f'images: {path} has no file that ends with {", ".join(SUFFIXES)}')
    return found


def single_images(images: AnyImage | Sequence[AnyImage]) -> Iterator[tuple[str, AnyImage]]:
    """Each image with a name for it: of folders and batches, one by one.

    Args:
        images: An image in any form, a folder, a batch of shape (N, 3, H, W),
            or a list of any of these.

    Yields:
        tuple: The path, or ``'image 0'`` and so on, and the image.
    """
    several = images if isinstance(images, list | tuple) else [images]
    number = 0
    for image in several:
        if isinstance(image, str | PathLike):
            parts = [(str(path), path) for path in list_images(image)]
        elif isinstance(image, Tensor) and image.dim() == 4:
            parts = [(f'image {number + i}', part) for i, part in enumerate(image)]
        else:
            parts = [(f'image {number}', image)]
        number += len(parts)
        yield from parts


def read_image(image: AnyImage, name: str = 'image') -> Image.Image:
    """Read an image as 8-bit RGB, upright.

    Transparency is left out, 16 bits of grey are rounded to 8, grey, palette
    and CMYK images become RGB, and a camera's note of its orientation is
    followed.

    Args:
        image (str | PathLike | Image | ndarray | Tensor): A file, a Pillow
            image, an array of shape (H, W, 3) or (H, W), or a tensor of shape
            (3, H, W) or (1, H, W). Arrays and tensors hold ``uint8``, or
            floating-point values in [0, 1].
        name (str): What messages call it. Defaults to ``'image'``.

    Returns:
        Image: In mode RGB.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If it is none of these.
        ValueError: If the file is empty, truncated or no image, or the shape,
            type or values are others. The message names it.
    """
    if isinstance(image, str | PathLike):
        return _read_file(Path(image).expanduser())
    if isinstance(image, Image.Image):
        return _decoded(image, name)
    if isinstance(image, Tensor):
        if image.dim() != 3 or image.shape[0] not in (1, 3):
            raise ValueError(
                f'{name}: a tensor must have shape (3, H, W) or (1, H, W), got {tuple(image.shape)}'
            )
        image = image.detach().cpu()
        # NumPy has no bfloat16.
        image = (image.float() if image.is_floating_point() else image).movedim(0, -1).numpy()
        image = image[..., 0] if image.shape[-1] == 1 else image
    if isinstance(image, np.ndarray):
        return Image.fromarray(_eight_bits(image, name)).convert('RGB')
    raise TypeError(
        f'{name} must be a path, a Pillow image, an array or a tensor, got {type(image).__name__}'
    )


def _read_file(path: Path) -> Image.Image:
    try:
        image = Image.open(path)
    except FileNotFoundError:
        raise FileNotFoundError(f'image {path} does not exist') from None
    except Exception as error:
        raise _unreadable(str(path), error) from error
    with image:
        return _decoded(image, str(path))


def _decoded(image: Image.Image, name: str) -> Image.Image:
    if image.mode in ('I', 'F'):
        raise ValueError(f'{name} has pixels of mode {image.mode!r}, whose range is not known')
    try:
        turned = image.transpose(_TURNS[turn]) if (turn := _orientation(image)) else image
        if turned.mode.startswith('I;16'):
            # Which Pillow would cut off at 255.
            turned = Image.fromarray((np.asarray(turned) / 257).round().astype(np.uint8))
        return turned.convert('RGB')
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> ValueError:
    # Pillow raises OSError, SyntaxError, ValueError, struct.error and others on broken bytes.
    return ValueError(f'{name} is not an image that can be read: {error}')


def _orientation(image: Image.Image) -> int | None:
    """How a camera says that it was held, where that is not upright and can be read."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # A broken note does not make a broken image.
        return None
    return orientation if orientation in _TURNS else None


def _eight_bits(array: np.ndarray, name: str) -> np.ndarray:
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] == 3)) or not array.size:
        raise ValueError(f'{name}: an array must have shape (H, W, 3) or (H, W), got {array.shape}')
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f'{name}: values must be uint8 or floating-point, got {array.dtype}')
    # Not so for NaN.
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f'{name}: floating-point values must be in [0, 1], got {array.min()} to {array.max()}'
        )
    return (array * 255).round().astype(np.uint8)


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB image as the U-Net takes it.

    Args:
        image (Image): In mode RGB.

    Returns:
        Tensor: Shape (3, H, W), values in [-1, 1].
    """
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 127.5 - 1


def centre_square(image: Image.Image, size: int) -> Image.Image:
    """The square in the middle of an image, as large as fits, at a given size.

    Args:
        image (Image): The image.
        size (int): Side of the result in pixels.

    Returns:
        Image: Of ``size`` x ``size`` pixels, bicubic.
    """
    # Cut before it is resized: a long strip would be huge in between.
    side = min(image.size)
    left, top = ((length - side) / 2 for length in image.size)
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box)
