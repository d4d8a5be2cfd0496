"""Feature maps as colours."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def pca_rgb(maps: Sequence[Tensor]) -> list[np.ndarray]:
    """Show feature maps as the colours of their first three principal components.

    The components are those of all maps together, so that a colour means the
    same in all of them. Each is scaled from its 1st to its 99th percentile.

    Args:
        maps (Sequence[Tensor]): Maps of one block, each of shape (C, H_i,
            W_i) with C of at least 3.

    Returns:
        list[np.ndarray]: For each map an image of shape (H_i, W_i, 3), float
        in [0, 1].
    """
    pixels = torch.cat([m.detach().flatten(1).T.double().cpu() for m in maps])
    pixels -= pixels.mean(dim=0)
    _, vectors = torch.linalg.eigh(pixels.T @ pixels)
    axes = vectors[:, -3:].flip(1)
    # An eigenvector's sign is arbitrary; a fixed one makes pictures repeat.
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    scores = (pixels @ (axes * largest.sign())).numpy()
    low, high = np.percentile(scores, [1, 99], axis=0)
    colours = ((scores - low) / np.maximum(high - low, 1e-12)).clip(0, 1)
    ends = np.cumsum([m.shape[1] * m.shape[2] for m in maps])[:-1]
    return [
        part.reshape(*m.shape[1:], 3) for part, m in zip(np.split(colours, ends), maps, strict=True)
    ]
