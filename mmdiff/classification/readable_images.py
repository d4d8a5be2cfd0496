"""Batches of the images of a data set that can be read, with the errors of the others."""

from collections.abc import Sequence

from mmengine.dataset import default_collate
from torch.utils.data import Dataset


class ReadableImages(Dataset):
    """The images of a data set, for :func:`collate_readable`.

    Args:
        dataset (Dataset): Names an image that it cannot read in an error.
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, dict | None, str | None]:
        """Index of an image, and what the pipeline makes of it, or why it cannot be read."""
        try:
            return index, self.dataset[index], None
        except (OSError, RuntimeError, ValueError) as error:
            return index, None, str(error)


def collate_readable(items: Sequence[tuple]) -> tuple[list[int], dict | None, dict[int, str]]:
    """Make a batch of the images that can be read.

    Args:
        items (Sequence[tuple]): Of :class:`ReadableImages`.

    Returns:
        tuple: Indices of the images, the batch or None, and the errors of the
        others, by their indices.
    """
    errors = {index: error for index, _, error in items if error is not None}
    readable = [(index, sample) for index, sample, error in items if error is None]
    batch = default_collate([sample for _, sample in readable]) if readable else None
    return [index for index, _ in readable], batch, errors


def first_readable(dataset: Dataset) -> dict:
    """What the pipeline makes of the first image that can be read.

    Args:
        dataset (Dataset): As of :class:`ReadableImages`.

    Returns:
        dict: The sample.

    Raises:
        ValueError: If none can be read.
    """
    images = ReadableImages(dataset)
    for number in range(len(images)):
        _, sample, error = images[number]
        if error is None:
            return sample
    raise ValueError(f'none of {len(images)} images can be read: {error}')
