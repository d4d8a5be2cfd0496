"""How well a linear layer does on features that it is trained on as the paper trains one."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.device import get_device
from torch import nn

from mmdiff.utils import row_slices

from .linear_probe import MAX_KEPT

# As configs/_base_/schedules/schedule_28e.py (paper, section 4), on 4 GPUs with 32 images each.
BATCH_SIZE = 128
STEP_EPOCHS = 7
GAMMA = 0.1


def trained_probe_accuracy(
    train_views: Sequence[np.ndarray],
    train_labels: np.ndarray,
    test_features: np.ndarray,
    test_labels: np.ndarray,
    epochs: int = 28,
    lr: float = 1e-3,
) -> float:
    """Accuracy of a linear layer that is trained on features as they are (paper, figures 3 and 4).

    The paper's linear probe: Adam, the rate times 0.1 every 7 epochs, no norm,
    128 images at a time. Without the cached features it is a run of
    ``configs/linear_gd_in1k.py``.

    Args:
        train_views (Sequence[ndarray]): For each view of the images, such as
            the image and its mirror image, features of shape (num_train,
            dims); or what has a shape and gives an array for an array of its
            rows' numbers, such as
            :class:`~mmdiff.classification.cached_maps.PooledMaps`. Each image
            is seen in one of them at each epoch, drawn anew.
        train_labels (ndarray): Classes, shape (num_train, ).
        test_features (ndarray): Likewise, shape (num_test, dims).
        test_labels (ndarray): Classes, shape (num_test, ).
        epochs (int): Passes over the images. Defaults to 28.
        lr (float): The rate that the first 7 of them have. Defaults to 1e-3.

    Returns:
        float: Accuracy on the test features, in per cent.
    """
    views = [_kept_if_small(view) for view in train_views]
    classes, targets = np.unique(train_labels, return_inverse=True)
    layer = _train(views, targets, len(classes), epochs, lr)
    correct = 0
    for rows in row_slices(test_features.shape):
        predicted = layer(_on_device(test_features[rows])).argmax(1).cpu().numpy()
        correct += (classes[predicted] == test_labels[rows]).sum()
    return float(100 * correct / len(test_labels))


def _kept_if_small(features):
    return features[:] if 4 * np.prod(features.shape) <= MAX_KEPT else features


def _on_device(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).to(get_device())


def _train(views, targets: np.ndarray, num_classes: int, epochs: int, lr: float) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = nn.Linear(views[0].shape[1], num_classes).to(get_device())
    optimizer = torch.optim.Adam(layer.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, STEP_EPOCHS, GAMMA)
    random = np.random.default_rng(0)
    for _ in range(epochs):
        order = random.permutation(len(targets))
        for start in range(0, len(order), BATCH_SIZE):
            images = np.sort(order[start : start + BATCH_SIZE])
            features = _drawn_views(views, images, random)
            loss = F.cross_entropy(layer(_on_device(features)), _on_device(targets[images]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return layer.requires_grad_(False)


def _drawn_views(views, images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Features of some images, each in a view that is drawn."""
    drawn = random.integers(len(views), size=len(images))
    features = np.empty((len(images), views[0].shape[1]), np.float32)
    for number, view in enumerate(views):
        features[drawn == number] = view[images[drawn == number]]
    return features
