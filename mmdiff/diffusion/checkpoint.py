"""Reading checkpoints of any family, and checking that they fit."""

import pickle
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .denoiser import Denoiser
from .parts import require_sd

# What a file holds, by a key that tells. The first that is there counts.
MARKS = {
    'out.2.c_proj.weight': 'a guided-diffusion classifier',
    'time_embed.0.weight': 'a guided-diffusion U-Net',
    'model.diffusion_model.time_embed.0.weight': "Stable Diffusion's original file",
    'time_embedding.linear_1.weight': "a U-Net in diffusers' names",
    'blocks.0.adaLN_modulation.1.weight': 'a diffusion transformer (DiT, SiT)',
    'encoder.conv_in.weight': 'an autoencoder',
}


class CheckpointError(RuntimeError):
    """A checkpoint file is broken, foreign, or of another architecture."""


class _NotLoaded:
    """In place of the classes that Lightning names in a checkpoint of its training."""


# Besides weights, published .ckpt files hold the state of the training.
TRAINING_STATE = (
    (_NotLoaded, 'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint'),
    (_NotLoaded, 'pytorch_lightning.utilities.cloud_io.AttributeDict'),
    np.dtype,
    type(np.dtype('float32')),
    type(np.dtype('float64')),
    np.float64(0).__reduce__()[0],
    (np.float64(0).__reduce__()[0], 'numpy.core.multiarray.scalar'),
)


def load_safely(
    path: str | PathLike,
    map_location: str | torch.device | Callable = 'cpu',
    mmap: bool = False,
    allowed: Sequence[Callable | tuple[Callable, str]] = (),
) -> Any:
    """``torch.load`` as weights only: no code in the file can run.

    Args:
        path (str | PathLike): A file that ``torch.save`` wrote.
        map_location: As of ``torch.load``. Defaults to ``'cpu'``.
        mmap (bool): As of ``torch.load``. Defaults to False.
        allowed (Sequence[Callable | tuple[Callable, str]]): Classes and
            functions that the file may name, besides tensors and plain Python
            values, or pairs of what to take and its name in the file.
            Defaults to none.

    Returns:
        Any: The content.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is truncated, is not a PyTorch file, or
            holds more than is allowed.
    """
    try:
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except FileNotFoundError:
        raise FileNotFoundError(f'checkpoint file {path} does not exist') from None
    except pickle.UnpicklingError as error:
        unsafe = re.search(r'GLOBAL (\S+) was not an allowed global', str(error)) or re.search(
            r'Can only .* but got .*?([\w.]+)', str(error)
        )
        if unsafe:
            raise CheckpointError(
                f'{path} holds more than weights ({unsafe[1]}), and only weights are loaded. '
                "Save its state dict alone: torch.save(checkpoint['state_dict'], path)"
            ) from None
        raise CheckpointError(_unreadable(path)) from error
    except (PermissionError, IsADirectoryError, MemoryError):
        raise
    except Exception as error:  # torch's unpickler meets foreign bytes with any error
        raise CheckpointError(_unreadable(path)) from error


def read_checkpoint(
    path: str | PathLike, prefix: str = '', allowed: Sequence[Callable | tuple[Callable, str]] = ()
) -> dict[str, Tensor]:
    """Read a state dict from a file, as weights only: no code in it can run.

    Tensors of an ordinary (zip) file are mapped into memory, so that those of
    blocks that are not built are never read from disk.

    Args:
        path (str | PathLike): A state dict saved by ``torch.save``, as the
            published checkpoints are; a dict that holds one under
            ``'state_dict'``, as MMEngine and Lightning write, or ``'ema'``,
            as DiT's training does; or a ``.safetensors`` file.
        prefix (str): Keep the keys below this prefix, without it, e.g.
            ``'backbone.unet.'`` in a segmentor's checkpoint. Defaults to ''.
        allowed (Sequence[Callable | tuple[Callable, str]]): As of
            :func:`load_safely`. Defaults to none.

    Returns:
        dict[str, Tensor]: The state dict, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is truncated, is not a PyTorch file,
            holds more than weights, or has no key below ``prefix``.
    """
    if Path(path).is_dir():
        raise CheckpointError(f'{path} is a folder, where a file with weights is wanted')
    if Path(path).suffix == '.safetensors':
        content = _load_safetensors(path)
    else:
        content = load_safely(path, mmap=zipfile.is_zipfile(path), allowed=allowed)
    for name in ('state_dict', 'ema'):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise CheckpointError(
            f'{path} is not a state dict: expected a dict from names to tensors, '
            f'got {type(content).__name__}'
        )
    kept = {key[len(prefix) :]: value for key, value in content.items() if key.startswith(prefix)}
    if not kept:
        raise CheckpointError(
            f'{path} has no key that starts with prefix={prefix!r}; it has {_some(content)}'
        )
    return kept


def _load_safetensors(path: str | PathLike) -> dict[str, Tensor]:
    safetensors = require_sd('safetensors.torch')
    try:
        return safetensors.load_file(path)
    except FileNotFoundError:
        raise FileNotFoundError(f'checkpoint file {path} does not exist') from None
    except require_sd('safetensors').SafetensorError as error:
        raise CheckpointError(f'{path} is truncated, or is no safetensors file: {error}') from None


def check_fit(
    state_dict: Mapping[str, Tensor],
    needed: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
    source: str,
    what: str,
) -> None:
    """Refuse a state dict that does not fit.

    Args:
        state_dict (Mapping[str, Tensor]): What to check.
        needed (Mapping[str, Tensor]): What it must have.
        known (Mapping[str, Tensor]): What it may have, and in which shapes.
        source (str): Where it came from, for the message.
        what (str): What it is to fit, for the message.

    Raises:
        CheckpointError: If a key is missing, unexpected or misshapen. The
            message names it.
    """
    faults = {
        'missing': [key for key in needed if key not in state_dict],
        'unexpected': [key for key in state_dict if key not in known],
        'misshapen': [
            f'{key} (checkpoint {tuple(value.shape)}, {what} {tuple(known[key].shape)})'
            for key, value in state_dict.items()
            if key in known and value.shape != known[key].shape
        ],
    }
    if any(faults.values()):
        raise CheckpointError(
            f'{source} does not fit the {what}; '
            + '; '.join(f'{fault}: {_some(keys)}' for fault, keys in faults.items() if keys)
        )


def load_weights(network: Denoiser, state_dict: Mapping[str, Tensor], source: str) -> list[str]:
    """Copy a state dict into a network, of which later blocks may be missing.

    Args:
        network (Denoiser): The network to fill.
        state_dict (Mapping[str, Tensor]): Weights of the same architecture.
        source (str): Where they came from, for messages.

    Returns:
        list[str]: The keys that were left out as their blocks are not built.

    Raises:
        CheckpointError: If they are of another family, or a key is missing,
            unexpected or misshapen, or a weight that is needed is NaN or
            infinite. The message names it.
    """
    mark, holds = next(((m, MARKS[m]) for m in MARKS if m in state_dict), (None, None))
    if mark not in network.marks:
        wanted = network.marks[0]
        found = f'it holds {holds}' if holds else f'it has no {wanted} but {_some(state_dict)}'
        raise CheckpointError(f'{source} does not hold {MARKS[wanted]}: {found}')
    with torch.device('meta'):
        complete = type(network)(network.arch).state_dict()
    built = network.state_dict()
    check_fit(state_dict, built, complete, source, 'architecture')
    check_finite({key: state_dict[key] for key in built}, source)
    network.load_state_dict({key: state_dict[key] for key in built})
    return [key for key in state_dict if key not in built]


def check_finite(state_dict: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights that are not finite.

    Args:
        state_dict (Mapping[str, Tensor]): The weights.
        source (str): Where they came from, for the message.

    Raises:
        CheckpointError: If one is NaN or infinite. The message names it.
    """
    broken = [key for key, value in state_dict.items() if not value.isfinite().all()]
    if broken:
        raise CheckpointError(f'{source} has NaN or infinite weights: {_some(broken)}')


def _unreadable(path):
    return f'{path} is truncated, or is not a file that torch.save wrote'


def _some(keys, most=8):
    keys = list(keys)
    more = f' and {len(keys) - most} more' if len(keys) > most else ''
    return ', '.join(keys[:most]) + more
