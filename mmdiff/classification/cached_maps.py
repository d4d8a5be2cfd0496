"""Cached maps for what needs no training: neighbours, probes, comparisons."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .feature_store import FeatureStore, check_classes, check_same

# What of the settings may differ between the splits of a cache.
OF_A_SPLIT = ('images', 'pipeline', 'classes')
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
            with different settings or have different classes.
    """
    stores = [FeatureStore(Path(cache) / split) for split in splits]
    for store in stores:
        store.check_complete()
    check_classes(stores)
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
        ValueError: If :func:`pools_of` does not have it.
    """
    pool = pool if pool is not None else store.settings['pool'] or 1
    if pool not in pools_of(store):
        raise ValueError(
            f'pool must be one of {", ".join(map(str, pools_of(store)))} for this cache, got {pool}'
        )
    return pool


def pools_of(store: FeatureStore) -> list[int]:
    """The sides to which the maps of a store can be pooled.

    Args:
        store (FeatureStore): The store.

    Returns:
        list[int]: From 1 to the smallest map's side, or the divisors of the
        side that the cache was pooled to.
    """
    stored = store.settings['pool']
    smallest = min(min(shape[1:]) for blocks in store.shapes for shape in blocks)
    return [side for side in range(1, smallest + 1) if not stored or stored % side == 0]


def grid_of(store: FeatureStore) -> tuple[list[str], list[str]]:
    """The blocks and the timesteps of a store, for the axes of a table.

    Args:
        store (FeatureStore): The store.

    Returns:
        tuple[list[str], list[str]]: Such as ``['b=19', 'b=24']`` and
        ``['t=90', 't=150']``; or the maps' names and ``['']``, where they are
        no grid: ``['map 1']``, of a backbone that knows no timesteps, or
        ``['t=90 b=19', 't=150 b=24']``, of blocks with their own.
    """
    names = store.settings['maps']
    if len({name.split()[0] for name in names[0]}) > 1 or not names[0][0].startswith('t='):
        return names[0], ['']
    return [name.split(maxsplit=1)[1] for name in names[0]], [m[0].split()[0] for m in names]


class PooledMaps:
    """Maps of all images, pooled and flattened; its rows are read when they are asked for.

    Args:
        store (FeatureStore): The store.
        timestep (int): Which timestep, by index.
        block (int): Which of its blocks, by index.
        pool (int): Side of the pooled maps.
        view (int): Which view of the images: 0, as they are, or, where the
            store has it, 1, mirrored. Defaults to 0.

    Attributes:
        shape (tuple[int, int]): ``(num_images, C * pool * pool)``.

    Raises:
        ValueError: As :func:`check_pool`.
    """

    def __init__(self, store: FeatureStore, timestep: int, block: int, pool: int, view: int = 0):
        check_pool(store, pool)
        self.store = store
        self.timestep = timestep
        self.block = block
        self.pool = pool
        self.view = view
        self.shape = len(store), store.shapes[timestep][block][0] * pool**2

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, images: slice | np.ndarray) -> np.ndarray:
        """Features of some images, shape (N, C * pool * pool), float32."""
        numbers = np.arange(len(self))[images]
        rows = np.empty((len(numbers), self.shape[1]), np.float32)
        for start in range(0, len(numbers), IMAGES_AT_ONCE):
            part = slice(start, start + IMAGES_AT_ONCE)
            maps = self.store.read_maps(numbers[part], self.timestep, self.block, self.view)
            pooled = F.adaptive_avg_pool2d(torch.from_numpy(maps).float(), self.pool)
            rows[part] = pooled.flatten(1).numpy()
        return rows
