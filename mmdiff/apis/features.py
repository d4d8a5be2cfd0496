"""Features of images in one line, without a config."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike

import torch
from torch import Tensor
from tqdm import tqdm

from mmdiff.models import backbone_of
from mmdiff.utils import is_int, keep_freed_memory

from .images import AnyImage, centre_square, read_image, single_images, to_tensor


class FeatureExtractor:
    """Features of a pretrained diffusion model of any family, for images in any form.

    .. code-block:: python

        extractor = FeatureExtractor(
            'adm-256-uncond', '256x256_diffusion_uncond.pt', blocks=(19, 24), timestep=150
        )
        maps = extractor('photos/cat.jpg')
        maps[150, 24]  # of shape (1, 1024, 16, 16)
        FeatureExtractor('sd-1', 'stable-diffusion-v1-5', blocks=16, timestep=100)
        FeatureExtractor('dit-xl-2', 'DiT-XL-2-256x256.pt', vae='sd-vae-ft-ema', blocks=14)

    Args:
        arch (str | dict): Name of an architecture of any family, see
            ``docs/backbones.md``, or its fields.
        checkpoint (str, optional): What the family's backbone takes: path or
            URL of a file, ``mmdiff://NAME`` for one that comes with mmdiff,
            for Stable Diffusion also a folder or ``hf://...``. None leaves
            the weights random.
        vae (str, optional): File or folder of the autoencoder, which
            diffusion transformers need. Defaults to None.
        entry (str, optional): Which of several state dicts in the file, such
            as ``'model'`` or ``'ema'``, see
            :func:`mmdiff.diffusion.read_checkpoint`. Defaults to None.
        blocks (int | Sequence[int], optional): Numbers of blocks, from 1.
            Defaults to None: the default of the family's backbone, such as
            24, the paper's, for guided diffusion.
        timestep (int | Sequence[int] | Mapping[int, int]): One or more
            timesteps, 0 to 999, or {block: timestep}. Defaults to 150, the
            paper's for classification (section 4.1).
        size (int | str): Images are cut to the square in their middle and
            resized to so many pixels. ``'trained'`` is the size at which the
            model was trained, ``'original'`` leaves images as they are.
            Defaults to ``'trained'``.
        device (str | torch.device, optional): Defaults to None: the GPU if
            there is one. On a CPU, the process keeps its memory from then on
            (:func:`mmdiff.utils.keep_freed_memory`).
        **kwargs: Further arguments of the family's backbone, such as
            ``ensemble_size`` or ``eval_noise``.

    Attributes:
        backbone (DiffusionBackbone): The model, frozen.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        CheckpointError: If the checkpoint is broken or does not fit ``arch``.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        arch: str | dict,
        checkpoint: str | PathLike | None,
        *,
        vae: str | PathLike | None = None,
        entry: str | None = None,
        blocks: int | Sequence[int] | None = None,
        timestep: int | Sequence[int] | Mapping[int, int] = 150,
        size: int | str = 'trained',
        device: str | torch.device | None = None,
        **kwargs,
    ):
        if size not in ('trained', 'original') and not (is_int(size) and size >= 1):
            raise ValueError(f"size must be a positive int, 'trained' or 'original', got {size!r}")
        init_cfg = None
        parts = dict(vae=None if vae is None else str(vae), entry=entry)
        parts = {name: value for name, value in parts.items() if value is not None}
        if checkpoint is not None:
            init_cfg = dict(type='Pretrained', checkpoint=str(checkpoint), **parts)
        elif parts:
            given = ', '.join(f'{name}={value!r}' for name, value in parts.items())
            raise ValueError(f'{given} given, but checkpoint=None leaves the weights random')
        self.device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        if self.device.type == 'cpu':
            keep_freed_memory()
        if blocks is not None:
            kwargs['blocks'] = blocks
        self.backbone = backbone_of(arch)(
            arch=arch, timestep=timestep, frozen='all', init_cfg=init_cfg, **kwargs
        )
        self.backbone.init_weights()
        self.backbone.to(self.device).eval().requires_grad_(False)
        self.backbone.prepare_for_inference()
        self.size = self.backbone.arch.image_size if size == 'trained' else size

    def __call__(
        self,
        images: AnyImage | Sequence[AnyImage],
        batch_size: int = 8,
        progress: bool = False,
    ) -> dict[tuple[int, int], Tensor]:
        """Features of images.

        Args:
            images: A file, a folder, a Pillow image, an array of shape
                (H, W, 3), a tensor of shape (3, H, W) or (N, 3, H, W), or a
                list of any of these; see :func:`mmdiff.apis.read_image`.
            batch_size (int): Images at a time. Defaults to 8.
            progress (bool): Show a progress bar on stderr. Defaults to False.

        Returns:
            dict[tuple[int, int], Tensor]: For each (timestep, block), the maps
            of all images, shape (N, C_b, H / s_b, W / s_b), on the CPU.

        Raises:
            FileNotFoundError: If there is no such file or folder.
            TypeError: If an image is in none of these forms.
            ValueError: If an image cannot be read, or sizes differ. The
                message names the image.
        """
        batches = list(self.iterate(images, batch_size, progress))
        if not batches:
            raise ValueError(f'images must hold at least one, got {images!r}')
        first, names = batches[0][1], batches[0][0]
        for others, maps in batches:
            if any(maps[key].shape[1:] != value.shape[1:] for key, value in first.items()):
                raise _sizes_differ(names[0], others[0])
        return {key: torch.cat([maps[key] for _, maps in batches]) for key in first}

    def iterate(
        self,
        images: AnyImage | Sequence[AnyImage],
        batch_size: int = 8,
        progress: bool = False,
        keep_going: bool = False,
    ) -> Iterator[tuple[list[str], dict[tuple[int, int], Tensor]]]:
        """Features of images, a batch at a time, for more than fit into memory.

        Args:
            images: As for a call.
            batch_size (int): Images at a time. Defaults to 8.
            progress (bool): Show a progress bar on stderr. Defaults to False.
            keep_going (bool): Leave out images that cannot be read, and name
                them in an error at the end. Defaults to False: the first one
                is an error at once.

        Yields:
            tuple: Names of the images (paths, or ``'image 0'`` and so on), and
            their features as of a call.

        Raises:
            As a call; with ``keep_going`` ValueError at the end, for all
            images that could not be read.
        """
        if not (is_int(batch_size) and batch_size >= 1):
            raise ValueError(f'batch_size must be a positive int, got {batch_size!r}')
        named = list(single_images(images))
        remaining, errors = iter(named), []
        with tqdm(total=len(named), unit='image', disable=not progress) as bar:
            while several := list(islice(remaining, batch_size)):
                batch = self._readable(several, errors if keep_going else None)
                if batch:
                    names, tensors = zip(*batch, strict=True)
                    yield list(names), self._features(tensors, names)
                bar.update(len(several))
        if errors:
            raise ValueError(
                f'{len(errors)} of {len(named)} images could not be read:\n' + '\n'.join(errors)
            )

    def _readable(
        self, images: list[tuple[str, AnyImage]], errors: list[str] | None
    ) -> list[tuple[str, Tensor]]:
        """Images as the backbone takes them, with their names."""
        batch = []
        for name, image in images:
            try:
                batch.append((name, self._prepare(name, image)))
            except (OSError, ValueError) as error:
                if errors is None:
                    raise
                errors.append(str(error))
        return batch

    def _prepare(self, name: str, image: AnyImage) -> Tensor:
        rgb = read_image(image, name)
        return to_tensor(rgb if self.size == 'original' else centre_square(rgb, self.size))

    @torch.no_grad()
    def _features(
        self, images: Sequence[Tensor], names: Sequence[str]
    ) -> dict[tuple[int, int], Tensor]:
        for image, name in zip(images, names, strict=True):
            if image.shape != images[0].shape:
                raise _sizes_differ(names[0], name)
        features = self.backbone(torch.stack(images).to(self.device))
        features = (features,) if self.backbone.single_timestep else features
        return {
            tap: tensor.cpu()
            for taps, maps in zip(self.backbone.taps, features, strict=True)
            for tap, tensor in zip(taps, maps, strict=True)
        }


def _sizes_differ(first: str, other: str) -> ValueError:
    return ValueError(
        f"size='original' wants images of one size, but {first} and {other} differ; take "
        'iterate(..., batch_size=1)'
    )
