"""How well a linear classifier does on features."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.device import get_device
from scipy.optimize import minimize
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from mmdiff.utils import row_slices

C = 1e-2
# scikit-learn's LogisticRegression(max_iter=200).
LBFGS = dict(maxiter=200, maxls=50, gtol=1e-4, ftol=64 * np.finfo(float).eps)
# Features of up to so many bytes are kept; others are read again at each step.
MAX_KEPT = 2**30


def linear_probe_accuracy(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    test_features: np.ndarray,
    test_labels: np.ndarray,
) -> float:
    """Accuracy of a logistic regression on standardised features.

    It is that of scikit-learn with ``C=0.01`` and at most 200 steps of L-BFGS,
    but reads features in parts, and works on a GPU where there is one. Its
    memory does not depend on the number of images.

    Args:
        train_features (ndarray): Shape (num_train, dims); or what has a shape
            and gives an array for a slice of its rows, such as
            :class:`~mmdiff.classification.cached_maps.PooledMaps`.
        train_labels (ndarray): Classes, shape (num_train, ).
        test_features (ndarray): Likewise, shape (num_test, dims).
        test_labels (ndarray): Classes, shape (num_test, ).

    Returns:
        float: Accuracy on the test features, in per cent.
    """
    scaler = StandardScaler()
    for rows in row_slices(train_features.shape):
        scaler.partial_fit(train_features[rows])
    classes, targets = np.unique(train_labels, return_inverse=True)
    parts = _kept_if_small(train_features, scaler)
    weights = _fit(parts, torch.from_numpy(targets).to(get_device()), len(classes))
    correct = 0
    for rows, features in _standardised(test_features, scaler):
        predicted = _logits(features, weights).argmax(1).cpu().numpy()
        correct += (classes[predicted] == test_labels[rows]).sum()
    return float(100 * correct / len(test_labels))


def _standardised(features, scaler: StandardScaler) -> Iterator[tuple[slice, Tensor]]:
    for rows in row_slices(features.shape):
        part = torch.from_numpy(features[rows]).to(get_device())
        mean, scale = (_like(part, torch.from_numpy(v)) for v in (scaler.mean_, scaler.scale_))
        yield rows, (part - mean).div_(scale)


def _kept_if_small(features, scaler) -> Callable[[], Iterator[tuple[slice, Tensor]]]:
    """What goes through the standardised features from the start, as often as it is called."""
    if 4 * np.prod(features.shape) > MAX_KEPT:
        return lambda: _standardised(features, scaler)
    kept = list(_standardised(features, scaler))
    return lambda: iter(kept)


def _like(features: Tensor, values: Tensor) -> Tensor:
    # In two steps, as some devices know no float64.
    return values.to(features.dtype).to(features.device)


def _logits(features: Tensor, weights: Tensor) -> Tensor:
    weights = _like(features, weights)
    return F.linear(features, weights[:, :-1], weights[:, -1])


def _fit(parts, targets: Tensor, num_classes: int) -> Tensor:
    """Weights of shape (num_classes, dims + 1), the biases in the last column."""
    _, first = next(parts())
    shape = num_classes, first.shape[1] + 1
    # scikit-learn has one vector for two classes, where here are two of opposite sign: half of it.
    penalty = (2 if num_classes == 2 else 1) / (2 * C)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.from_numpy(flat).reshape(shape).requires_grad_()
        loss = penalty * weights[:, :-1].square().sum()
        loss.backward()
        total = loss.item()
        for rows, features in parts():
            loss = F.cross_entropy(_logits(features, weights), targets[rows], reduction='sum')
            loss.backward()
            total += loss.item()
        gradient = weights.grad.numpy().reshape(-1)
        return total / len(targets), gradient / len(targets)

    start = np.zeros(shape).reshape(-1)
    found = minimize(objective, start, jac=True, method='L-BFGS-B', options=LBFGS)
    return torch.from_numpy(found.x).reshape(shape)
