from .cka import MinibatchCKA
from .gates import GateTable, read_gates
from .linear_probe import linear_probe_accuracy
from .trained_probe import trained_probe_accuracy

__all__ = [
    'GateTable',
    'MinibatchCKA',
    'linear_probe_accuracy',
    'read_gates',
    'trained_probe_accuracy',
]
