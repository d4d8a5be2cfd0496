"""What the backbones of latent diffusion models share: the autoencoder's encoder."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdiff.diffusion import CheckpointError, DenoiserArchitecture, read_checkpoint
from mmdiff.diffusion.autoencoder import LatentEncoder, load_autoencoder, read_autoencoder
from mmdiff.utils import LOGS, check_ints, local_file, local_folder

from .base import DiffusionBackbone
from .walks import AnyTimestep

# What of a repository is read for an autoencoder: alone, or a pipeline's.
VAE_FILES = tuple(
    folder + file
    for folder in ('', 'vae/')
    for file in ('config.json', 'diffusion_pytorch_model.safetensors')
)


class LatentDiffusionBackbone(DiffusionBackbone):
    """Features of a denoiser of latents.

    Latents are the mode of the autoencoder's posterior times its scaling
    factor. The autoencoder is never trained.

    Args:
        arch (str | dict): As of :class:`DiffusionBackbone`.
        timestep (AnyTimestep): As of :class:`DiffusionBackbone`.
        blocks (int | Sequence[int]): As of :class:`DiffusionBackbone`.
        vae_channels (Sequence[int]): Channels of the levels of the
            autoencoder's encoder. Defaults to (128, 256, 512, 512), those of
            Stable Diffusion 1.x and 2.x, DiT and SiT.
        **kwargs: Further arguments of :class:`DiffusionBackbone`.
            ``init_cfg`` may have ``vae``, the autoencoder's file or folder.
            With ``prefix``, such as ``'backbone.'``, all is taken from a
            run's checkpoint.

    Raises:
        ImportError: If diffusers is not installed.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    init_cfg_keys = ('prefix', 'vae', 'entry')

    def __init__(
        self,
        arch: str | dict | DenoiserArchitecture,
        timestep: AnyTimestep,
        blocks: int | Sequence[int],
        *,
        vae_channels: Sequence[int] = (128, 256, 512, 512),
        **kwargs,
    ):
        check_ints('vae_channels', vae_channels)
        super().__init__(arch, timestep, blocks, **kwargs)
        self.vae = LatentEncoder(self.arch.input, vae_channels)

    def encode(self, images: Tensor) -> Tensor:
        """Latents of images, shape (N, 4, H / 8, W / 8)."""
        with torch.no_grad(), self.precision(images.device):
            latents = self.vae(images)
        return latents.to(images.dtype)

    def load_vae(self, path: str) -> None:
        """Load the autoencoder.

        Args:
            path (str): As of :func:`mmdiff.utils.local_folder`.

        Raises:
            FileNotFoundError: If there is no such file or folder.
            CheckpointError: If it holds none, or another one.
        """
        read_autoencoder(local_folder(path, VAE_FILES), self.vae)

    def load_run(self, checkpoint: str, prefix: str) -> dict[str, Tensor]:
        """Load the backbone from a run's checkpoint.

        Args:
            checkpoint (str): As of :func:`mmdiff.utils.local_file`.
            prefix (str): What the names of the backbone's weights begin with.

        Returns:
            dict[str, Tensor]: All weights of the backbone there.

        Raises:
            FileNotFoundError: If there is no such file.
            CheckpointError: If it is broken or does not fit.
        """
        state_dict = read_checkpoint(local_file(checkpoint), prefix, LOGS)
        network, vae = (
            {k.removeprefix(part): v for k, v in state_dict.items() if k.startswith(part)}
            for part in (f'{self.network_name}.', 'vae.')
        )
        if not network or not vae:
            raise CheckpointError(
                f'{checkpoint} has no {self.network_name}. and vae. below prefix={prefix!r}, '
                "which must name the whole backbone, such as 'backbone.'"
            )
        self.load_network(network, checkpoint)
        load_autoencoder(self.vae, vae, checkpoint)
        return state_dict
