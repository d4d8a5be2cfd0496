"""Weighted k-nearest-neighbour classification (paper, section 8.1 and table 9)."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.device import get_device
from torch import Tensor

from mmdiff.utils import row_slices

from .cached_maps import PooledMaps


def knn_scores(
    train_features: np.ndarray | PooledMaps,
    train_labels: np.ndarray,
    test_features: np.ndarray,
    ks: Sequence[int],
    num_classes: int,
    temperature: float = 0.07,
) -> dict[int, np.ndarray]:
    """Class scores by the votes of the nearest training images.

    A neighbour at cosine similarity s votes with exp(s / temperature). The
    paper does not say how its neighbours vote; this is the usual rule of
    instance discrimination and DINO. The search compares with all training
    images, on a GPU where there is one.

    Args:
        train_features (ndarray | PooledMaps): Shape (num_train, dims), read in
            parts.
        train_labels (ndarray): Classes, shape (num_train, ).
        test_features (ndarray): Shape (num_test, dims).
        ks (Sequence[int]): Numbers of neighbours.
        num_classes (int): Number of classes.
        temperature (float): Of the votes. Defaults to 0.07.

    Returns:
        dict[int, ndarray]: For each k, scores of shape (num_test,
        num_classes).

    Raises:
        ValueError: If a k is not from 1 to num_train.
    """
    for k in ks:
        if not 1 <= k <= len(train_features):
            raise ValueError(f'k must be from 1 to {len(train_features)} training images, got {k}')
    similarities, neighbours = _nearest(train_features, test_features, max(ks))
    # The largest similarity becomes 0, so that no vote overflows.
    votes = ((similarities - similarities[:, :1]) / temperature).double().exp()
    labels = torch.from_numpy(train_labels).long()[neighbours]
    no_votes = torch.zeros(len(test_features), num_classes, dtype=torch.float64)
    return {k: no_votes.scatter_add(1, labels[:, :k], votes[:, :k]).numpy() for k in ks}


def _nearest(train_features, test_features, k) -> tuple[Tensor, Tensor]:
    """Cosine similarities to the k nearest rows, the nearest first, and which they are."""
    device = get_device()
    queries = F.normalize(torch.from_numpy(test_features).to(device))
    best = queries.new_empty(len(queries), 0)
    best_rows = torch.empty(len(queries), 0, dtype=torch.long, device=device)
    for rows in row_slices(train_features.shape):
        part = F.normalize(torch.from_numpy(train_features[rows]).to(device))
        similarities, found = (queries @ part.T).topk(min(k, len(part)))
        both = torch.cat([best, similarities], dim=1)
        best, order = both.topk(min(k, both.shape[1]))
        best_rows = torch.cat([best_rows, found + rows.start], dim=1).gather(1, order)
    return best.cpu(), best_rows.cpu()
