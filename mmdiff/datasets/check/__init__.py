from .coco import check_annotations, loads_instances
from .report import Faults, Report, SplitCheck
from .run import check_config, check_datasets, check_names
from .splits import check_same_classes, class_lists

__all__ = [
    'Faults',
    'Report',
    'SplitCheck',
    'check_annotations',
    'check_config',
    'check_datasets',
    'check_names',
    'check_same_classes',
    'class_lists',
    'loads_instances',
]
