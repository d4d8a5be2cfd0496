"""What a trained FeatureAggregator takes of each timestep and block."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mmdiff.diffusion import CheckpointError

LOGITS, MEANS = 'gate_logits', 'mean_gates'


class GateTable(NamedTuple):
    """The weights of an aggregator, as a table.

    Attributes:
        weights (ndarray): In percent, shape (len(rows), len(columns)).
        rows (list[str]): Blocks, such as ``'b=24'``; with their timesteps,
            where each has its own.
        columns (list[str]): Timesteps, such as ``'t=90'``; or ``['']``.
    """

    weights: np.ndarray
    rows: list[str]
    columns: list[str]


def read_gates(
    state_dict: Mapping[str, Tensor], taps: Sequence[Sequence[tuple]], source: str
) -> GateTable:
    """The weights of the :class:`mmdiff.models.FeatureAggregator` in a checkpoint.

    Args:
        state_dict (Mapping[str, Tensor]): The weights of the model.
        taps (Sequence[Sequence[tuple]]): Of its backbone, see
            :class:`mmdiff.models.DiffusionBackbone`.
        source (str): Where the weights came from, for the message.

    Returns:
        GateTable: The weights; of a gate that varies over the image, their
        running mean over training images.

    Raises:
        CheckpointError: If there is no aggregator, or it is not of ``taps``.
    """
    found = {name.rpartition('.')[2]: value for name, value in state_dict.items()}
    if LOGITS not in found:
        raise CheckpointError(f'{source} has no {LOGITS}: its model has no FeatureAggregator')
    gates = found.get(MEANS, found[LOGITS].flatten().softmax(0).view_as(found[LOGITS]))
    if gates.shape != (len(taps), len(taps[0])):
        raise CheckpointError(
            f'{source} weighs {gates.shape[0]} timesteps of {gates.shape[1]} blocks, but the '
            f"config's backbone gives {len(taps)} of {len(taps[0])}"
        )
    weights = 100 * gates.T.numpy()
    if len({t for t, _ in taps[0]}) > 1:
        return GateTable(weights, [f't={t} b={b}' for t, b in taps[0]], [''])
    rows = [f'b={b}' for _, b in taps[0]]
    return GateTable(weights, rows, [f't={of_timestep[0][0]}' for of_timestep in taps])
