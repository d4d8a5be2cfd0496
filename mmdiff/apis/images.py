"""Images from wherever they are: files, folders, Pillow, NumPy, PyTorch."""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmdiff.datasets import eight_bits, list_images, read_rgb, to_rgb

AnyImage = str | PathLike | Image.Image | np.ndarray | Tensor


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

    As every image in mmdiff, see :func:`mmdiff.datasets.to_rgb`.

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
        return read_rgb(Path(image).expanduser())
    if isinstance(image, Image.Image):
        return to_rgb(image, name)
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
        return _of_array(image, name)
    raise TypeError(
        f'{name} must be a path, a Pillow image, an array or a tensor, got {type(image).__name__}'
    )


def _of_array(array: np.ndarray, name: str) -> Image.Image:
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] == 3)) or not array.size:
        raise ValueError(f'{name}: an array must have shape (H, W, 3) or (H, W), got {array.shape}')
    if np.issubdtype(array.dtype, np.floating):
        array = eight_bits(array, name)
    elif array.dtype != np.uint8:
        raise ValueError(f'{name}: values must be uint8 or floating-point, got {array.dtype}')
    return Image.fromarray(np.ascontiguousarray(array)).convert('RGB')


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
