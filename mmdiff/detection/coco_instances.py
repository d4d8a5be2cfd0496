"""COCO-format data, with errors for annotations that would train to nothing."""

import json
import logging

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmengine.logging import print_log

from mmdiff.datasets.check import Faults, check_annotations, loads_instances
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
            another order, lacks masks that the pipeline loads, has ids twice
            or annotations of no image, has boxes or masks that MMDetection
            would leave out (in more than 1 % of its annotations; otherwise a
            warning), or if ``filter_cfg`` leaves no image.
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
        except json.JSONDecodeError as error:
            raise ValueError(f'{self.ann_file} is not JSON: {error}') from error
        except KeyError as error:
            raise ValueError(
                f'{self.ann_file} is not in COCO format: an entry has no {error}'
            ) from error
        except AssertionError as error:
            raise ValueError(f'{self.ann_file} is not in COCO format: {error}') from error
        with_mask = any(getattr(t, 'with_mask', False) for t in self.pipeline.transforms)
        if not loads_instances(self):
            coco.dataset.setdefault('annotations', [])
        faults = Faults()
        check_annotations(self.ann_file, coco.dataset, self.metainfo['classes'], with_mask, faults)
        for line in faults.warnings:
            print_log(line, 'current', logging.WARNING)
        if faults.errors:
            raise ValueError('\n'.join(faults.errors))
        return coco
