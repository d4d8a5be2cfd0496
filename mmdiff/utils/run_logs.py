"""What a run's checkpoint holds besides weights: what MMEngine logged."""

import pickle
from collections.abc import Callable

import numpy as np
from mmengine.logging import HistoryBuffer


def _statistic(owner: type, name: str) -> Callable:
    """In place of ``getattr``, by which a pickled HistoryBuffer names its methods."""
    if owner is HistoryBuffer and name in ('min', 'max', 'current', 'mean'):
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'GLOBAL {owner.__name__}.{name} was not an allowed global')


# For ``allowed`` of mmdiff.diffusion.load_safely.
LOGS = (
    HistoryBuffer,
    (_statistic, 'builtins.getattr'),
    np.ndarray,
    np.dtype,
    *(type(np.dtype(code)) for code in np.typecodes['All'] if code not in 'OSUVMm'),
    # The functions that build arrays and numbers again, by their names in NumPy 1 and 2.
    *(
        (function, f'{package}.multiarray.{function.__name__}')
        for function in (np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0])
        for package in ('numpy.core', 'numpy._core')
    ),
)
