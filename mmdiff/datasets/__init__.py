from .image_files import SUFFIXES, is_hidden, is_image_file, list_images
from .reader import (
    eight_bits,
    orientation,
    read_label_map,
    read_rgb,
    to_rgb,
    upright_size,
)

__all__ = [
    'SUFFIXES',
    'eight_bits',
    'is_hidden',
    'is_image_file',
    'list_images',
    'orientation',
    'read_label_map',
    'read_rgb',
    'to_rgb',
    'upright_size',
]
