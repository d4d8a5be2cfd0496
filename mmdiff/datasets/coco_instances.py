"""COCO-format data, with errors for annotations that would train to nothing."""

import json

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO

from mmdiff.registry import DATASETS


@DATASETS.register_module()
class CocoInstances(CocoDataset):
    """MMDetection's ``CocoDataset``, which also refuses annotations it cannot use.

    The arguments are those of ``CocoDataset``, which takes an annotation file
    without images, or with other class names, in silence.

    Raises:
        ValueError: If the annotation file is not in COCO's format, has no
            images, lacks one of the classes of ``metainfo``, or if
            ``filter_cfg`` leaves no image.
    """

    def filter_data(self) -> list[dict]:
        """Filter images by ``filter_cfg``."""
        kept = super().filter_data()
        if not kept:
            raise ValueError(
                f'filter_cfg={self.filter_cfg} leaves none of the {len(self.data_list)} images of '
                f'{self.ann_file}: none is large enough and has an instance of the classes '
                f'{self.metainfo["classes"]}'
            )
        return kept

    def COCOAPI(self, path: str) -> COCO:
        """Read an annotation file, and check what was read."""
        try:
            coco = COCO(path)
        except json.JSONDecodeError as error:
            raise ValueError(f'{self.ann_file} is not JSON: {error}') from error
        except KeyError as error:
            raise ValueError(
                f'{self.ann_file} is not in COCO format: an entry has no {error}'
            ) from error
        for key in ('images', 'annotations', 'categories'):
            if not isinstance(coco.dataset.get(key), list):
                raise ValueError(f'{self.ann_file} is not in COCO format: it has no list {key!r}')
        if not coco.imgs:
            raise ValueError(f'{self.ann_file} has no images')
        names = [category['name'] for category in coco.cats.values()]
        missing = [name for name in self.metainfo['classes'] if name not in names]
        if missing:
            raise ValueError(
                f'{self.ann_file} lacks the classes {missing} of metainfo; it has {names}'
            )
        return coco
