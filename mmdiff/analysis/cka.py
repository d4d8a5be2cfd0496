"""Linear centered kernel alignment: how alike two representations of the same images are."""

from collections.abc import Sequence

import numpy as np


class MinibatchCKA:
    """Linear CKA between each of some representations and each of some others (paper, figure 5).

    Estimated batch by batch, so that memory does not grow with the number of
    images: the unbiased estimates of HSIC (Song et al., *Feature Selection via
    Dependence Maximization*, eq. 5) of all batches are averaged before the
    quotient is taken (Nguyen et al., *Do Wide and Deep Networks Learn the Same
    Things?*, eq. 3).

    Args:
        num_rows (int): Number of representations.
        num_columns (int): Number of representations that they are compared
            with.
    """

    def __init__(self, num_rows: int, num_columns: int):
        self._cross = np.zeros((num_rows, num_columns))
        self._rows = np.zeros(num_rows)
        self._columns = np.zeros(num_columns)

    def add(self, rows: Sequence[np.ndarray], columns: Sequence[np.ndarray]) -> None:
        """Take a batch of images into account.

        Args:
            rows (Sequence[ndarray]): For each representation, the images'
                features, shape (N, dims), N at least 4.
            columns (Sequence[ndarray]): The same of those that they are
                compared with, of the same images.

        Raises:
            ValueError: If there are fewer than 4 images.
        """
        kernels = [[_kernel(features) for features in side] for side in (rows, columns)]
        for i, a in enumerate(kernels[0]):
            self._rows[i] += _hsic(a, a)
            for j, b in enumerate(kernels[1]):
                self._cross[i, j] += _hsic(a, b)
        for j, b in enumerate(kernels[1]):
            self._columns[j] += _hsic(b, b)

    def value(self) -> np.ndarray:
        """The estimate from all batches.

        Returns:
            ndarray: Shape (num_rows, num_columns), 1 where they are equal up
            to rotation and scale.
        """
        return self._cross / np.sqrt(self._rows[:, None] * self._columns[None])


def _kernel(features):
    if len(features) < 4:
        raise ValueError(f'a batch needs at least 4 images, got {len(features)}')
    features = features.astype(np.float64)
    # HSIC is the same; the numbers stay small.
    features = features - features.mean(axis=0)
    kernel = features @ features.T
    np.fill_diagonal(kernel, 0)
    return kernel


def _hsic(a, b):
    """Unbiased estimate of HSIC from two kernels whose diagonals are zero."""
    n = len(a)
    mean_of_sums = a.sum() * b.sum() / ((n - 1) * (n - 2))
    product_of_rows = 2 / (n - 2) * (a.sum(axis=0) @ b.sum(axis=0))
    return ((a * b).sum() + mean_of_sums - product_of_rows) / (n * (n - 3))
