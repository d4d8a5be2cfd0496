from .cka import MinibatchCKA
from .linear_probe import linear_probe_accuracy
from .trained_probe import trained_probe_accuracy

__all__ = ['MinibatchCKA', 'linear_probe_accuracy', 'trained_probe_accuracy']
