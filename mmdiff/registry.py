"""Registries of mmdiff, children of MMEngine's.

With ``type='mmdiff.NAME'`` any OpenMMLab config finds what is registered
here; it needs no ``custom_imports``.
"""

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import Registry

MODELS = Registry('model', parent=MMENGINE_MODELS, scope='mmdiff', locations=['mmdiff.models'])
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmdiff', locations=['mmdiff.engine'])
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='mmdiff', locations=['mmdiff.datasets']
)
