"""COCO-format data, with errors for annotations that would train to nothing."""

import json

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO

from mmdiff.registry import DATASETS


@DATASETS.register_module()
class CocoInstances(CocoDataset):
    """MMDetection's ``CocoDataset``, which also refuses annotations it cannot use.

    The arguments are those of ``CocoDataset``, which takes an annotation file
    without images, or with other class names, in silence, and takes the order
    of the classes from the file.

    Raises:
        ValueError: If the annotation file is not in COCO's format, has no
            images, lacks one of the classes of ``metainfo`` or has them in
            another order, lacks masks that the pipeline loads, or if
            ``filter_cfg`` leaves no image.
    """

    def filter_data(self) -> list[dict]:
        """Filter images by ``filter_cfg``.

        Returns:
            list[dict]: What is known of each image that is left.

        Raises:
            ValueError: If none is left.
        """
        kept = super().filter_data()
        if not kept:
            raise ValueError(
                f'filter_cfg={self.filter_cfg} leaves none of the {len(self.data_list)} images of '
                f'{self.ann_file}: none is large enough and has an instance of the classes '
                f'{self.metainfo["classes"]}'
            )
        return kept

    def COCOAPI(self, path: str) -> COCO:
        """Read an annotation file, and check what was read.

        Args:
            path (str): The file.

        Returns:
            COCO: The annotations.

        Raises:
            ValueError: If they cannot be used.
        """
        try:
            coco = COCO(path)
            names = [category['name'] for category in coco.cats.values()]
        except json.JSONDecodeError as error:
            raise ValueError(f'{self.ann_file} is not JSON: {error}') from error
        except KeyError as error:
            raise ValueError(
                f'{self.ann_file} is not in COCO format: an entry has no {error}'
            ) from error
        except AssertionError as error:
            raise ValueError(f'{self.ann_file} is not in COCO format: {error}') from error
        for key in ('images', 'annotations', 'categories'):
            if not isinstance(coco.dataset.get(key), list):
                raise ValueError(f'{self.ann_file} is not in COCO format: it has no list {key!r}')
        if not coco.imgs:
            raise ValueError(f'{self.ann_file} has no images')
        classes = list(self.metainfo['classes'])
        missing = [name for name in classes if name not in names]
        if missing:
            raise ValueError(
                f'{self.ann_file} lacks the classes {missing} of metainfo; it has {names}'
            )
        in_file = [name for name in names if name in classes]
        if in_file != classes:
            raise ValueError(
                f'the classes of metainfo must be in the order of {self.ann_file}, {in_file}, got '
                f'{classes}'
            )
        if any(getattr(transform, 'with_mask', False) for transform in self.pipeline.transforms):
            for annotation in coco.anns.values():
                if not annotation.get('segmentation'):
                    raise ValueError(
                        f'{self.ann_file} has no segmentation for annotation {annotation["id"]}, '
                        'but the pipeline loads masks (with_mask=True)'
                    )
        return coco
