"""Weighted k-nearest-neighbour classification (paper, section 8.1 and table 9)."""

from collections.abc import Sequence

import numpy as np
from sklearn.neighbors import NearestNeighbors


def knn_scores(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    test_features: np.ndarray,
    ks: Sequence[int],
    num_classes: int,
    temperature: float = 0.07,
) -> dict[int, np.ndarray]:
    """Class scores by the votes of the nearest training images.

    A neighbour at cosine similarity s votes with exp(s / temperature). The
    paper does not say how its neighbours vote; this is the usual rule of
    instance discrimination and DINO.

    Args:
        train_features (ndarray): Shape (num_train, dims), not all zero.
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
    search = NearestNeighbors(n_neighbors=max(ks), metric='cosine', algorithm='brute')
    distances, neighbours = search.fit(train_features).kneighbors(test_features)
    # The largest similarity becomes 0, so that no vote overflows.
    votes = np.exp((distances[:, :1] - distances) / temperature)
    labels = train_labels[neighbours]
    scores = {}
    for k in ks:
        scores[k] = np.zeros((len(test_features), num_classes))
        for column in range(k):
            np.add.at(scores[k], (np.arange(len(labels)), labels[:, column]), votes[:, column])
    return scores
