"""What the labels of a label map stand for, and the image that they are of."""

import numpy as np
from PIL import Image


def class_numbers(
    labels: np.ndarray, reduce_zero_label: bool, label_map: dict[int, int] | None
) -> np.ndarray:
    """The classes that the labels of a file stand for, as MMSegmentation has it.

    Args:
        labels (ndarray): uint8.
        reduce_zero_label (bool): Whether label 0 stands for no class and 1 for
            the first.
        label_map (dict[int, int], optional): The new number of each class,
            where a data set is used with other classes than its own.

    Returns:
        ndarray: uint8, 255 where there is no class.
    """
    if not (reduce_zero_label or label_map):
        return labels
    table = np.arange(256, dtype=np.uint8)
    if reduce_zero_label:
        table[1:255] = np.arange(254)
        table[0] = 255
    for old, new in (label_map or {}).items():
        table[old + reduce_zero_label] = new
    # Not OpenCV's: a thread that has called it and ends may hold, at the fork of a data worker, a
    # lock that the worker then waits for.
    return np.take(table, labels)


def sizes_differ(
    labels: np.ndarray, path: str, image_shape: tuple[int, int], image_path: str
) -> ValueError:
    """What is wrong with a label map that has not the size of its image.

    Args:
        labels (ndarray): The label map.
        path (str): Its file.
        image_shape (tuple[int, int]): Height and width of the image, upright.
        image_path (str): Its file.

    Returns:
        ValueError: Names both, and says what to do.
    """
    (height, width), (image_height, image_width) = labels.shape, image_shape
    what = (
        f'{path} has {width}x{height} pixels, but its image {image_path} has '
        f'{image_width}x{image_height}'
    )
    try:
        with Image.open(image_path) as image:
            turned = image.size == (width, height)
    except OSError:  # It is not on this machine.
        turned = False
    if turned:
        return ValueError(
            f'{what} when it is turned as its EXIF note says, and the former as it is stored: turn '
            'the label map, or remove the note from the image'
        )
    return ValueError(f'{what}: save both with one size')
