"""Registries of mmdiff, children of MMEngine's.

With ``type='mmdiff.NAME'`` any OpenMMLab config finds the backbones, necks,
hooks and metrics; it needs no ``custom_imports``. What builds on one of the optional
packages is in a module of its own, which a config imports:
``custom_imports = dict(imports=['mmdiff.detection'])``.
"""

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import Registry

MODELS = Registry('model', parent=MMENGINE_MODELS, scope='mmdiff', locations=['mmdiff.models'])
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmdiff', locations=['mmdiff.engine'])
DATASETS = Registry('dataset', parent=MMENGINE_DATASETS, scope='mmdiff')
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope='mmdiff', locations=['mmdiff.evaluation']
)
