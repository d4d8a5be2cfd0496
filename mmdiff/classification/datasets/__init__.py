from .fine_grained import CUB, FGVCAircraft, Flowers102, NABirds, StanfordCars, StanfordDogs
from .image_lists import CustomDataset, ImageNet, ImageNet50

__all__ = [
    'CUB',
    'CustomDataset',
    'FGVCAircraft',
    'Flowers102',
    'ImageNet',
    'ImageNet50',
    'NABirds',
    'StanfordCars',
    'StanfordDogs',
]
