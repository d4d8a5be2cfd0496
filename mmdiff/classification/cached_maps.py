"""Cached maps for what needs no training: neighbours, probes, comparisons."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .feature_store import FeatureStore, check_same

# What of the settings may differ between the splits of a cache.
OF_A_SPLIT = ('images', 'pipeline')
IMAGES_AT_ONCE = 256


def open_splits(cache: str | Path, splits: Sequence[str]) -> list[FeatureStore]:
    """Open splits of a cache that belong together.

    Args:
        cache (str | Path): What ``tools/cache_features.py`` wrote.
        splits (Sequence[str]): Names of splits.

    Returns:
        list[FeatureStore]: Their stores.

    Raises:
        FeatureStoreError: If one is missing or incomplete, or they were made
            with different settings.
    """
    stores = [FeatureStore(Path(cache) / split) for split in splits]
    for store in stores:
        store.check_complete()
    first, *others = (
        {'shapes': s.shapes, **{k: v for k, v in s.settings.items() if k not in OF_A_SPLIT}}
        for s in stores
    )
    for store, settings in zip(stores[1:], others, strict=True):
        check_same(store.folder, settings, first)
    return stores


def check_pool(store: FeatureStore, pool: int | None) -> int:
    """The side to which to pool the maps of a store.

    Args:
        store (FeatureStore): The store.
        pool (int, optional): The side asked for. None stands for the one that
            the cache was pooled to, or else 1.

    Returns:
        int: The side.

    Raises:
        ValueError: If it is more than a map's side, or does not divide the
            side that the cache was pooled to.
    """
    stored = store.settings['pool']
    pool = pool if pool is not None else stored or 1
    smallest = min(min(shape[1:]) for blocks in store.shapes for shape in blocks)
    if not 1 <= pool <= smallest:
        raise ValueError(f'pool must be from 1 to {smallest}, the smallest map, got {pool}')
    if stored and stored % pool:
        raise ValueError(f'pool must divide {stored}, to which the cache is pooled, got {pool}')
    return pool


def pooled_maps(store: FeatureStore, timestep: int, block: int, pool: int) -> np.ndarray:
    """Maps of all images, pooled and flattened.

    Args:
        store (FeatureStore): The store.
        timestep (int): Which timestep, by index.
        block (int): Which of its blocks, by index.
        pool (int): Side of the pooled maps.

    Returns:
        ndarray: Shape (num_images, C * pool * pool), float32.

    Raises:
        ValueError: As :func:`check_pool`.
    """
    check_pool(store, pool)
    rows = []
    for start in range(0, len(store), IMAGES_AT_ONCE):
        maps = store.read_maps(start, start + IMAGES_AT_ONCE, timestep, block)
        rows.append(F.adaptive_avg_pool2d(torch.from_numpy(maps).float(), pool).flatten(1))
    return torch.cat(rows).numpy()
