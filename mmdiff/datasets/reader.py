"""The one reader of images and label maps, of whatever kind, which refuses what it would misread.

Everything in mmdiff that opens an image does it here, so that a file is the same image in
training, in a feature cache and in a picture.
"""

import io
from os import PathLike

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

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
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
# Pillow spreads the values of grey files with 2 or 4 bits over 0 to 255.
_STEPS = {'L;2': 85, 'L;4': 17}


def read_rgb(
    file: str | PathLike | bytes, name: str | None = None, size: tuple[int, int] | None = None
) -> Image.Image:
    """Read an image file as 8-bit RGB, upright, as :func:`to_rgb` does.

    Args:
        file (str | PathLike | bytes): The file, or what is in it.
        name (str, optional): What messages call it. Defaults to its path.
        size (tuple[int, int], optional): Width and height that annotations
            give. Where only the stored image has them, and not the upright
            one, the annotations are of the stored image, and so is what is
            returned. Defaults to None: upright.

    Returns:
        Image: In mode RGB.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, or has another size than that.
    """
    name = name or str(file)
    with _open(file, name) as image:
        upright = size is None or size == _upright_size(image) or size != image.size
        rgb = to_rgb(image, name, upright)
    if size is not None and rgb.size != size:
        raise ValueError(
            f'{name} has {rgb.width}x{rgb.height} pixels, but its annotations are for '
            f'{size[0]}x{size[1]}: annotate this version of the image, or scale the annotations'
        )
    return rgb


def to_rgb(image: Image.Image, name: str, upright: bool = True) -> Image.Image:
    """Make any image 8-bit RGB, upright.

    Transparency is left out; grey, palette and CMYK images become RGB; 16
    (or 12) bits of grey are scaled to 8; floating-point values are taken from
    [0, 1]; and a camera's note of its orientation (EXIF) is followed.

    Args:
        image (Image): In any mode.
        name (str): What messages call it.
        upright (bool): Follow the note of the orientation. Defaults to True.

    Returns:
        Image: In mode RGB.

    Raises:
        ValueError: If it is damaged, has several frames, or pixels whose
            range is not known. The message names it.
    """
    turned = _loaded(image, name, upright)
    if turned.mode.startswith('I;16') or (image.format == 'PPM' and turned.mode == 'I'):
        turned = Image.fromarray(_of_sixteen_bits(turned, getattr(image, 'tag_v2', {})))
    elif turned.mode == 'F':
        turned = Image.fromarray(eight_bits(np.asarray(turned), name))
    elif turned.mode == 'I':
        raise ValueError(
            f'{name} has 32-bit integers as pixels, whose range is not known: save it with 8 or 16 '
            'bits'
        )
    try:
        # Pillow would copy it.
        return turned if turned.mode == 'RGB' else turned.convert('RGB')
    except Exception as error:
        raise _unreadable(name, error) from error


def read_label_map(file: str | PathLike | bytes, name: str | None = None) -> np.ndarray:
    """Read a label map: one channel that holds the number of each pixel's class.

    A note of the orientation is followed, as in images. Of a palette image,
    the numbers are those of the palette's entries.

    Args:
        file (str | PathLike | bytes): The file, or what is in it.
        name (str, optional): What messages call it. Defaults to its path.

    Returns:
        ndarray: Shape (H, W), uint8.

    Raises:
        ValueError: If it cannot be read, has colours in place of numbers, was
            stored with loss, or has numbers that do not fit into 8 bits. The
            message names it.
    """
    name = name or str(file)
    with _open(file, name) as image:
        if image.format in ('JPEG', 'MPO'):
            raise ValueError(
                f'{name} is a JPEG file, which changes the numbers in a label map: save it as PNG'
            )
        step = _STEPS.get(image.tile[0][3], 1) if image.tile else 1
        turned = _loaded(image, name)
    if turned.mode not in ('1', 'L', 'P', 'I') and not turned.mode.startswith('I;16'):
        raise ValueError(
            f'{name} has pixels of mode {turned.mode}, but a label map has one channel with the '
            "number of each pixel's class, from 0, and 255 where there is none: "
            'replace each colour by the number of its class'
        )
    labels = np.array(turned)
    if labels.max(initial=0) > 255 or labels.min(initial=0) < 0:
        wrong = labels.max() if labels.max() > 255 else labels.min()
        raise ValueError(
            f'{name} has label {wrong}, but labels are 0 to 254, and 255 where there is none'
        )
    labels = labels.astype(np.uint8, copy=False)
    return labels // step if step > 1 else labels


def orientation(file: str | PathLike | bytes) -> int | None:
    """How a camera says that it was held (EXIF), where that is not upright and can be read.

    Args:
        file (str | PathLike | bytes): An image file, or what is in it.

    Returns:
        int | None: From 2 to 8, or None.

    Raises:
        ValueError: If it is no image.
    """
    with _open(file, str(file)) as image:
        return _orientation(image)


def eight_bits(array: np.ndarray, name: str) -> np.ndarray:
    """Floating-point values in [0, 1] as 0 to 255.

    Args:
        array (ndarray): The values.
        name (str): What messages call it.

    Returns:
        ndarray: uint8.

    Raises:
        ValueError: If a value is outside.
    """
    # Not so for NaN.
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f'{name}: floating-point values must be in [0, 1], got {array.min()} to {array.max()}'
        )
    return (array * 255).round().astype(np.uint8)


def _open(file: str | PathLike | bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file)
    except FileNotFoundError:
        raise FileNotFoundError(f'image {name} does not exist') from None
    except Exception as error:
        raise _unreadable(name, error) from error


def _loaded(image: Image.Image, name: str, upright: bool = True) -> Image.Image:
    # A photo with a second one in its file, such as of a phone, is the first (MPO).
    frames = 1 if image.format == 'MPO' else getattr(image, 'n_frames', 1)
    if frames > 1:
        raise ValueError(f'{name} has {frames} frames or pages: save each as a file of its own')
    try:
        image.load()
        turn = _orientation(image) if upright else None
        return image.transpose(_TURNS[turn]) if turn else image
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(name, error) from error


def _upright_size(image: Image.Image) -> tuple[int, int]:
    # Pillow turns TIFF files itself, and gives their size so from the beginning.
    sideways = (_orientation(image) or 1) >= 5 and image.format != 'TIFF'
    return image.size[::-1] if sideways else image.size


def _orientation(image: Image.Image) -> int | None:
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # A broken note does not make a broken image.
        return None
    return found if found in _TURNS else None


def _of_sixteen_bits(image: Image.Image, tags: dict) -> np.ndarray:
    """Grey values of a file with more than 8 bits, which Pillow would cut off at 255."""
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    values = (np.asarray(image) * (255 / (2**bits - 1))).round().astype(np.uint8)
    return 255 - values if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else values


def _unreadable(name: str, error: Exception) -> ValueError:
    # Pillow raises OSError, SyntaxError, ValueError, struct.error and others on broken bytes. Its
    # own message here names a buffer.
    known = isinstance(error, UnidentifiedImageError)
    return ValueError(
        f'{name} is not an image that can be read: '
        f'{"cannot identify image file" if known else error}'
    )
