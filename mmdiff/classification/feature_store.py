"""A memory-mapped store of features that can be killed at any moment and goes on."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from mmdiff.datasets.check import Faults, check_same_classes

VERSION = 2
# Data-loading processes hold the lock for some seconds after the run that was killed.
SECONDS_FOR_LOCK = 15


class FeatureStoreError(RuntimeError):
    """A feature store is missing, incomplete, or made with other settings."""


class FeatureStore:
    """Features of the images of a data set, each in some views, as rows of one file.

    A row counts as written only after its data is on disk, so that a process
    that was killed leaves no half of one. Processes, also on several nodes,
    can write different images at the same time. The folder holds
    ``manifest.json`` (what the features are), ``features.bin`` (rows),
    ``done.bin`` (a byte for each image) and ``labels.npy``.

    Args:
        folder (str | Path): The folder of the store, which must exist.

    Attributes:
        settings (dict): What the features were made with.
        shapes (list): For each timestep, the shapes (C, H, W) of its blocks.
        labels (ndarray): Class of each image, shape (num_images, ).

    Raises:
        FeatureStoreError: If there is no store, or its files are not whole.
    """

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        if not (folder / 'manifest.json').is_file():
            raise FeatureStoreError(f'{folder} has no feature store (no manifest.json)')
        manifest = json.loads((folder / 'manifest.json').read_text())
        if manifest['version'] != VERSION:
            raise FeatureStoreError(
                f'{folder} has version {manifest["version"]}, this code reads {VERSION}'
            )
        self.folder = folder
        self.settings = manifest['settings']
        self.shapes = manifest['shapes']
        self.labels = np.load(folder / 'labels.npy')
        rows = (manifest['num_images'], manifest['num_views'], self.row_length(self.shapes))
        # A file that was copied in part would be filled up with zeros, marked as written.
        for name, found, needed in (
            ('labels.npy', len(self.labels), rows[0]),
            ('done.bin', (folder / 'done.bin').stat().st_size, rows[0]),
            ('features.bin', (folder / 'features.bin').stat().st_size, _size(rows, manifest)),
        ):
            if found != needed:
                raise FeatureStoreError(
                    f'{folder / name} is damaged: it has {found} entries or bytes, not {needed}; '
                    'remove the folder'
                )
        self._features = np.memmap(folder / 'features.bin', manifest['dtype'], 'r', shape=rows)

    @staticmethod
    def row_length(shapes: Sequence[Sequence[Sequence[int]]]) -> int:
        """Values of one image in one view."""
        return sum(int(np.prod(shape)) for blocks in shapes for shape in blocks)

    @classmethod
    def create(
        cls,
        folder: str | Path,
        settings: dict,
        shapes: Sequence[Sequence[Sequence[int]]],
        labels: Sequence[int],
        num_views: int,
        dtype: str = 'float32',
    ) -> 'FeatureStore':
        """Make a store, or open the one that is there to go on with it.

        Args:
            folder (str | Path): The folder, made if it does not exist.
            settings (dict): What the features are made with; nested dicts of
                what JSON knows.
            shapes (Sequence): For each timestep, the shapes of its blocks.
            labels (Sequence[int]): Class of each image.
            num_views (int): Views of each image.
            dtype (str): Type of the values. Defaults to ``'float32'``.

        Returns:
            FeatureStore: The store, to write to.

        Raises:
            FeatureStoreError: If the one that is there has other settings.
        """
        folder = Path(folder)
        manifest = {
            'version': VERSION,
            'settings': settings,
            'shapes': [[list(shape) for shape in blocks] for blocks in shapes],
            'num_images': len(labels),
            'num_views': num_views,
            'dtype': dtype,
        }
        path = folder / 'manifest.json'
        if path.is_file():
            check_same(folder, json.loads(path.read_text()), manifest)
            return cls(folder)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / 'labels.npy', np.asarray(labels, np.int64))
        rows = (len(labels), num_views, cls.row_length(shapes))
        for name, size in (
            ('features.bin', _size(rows, manifest)),
            ('done.bin', len(labels)),
        ):
            with (folder / name).open('wb') as file:
                file.truncate(size)
        # The manifest comes last, and at once: with it the store is there.
        partial = folder / 'manifest.json.partial'
        partial.write_text(json.dumps(manifest, indent=2) + '\n')
        os.replace(partial, path)
        return cls(folder)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_views(self) -> int:
        """Views of each image."""
        return self._features.shape[1]

    def missing(self) -> np.ndarray:
        """Indices of the images whose features are not written."""
        return np.flatnonzero(np.fromfile(self.folder / 'done.bin', np.uint8) == 0)

    def check_complete(self) -> None:
        """Refuse a store with images missing.

        Raises:
            FeatureStoreError: If there are any.
        """
        missing = len(self.missing())
        if missing:
            raise FeatureStoreError(
                f'{self.folder} lacks the features of {missing} of {len(self)} images; '
                'tools/cache_features.py goes on where it was'
            )

    def write(self, indices: Sequence[int], features: np.ndarray) -> None:
        """Write the features of some images.

        Args:
            indices (Sequence[int]): The images.
            features (ndarray): Shape (len(indices), num_views, row_length).

        Raises:
            ValueError: If they have another shape, or a value is not finite,
                or not in the store's type.
        """
        needed = (len(indices), *self._features.shape[1:])
        if features.shape != needed:
            raise ValueError(f'features must have shape {needed}, got {features.shape}')
        with np.errstate(over='ignore'):
            features = features.astype(self._features.dtype)
        if not np.isfinite(features).all():
            raise ValueError(f'features have values that are not finite in {features.dtype}')
        self._write_rows('features.bin', indices, features)
        self._write_rows('done.bin', indices, np.ones(len(indices), np.uint8))

    def _write_rows(self, name, indices, rows):
        with open(self.folder / name, 'r+b', opener=_synchronous) as file:
            # One write for images that follow each other, as each waits for the disk.
            gaps = np.flatnonzero(np.diff(indices) != 1) + 1
            for first, run in zip(np.split(indices, gaps), np.split(rows, gaps), strict=True):
                file.seek(int(first[0]) * rows[0].nbytes)
                file.write(run.tobytes())

    def read(self, index: int, view: int = 0) -> np.ndarray:
        """Features of an image in a view, shape (row_length, )."""
        return np.array(self._features[index, view])

    def read_maps(
        self, images: slice | np.ndarray, timestep: int, block: int, view: int = 0
    ) -> np.ndarray:
        """Maps of some images, in one view.

        Args:
            images (slice | ndarray): Which images; or their numbers, shape
                (N, ).
            timestep (int): Which timestep, by index.
            block (int): Which of its blocks, by index.
            view (int): Which view. Defaults to 0.

        Returns:
            ndarray: Shape (N, C, H, W).
        """
        before = [*self.shapes[:timestep], self.shapes[timestep][:block]]
        shape = self.shapes[timestep][block]
        first = self.row_length(before)
        columns = slice(first, first + self.row_length([[shape]]))
        # A mapping of its own, whose pages are given back with it: memory does not grow.
        features = np.memmap(
            self._features.filename, self._features.dtype, 'r', shape=self._features.shape
        )
        return np.array(features[images, view, columns]).reshape(-1, *shape)


@contextmanager
def only_writer(cache: str | Path) -> Iterator[None]:
    """Keep other runs from writing to the stores of a cache.

    The lock is the operating system's (``flock``, also over NFS), which takes
    it back when the process ends, in whatever way.

    Args:
        cache (str | Path): The folder of the stores, made if it does not
            exist.

    Raises:
        FeatureStoreError: If another run is writing to it.
    """
    Path(cache).mkdir(parents=True, exist_ok=True)
    lock = FileLock(Path(cache) / '.lock', timeout=SECONDS_FOR_LOCK)
    try:
        lock.acquire()
    except Timeout:
        raise FeatureStoreError(
            f'another run of tools/cache_features.py is writing to {cache}: wait until it is done, '
            'or end it, and run this again'
        ) from None
    try:
        yield
    finally:
        lock.release()


def check_same(where: str | Path, found: dict, asked: dict) -> None:
    """Refuse settings that differ, and name what differs.

    Args:
        where (str | Path): What ``found`` is of, for the message.
        found (dict): Settings, nested.
        asked (dict): Settings to compare with.

    Raises:
        FeatureStoreError: If they differ.
    """
    # As JSON knows no tuples, what was asked for goes through it too.
    found, asked = _flat(found), _flat(json.loads(json.dumps(asked)))
    differences = [
        f'{key}: has {found.get(key)!r}, asked for {asked.get(key)!r}'
        for key in sorted(found.keys() | asked.keys())
        if found.get(key) != asked.get(key)
    ]
    if differences:
        raise FeatureStoreError(f'{where} was made with other settings: {"; ".join(differences)}')


def check_classes(stores: Sequence[FeatureStore]) -> None:
    """Refuse splits whose labels are numbers of different classes.

    Args:
        stores (Sequence[FeatureStore]): Stores of splits of a data set, each
            with its ``classes`` in the settings, where they are known.

    Raises:
        FeatureStoreError: If they differ.
    """
    faults = Faults()
    check_same_classes({str(s.folder): s.settings.get('classes', {}) for s in stores}, faults)
    if faults.errors:
        raise FeatureStoreError(faults.errors[0])


def _size(rows, manifest):
    return int(np.prod(rows)) * np.dtype(manifest['dtype']).itemsize


def _synchronous(path, flags):
    # On disk when the file is closed. Over NFS it also keeps a node from writing whole pages, in
    # which other nodes have rows.
    return os.open(path, flags | os.O_DSYNC)


def _flat(settings, prefix=''):
    if not isinstance(settings, dict):
        return {prefix: settings}
    flat = {}
    for key, value in settings.items():
        flat |= _flat(value, f'{prefix}.{key}' if prefix else key)
    return flat
