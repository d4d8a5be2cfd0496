"""Reading the autoencoder of latent diffusion models, in diffusers' format or the original one."""

import json
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from torch import Tensor

from ..checkpoint import TRAINING_STATE, CheckpointError, check_finite, check_fit, read_checkpoint
from ..parts import require_sd
from .encoder import LatentEncoder

# What diffusers' save_pretrained writes, the preferred first.
WEIGHTS = tuple(
    f'diffusion_pytorch_model{variant}.{suffix}'
    for variant in ('', '.fp16')
    for suffix in ('safetensors', 'bin')
)
# Names of the attention's layers before diffusers 0.17, as many published folders have them.
OLD_NAMES = {'query': 'to_q', 'key': 'to_k', 'value': 'to_v', 'proj_attn': 'to_out.0'}


def read_component(folder: str | PathLike) -> tuple[dict, dict[str, Tensor], str]:
    """Read a model that diffusers saved, such as the ``unet/`` of a pipeline.

    Args:
        folder (str | PathLike): A folder with ``config.json`` and weights.

    Returns:
        tuple[dict, dict[str, Tensor], str]: The config, the state dict on the
        CPU, and the file that it came from.

    Raises:
        FileNotFoundError: If the folder, the config or the weights are
            missing.
        CheckpointError: If a file is broken.
    """
    folder = Path(folder)
    config = folder / 'config.json'
    if not config.is_file():
        raise FileNotFoundError(
            f'{folder} is not a model that diffusers saved: it has no config.json'
        )
    file = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if file is None:
        raise FileNotFoundError(f'{folder} has no weights: none of {", ".join(WEIGHTS)}')
    try:
        settings = json.loads(config.read_text())
    except ValueError as error:
        raise CheckpointError(f'{config} is not JSON: {error}') from None
    return settings, read_checkpoint(file), str(file)


def read_autoencoder(path: str | PathLike, encoder: LatentEncoder) -> None:
    """Fill an encoder from a file or folder that holds an autoencoder.

    Args:
        path (str | PathLike): A model that diffusers saved, or a pipeline
            with one in ``vae/``; or a file in the original names, alone or as
            part of Stable Diffusion's.
        encoder (LatentEncoder): Gets the weights.

    Raises:
        FileNotFoundError: If there is no such file, or no ``vae/``.
        CheckpointError: If there is no autoencoder in it, or it does not fit.
    """
    path = Path(path)
    if not path.is_dir():
        state_dict = read_checkpoint(path, allowed=TRAINING_STATE)
        load_autoencoder(encoder, original_autoencoder(state_dict, str(path)), str(path))
        return
    if (path / 'unet').is_dir() and not (path / 'vae').is_dir():
        raise FileNotFoundError(
            f'{path} has no vae/: copy the autoencoder of its model there, or name another with '
            'vae=... in init_cfg'
        )
    config, state_dict, source = read_component(path / 'vae' if (path / 'vae').is_dir() else path)
    scale = config.get('scaling_factor', encoder.scale)
    if scale != encoder.scale:
        raise CheckpointError(
            f'{source} is another autoencoder: its scaling_factor is {scale}, but the network was '
            f'trained on latents times {encoder.scale}'
        )
    names = '|'.join(OLD_NAMES)
    renamed = {
        re.sub(rf'(?<=attentions\.0\.)({names})(?=\.)', lambda m: OLD_NAMES[m[1]], key): value
        for key, value in state_dict.items()
    }
    load_autoencoder(encoder, renamed, source)


def load_autoencoder(encoder: LatentEncoder, state_dict: Mapping[str, Tensor], source: str) -> None:
    """Copy the weights of a whole autoencoder into its encoder.

    Args:
        encoder (LatentEncoder): Gets them.
        state_dict (Mapping[str, Tensor]): In diffusers' names.
        source (str): Where they came from, for messages.

    Raises:
        CheckpointError: If they do not fit, or are not finite.
    """
    needed = encoder.state_dict()
    kept = {
        key: value
        for key, value in state_dict.items()
        if not key.startswith(('decoder.', 'post_quant_conv.'))
    }
    check_fit(kept, needed, needed, source, 'autoencoder')
    check_finite(kept, source)
    encoder.load_state_dict(kept)


def original_autoencoder(state_dict: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The autoencoder of a file in Stable Diffusion's original names, in diffusers'.

    Args:
        state_dict (Mapping[str, Tensor]): The file's.
        source (str): Where it came from, for the message.

    Returns:
        dict[str, Tensor]: The autoencoder's state dict.

    Raises:
        CheckpointError: If there is none.
    """
    prefix = 'first_stage_model.'
    if not any(key.startswith(prefix) for key in state_dict):
        prefix = ''
    levels = {
        int(found[1])
        for key in state_dict
        if (found := re.match(re.escape(prefix) + r'encoder\.down\.(\d+)\.', key))
    }
    if not levels:
        raise CheckpointError(
            f'{source} holds no autoencoder (no first_stage_model.encoder...): name one with '
            'vae=... in init_cfg'
        )
    files = require_sd('diffusers.loaders.single_file_utils')
    # It looks for parts of names, which the U-Net's have too.
    parts = ('encoder.', 'decoder.', 'quant_conv.', 'post_quant_conv.')
    autoencoder = {
        key: value
        for key, value in state_dict.items()
        if key.startswith(tuple(prefix + part for part in parts))
    }
    types = [None] * len(levels)
    return files.convert_ldm_vae_checkpoint(
        autoencoder, dict(down_block_types=types, up_block_types=types)
    )
