from .image_files import SUFFIXES, is_hidden, is_image_file, list_images
from .lists import read_list
from .reader import (
    eight_bits,
    orientation,
    read_label_map,
    read_rgb,
    to_rgb,
)

__all__ = [
    'SUFFIXES',
    'eight_bits',
    'is_hidden',
    'is_image_file',
    'list_images',
    'orientation',
    'read_label_map',
    'read_list',
    'read_rgb',
    'to_rgb',
]
