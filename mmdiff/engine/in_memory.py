"""Training on images that are all in memory, where the model is."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mmdiff.registry import LOOPS
from mmdiff.utils import check_choice, check_int

FLIPS = {'horizontal': -1, 'vertical': -2}


class ImagesInMemory:
    """Images of a data set on a device, and random crops of them.

    Args:
        dataset (Dataset): Each of its items has ``inputs``, an image of shape
            (3, H, W), uint8. They may be of several sizes.
        device (torch.device): Where to hold them.
        crop_size (int): Side of the crops in pixels.
        flip (Sequence[str]): How crops are flipped, each with probability 0.5:
            ``'horizontal'``, ``'vertical'``. Defaults to not at all.
        num_workers (int): Processes that read the images. Defaults to 0.

    Raises:
        ValueError: If an image is smaller than a crop, or an argument is out
            of range.
    """

    def __init__(
        self,
        dataset: Dataset,
        device: torch.device,
        crop_size: int,
        flip: Sequence[str] = (),
        num_workers: int = 0,
    ):
        check_int('crop_size', crop_size)
        for way in flip:
            check_choice('flip', way, FLIPS)
        self.crop_size = crop_size
        self.flips = [FLIPS[way] for way in flip]
        loader = DataLoader(dataset, 64, num_workers=num_workers, collate_fn=_arrays)
        images = [torch.from_numpy(image) for batch in loader for image in batch]
        sizes = torch.tensor([image.shape[1:] for image in images])
        if sizes.min() < crop_size:
            number = int(sizes.min(dim=1).values.argmin())
            height, width = sizes[number].tolist()
            raise ValueError(
                f'crop_size={crop_size}, but image {number} of the data set is of {width}x{height} '
                "pixels: resize it in the data set's pipeline, or take smaller crops"
            )
        height, width = sizes.max(dim=0).values.tolist()
        self.images = torch.zeros((len(images), 3, height, width), dtype=torch.uint8, device=device)
        for place, image in zip(self.images, images, strict=True):
            place[:, : image.shape[1], : image.shape[2]] = image
        # Places where a crop may begin.
        self.places = (sizes - crop_size + 1).to(device)
        self._order = (None, None)

    def batch(self, iteration: int, batch_size: int, seed: int) -> Tensor:
        """The crops of an iteration, which depend on nothing else.

        Each image is drawn once before any is drawn again.

        Args:
            iteration (int): The iteration, from 0.
            batch_size (int): Crops of this process.
            seed (int): The run's seed, the same in all processes.

        Returns:
            Tensor: Shape (batch_size, 3, crop_size, crop_size), uint8.
        """
        device = self.images.device
        first = (iteration * get_world_size() + get_rank()) * batch_size
        numbers = torch.cat(
            [
                self._order_of(epoch, seed)[start:end]
                for epoch, start, end in _epochs(first, first + batch_size, len(self.images))
            ]
        )
        generator = _generator(device, seed, 0, iteration, get_rank())
        drawn = torch.rand((2, batch_size), generator=generator, device=device)
        tops, lefts = (drawn.T * self.places[numbers]).long().T
        steps = torch.arange(self.crop_size, device=device)
        crops = self.images[
            numbers[:, None, None],
            :,
            (tops[:, None] + steps)[:, :, None],
            (lefts[:, None] + steps)[:, None],
        ].permute(0, 3, 1, 2)
        for axis in self.flips:
            flipped = torch.rand(batch_size, generator=generator, device=device) < 0.5
            crops = torch.where(flipped[:, None, None, None], crops.flip(axis), crops)
        return crops.contiguous()

    def _order_of(self, epoch: int, seed: int) -> Tensor:
        known, order = self._order
        if known != (epoch, seed):
            device = self.images.device
            generator = _generator(device, seed, 1, epoch)
            order = torch.randperm(len(self.images), generator=generator, device=device)
            self._order = (epoch, seed), order
        return order


def _arrays(items: list[dict]) -> list[np.ndarray]:
    # A tensor from a worker would keep a file open for as long as it is held.
    return [item['inputs'].numpy() for item in items]


def _generator(device: torch.device, *key: int) -> torch.Generator:
    state = np.random.SeedSequence(key).generate_state(1, np.uint32)
    return torch.Generator(device).manual_seed(int(state[0]))


def _epochs(first: int, end: int, length: int) -> list[tuple[int, int, int]]:
    """A range of draws in parts: the epoch, and from where to where in it."""
    parts = []
    while first < end:
        epoch, start = divmod(first, length)
        stop = min(length, start + end - first)
        parts.append((epoch, start, stop))
        first += stop - start
    return parts


@LOOPS.register_module()
class InMemoryTrainLoop(IterBasedTrainLoop):
    """MMEngine's loop by iterations, on images that are read once and kept where the model is.

    Batches are drawn, cropped and flipped there, so that a GPU waits for no
    image. They depend on the seed and the iteration alone: a resumed run sees
    what it would have seen. The images must fit into the device's memory, as
    bytes, and the data set's pipeline runs once for each of them: nothing in
    it may be random. The sampler is not used.

    Args:
        runner (Runner): The runner.
        dataloader (dict | DataLoader): Gives the data set, the batch size, and
            how many processes read the images.
        max_iters (int): Iterations of the run.
        crop_size (int): As of :class:`ImagesInMemory`.
        flip (Sequence[str]): As of :class:`ImagesInMemory`. Defaults to ().
        **kwargs: As of MMEngine's ``IterBasedTrainLoop``.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: dict | DataLoader,
        max_iters: int,
        crop_size: int,
        flip: Sequence[str] = (),
        **kwargs,
    ):
        super().__init__(runner, dataloader, max_iters, **kwargs)
        self.images = ImagesInMemory(
            self.dataloader.dataset,
            next(runner.model.parameters()).device,
            crop_size,
            flip,
            self.dataloader.num_workers,
        )
        stored = self.images.images
        runner.logger.info(
            f'{len(stored)} images in memory, {stored.numel() / 1e9:.2f} GB, {stored.device}'
        )
        self.dataloader_iterator = self

    def skip_iter(self, num_iters: int) -> None:
        """Nothing to skip.

        Args:
            num_iters (int): Not used.
        """

    def __next__(self) -> dict[str, Tensor]:
        return dict(
            inputs=self.images.batch(self._iter, self.dataloader.batch_size, self.runner.seed)
        )
