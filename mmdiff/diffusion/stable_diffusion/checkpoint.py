"""Stable Diffusion as diffusers saves it, a folder, and as it was published, a single file."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from torch import Tensor

from ..autoencoder import (
    LatentEncoder,
    load_autoencoder,
    original_autoencoder,
    read_autoencoder,
    read_component,
)
from ..checkpoint import TRAINING_STATE, CheckpointError, load_weights, read_checkpoint
from ..parts import require_sd
from .arch import StableDiffusionArchitecture
from .text import null_text_of_file, null_text_of_folder
from .unet import StableDiffusionUNet

UNET = 'model.diffusion_model.'


class DiffusersFolder:
    """A pipeline that diffusers saved: ``unet/``, ``vae/``, ``text_encoder/``, ``tokenizer/``.

    Args:
        path (str | PathLike): The folder.

    Raises:
        FileNotFoundError: If it has no ``unet/``.
    """

    def __init__(self, path: str | PathLike):
        self.path = Path(path)
        if not (self.path / 'unet').is_dir():
            raise FileNotFoundError(
                f'{path} is not a Stable Diffusion that diffusers saved: it has no unet/'
            )

    def load_unet(self, unet: StableDiffusionUNet) -> list[str]:
        """Fill a U-Net.

        Args:
            unet (StableDiffusionUNet): Gets the weights.

        Returns:
            list[str]: The keys of blocks that are not built.

        Raises:
            CheckpointError: If they are broken, or of another version.
        """
        config, state_dict, source = read_component(self.path / 'unet')
        check_version(state_dict, unet.arch, source)
        # No weight shows how many heads there are, which diffusers calls their width.
        found = config.get('num_attention_heads') or config.get('attention_head_dim')
        levels = unet.arch.num_attention_heads
        heads = tuple(found) if isinstance(found, list) else (found,) * len(levels)
        if found is not None and heads != levels:
            raise CheckpointError(
                f'{source} is of a network with other attention: its config.json has {found} '
                f'heads, arch has num_attention_heads={levels}'
            )
        return load_weights(unet, state_dict, source)

    def load_vae(self, vae: LatentEncoder) -> None:
        """Fill an encoder, see :func:`read_autoencoder`."""
        read_autoencoder(self.path, vae)

    def null_text(self, arch: StableDiffusionArchitecture) -> Tensor:
        """The embedding of the empty prompt, see :func:`null_text_of_folder`."""
        return null_text_of_folder(self.path)


class OriginalFile:
    """A single file in the original names, such as ``v1-5-pruned-emaonly.safetensors``.

    Where it has averaged weights (EMA) beside the last ones, the last ones
    are taken, as in Stable Diffusion's own scripts and in diffusers.

    Args:
        path (str | PathLike): A ``.safetensors`` file, or a ``.ckpt`` file,
            which is read as weights only.
        entry (str, optional): As of :func:`mmdiff.diffusion.read_checkpoint`.
            Defaults to None.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it is broken, or holds something else.
    """

    def __init__(self, path: str | PathLike, entry: str | None = None):
        self.source = str(path)
        self.state_dict = read_checkpoint(path, allowed=TRAINING_STATE, entry=entry)

    def load_unet(self, unet: StableDiffusionUNet) -> list[str]:
        """Fill a U-Net, see :meth:`DiffusersFolder.load_unet`."""
        own = {k: v for k, v in self.state_dict.items() if k.startswith(UNET)}
        state_dict = self.state_dict
        if own:
            files = require_sd('diffusers.loaders.single_file_utils')
            config = dict(layers_per_block=unet.arch.layers_per_block)
            state_dict = files.convert_ldm_unet_checkpoint(own, config)
            check_version(state_dict, unet.arch, self.source)
        # Without them, it says what the file holds instead.
        return load_weights(unet, state_dict, self.source)

    def load_vae(self, vae: LatentEncoder) -> None:
        """Fill an encoder, see :func:`original_autoencoder`."""
        load_autoencoder(vae, original_autoencoder(self.state_dict, self.source), self.source)

    def null_text(self, arch: StableDiffusionArchitecture) -> Tensor:
        """The embedding of the empty prompt, see :func:`null_text_of_file`."""
        return null_text_of_file(self.state_dict, arch, self.source)


def open_checkpoint(
    path: str | PathLike, entry: str | None = None
) -> DiffusersFolder | OriginalFile:
    """Open what holds a Stable Diffusion.

    Args:
        path (str | PathLike): A folder or a file.
        entry (str, optional): As of :func:`mmdiff.diffusion.read_checkpoint`,
            for a file. Defaults to None.

    Returns:
        DiffusersFolder | OriginalFile: What it is.

    Raises:
        FileNotFoundError: If there is no such file, or no ``unet/``.
        CheckpointError: If the file is broken, or ``entry`` is named for a
            folder.
    """
    if not Path(path).is_dir():
        return OriginalFile(path, entry)
    if entry is not None:
        raise CheckpointError(f'entry={entry!r} is of files, but {path} is a folder')
    return DiffusersFolder(path)


def check_version(
    state_dict: Mapping[str, Tensor], arch: StableDiffusionArchitecture, source: str
) -> None:
    """Refuse the U-Net of another version, which its width of the text tells.

    Args:
        state_dict (Mapping[str, Tensor]): In diffusers' names.
        arch (StableDiffusionArchitecture): What it is to fit.
        source (str): Where it came from, for the message.

    Raises:
        CheckpointError: If it is another version.
    """
    found = next((v.shape[1] for k, v in state_dict.items() if k.endswith('attn2.to_k.weight')), 0)
    if found not in (0, arch.cross_attention_dim):
        raise CheckpointError(
            f'{source} is another version of Stable Diffusion: its text has width {found}, but '
            f"arch has cross_attention_dim={arch.cross_attention_dim}. arch='sd-1' has 768, "
            "'sd-2' 1024; SDXL (2048) is not among them"
        )
