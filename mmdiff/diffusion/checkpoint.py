"""Reading checkpoints of any family, and checking that they fit."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..torch_compat import load_weights_only
from .denoiser import Denoiser
from .foreign_files import describe_folder, describe_unreadable, is_safetensors
from .lora import adapted_weight, is_of_lora
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


# What DistributedDataParallel, torch.compile and Lightning put before a network's names.
WRAPPERS = ('module.', '_orig_mod.', 'model.')


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
        path (str | PathLike): A file that ``torch.save`` wrote, or in the
            format of safetensors.
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
        CheckpointError: If the file is a folder, is truncated, is no
            checkpoint, or holds more than is allowed.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f'checkpoint file {path} does not exist')
    if Path(path).is_dir():
        raise CheckpointError(f'{path} {describe_folder(path)}')
    if is_safetensors(path):
        return _load_safetensors(path)
    if Path(path).suffix == '.safetensors':
        # Only some versions of PyTorch refuse the suffix.
        raise CheckpointError(f'{path} {describe_unreadable(path)}')
    try:
        return load_weights_only(path, map_location, mmap, allowed)
    except pickle.UnpicklingError as error:
        unsafe = re.search(r'GLOBAL (\S+) was not an allowed global', str(error)) or re.search(
            r'Can only .* but got .*?([\w.]+)', str(error)
        )
        if unsafe:
            raise CheckpointError(
                f'{path} holds more than weights ({unsafe[1]}), and only weights are loaded. '
                "Save its state dict alone: torch.save(checkpoint['state_dict'], path)"
            ) from None
        raise CheckpointError(f'{path} {describe_unreadable(path)}') from error
    except (PermissionError, MemoryError):
        raise
    except Exception as error:  # torch's unpickler meets foreign bytes with any error
        raise CheckpointError(f'{path} {describe_unreadable(path)}') from error


def read_checkpoint(
    path: str | PathLike,
    prefix: str = '',
    allowed: Sequence[Callable | tuple[Callable, str]] = (),
    entry: str | None = None,
) -> dict[str, Tensor]:
    """Read a state dict from a file, as weights only: no code in it can run.

    Tensors of an ordinary (zip) file are mapped into memory, so that those of
    blocks that are not built are never read from disk. Where all keys begin
    with what a wrapper puts there (:data:`WRAPPERS`), they are taken without
    it.

    Args:
        path (str | PathLike): A state dict saved by ``torch.save``, as the
            published checkpoints are; a dict that holds one or more, as
            trainings write; or a file in the format of safetensors.
        prefix (str): Keep the keys below this prefix, without it, e.g.
            ``'backbone.unet.'`` in a segmentor's checkpoint. Defaults to ''.
        allowed (Sequence[Callable | tuple[Callable, str]]): As of
            :func:`load_safely`. Defaults to none.
        entry (str, optional): Which entry of a dict of several state dicts,
            e.g. ``'model'``. Defaults to None: ``'state_dict'``, as MMEngine
            and Lightning write, or else the only one, or else the averaged
            weights (EMA), such as ``'ema'`` of DiT's training, with a warning
            that names the others.

    Returns:
        dict[str, Tensor]: The state dict, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is truncated, is no checkpoint, holds more
            than weights, or several state dicts of which none is named, or has
            no key below ``prefix``.
    """
    content = load_safely(path, mmap=zipfile.is_zipfile(path), allowed=allowed)
    state_dict = _without_wrappers(find_state_dict(content, path, entry), prefix)
    kept = {key[len(prefix) :]: v for key, v in state_dict.items() if key.startswith(prefix)}
    if not kept:
        raise CheckpointError(
            f'{path} has no key that starts with prefix={prefix!r}; it has {_some(state_dict)}'
        )
    return kept


def find_state_dict(
    content: Any, path: str | PathLike, entry: str | None = None
) -> Mapping[str, Tensor]:
    """Find the state dict in what a file holds.

    Args:
        content (Any): As of :func:`load_safely`.
        path (str | PathLike): Where it came from, for messages.
        entry (str, optional): As of :func:`read_checkpoint`. Defaults to None.

    Returns:
        Mapping[str, Tensor]: The state dict.

    Raises:
        CheckpointError: If there is none, or there are several of which none
            is named.
    """
    if _is_state_dict(content) and entry is None:
        return content
    values = content if isinstance(content, Mapping) else {}
    found = [key for key, value in values.items() if _is_state_dict(value) and value]
    if entry in found:
        return values[entry]
    if entry is not None:
        there = _some(map(str, found)) or 'none'
        raise CheckpointError(f'{path} has no state dict under entry={entry!r}; it has {there}')
    if not found:
        raise CheckpointError(
            f'{path} is not a state dict: expected a dict from names to tensors, or of such '
            f'dicts, got {type(content).__name__}'
            + (f' with {_some(map(str, values))}' if values else '')
        )
    if 'state_dict' in found or len(found) == 1:
        return values['state_dict' if 'state_dict' in found else found[0]]
    averaged = [name for name in found if 'ema' in str(name).lower()]
    several = f'{path} has several state dicts, {_some(map(str, found))}'
    choice = f'name one in init_cfg, entry={found[0]!r}, or save it alone'
    if len(averaged) != 1:
        raise CheckpointError(f'{several}: {choice}')
    warnings.warn(
        f'{several}: {averaged[0]!r}, the averaged weights (EMA), is taken. For another, {choice}',
        stacklevel=3,
    )
    return values[averaged[0]]


def _is_state_dict(content: Any) -> bool:
    return isinstance(content, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )


def _without_wrappers(state_dict: Mapping[str, Tensor], prefix: str) -> Mapping[str, Tensor]:
    """Keys as of the network itself, where they are known, or else as they are."""

    def is_known(keys: Mapping[str, Tensor]) -> bool:
        if prefix:
            return any(key.startswith(prefix) for key in keys)
        return not MARKS.keys().isdisjoint(keys)

    stripped = state_dict
    while not is_known(stripped):
        wrapper = next((w for w in WRAPPERS if all(k.startswith(w) for k in stripped)), None)
        if wrapper is None or not stripped:
            return state_dict
        stripped = {key.removeprefix(wrapper): value for key, value in stripped.items()}
    return stripped


def _load_safetensors(path: str | PathLike) -> dict[str, Tensor]:
    safetensors = require_sd('safetensors.torch')
    try:
        return safetensors.load_file(path)
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

    A network with LoRA's adapters takes weights without any, too, and keeps
    its own then.

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
    _check_family(network, state_dict, source)
    needed, known = _needed_and_known(network, state_dict, source)
    check_fit(state_dict, needed, known, source, 'architecture')
    weights = {key: state_dict[key] for key in needed}
    check_finite(weights, source)
    network.load_state_dict(network.state_dict() | weights)
    return [key for key in state_dict if key not in needed]


def _check_family(network: Denoiser, state_dict: Mapping[str, Tensor], source: str) -> None:
    mark, holds = next(((m, MARKS[m]) for m in MARKS if m in state_dict), (None, None))
    if mark not in network.marks:
        wanted = network.marks[0]
        found = f'it holds {holds}' if holds else f'it has no {wanted} but {_some(state_dict)}'
        below = next((k.removesuffix(wanted) for k in state_dict if k.endswith(f'.{wanted}')), None)
        if below and not holds:
            found += f'. It is below {below!r}: save the keys that begin with it, without it'
        raise CheckpointError(f'{source} does not hold {MARKS[wanted]}: {found}')


def _needed_and_known(
    network: Denoiser, state_dict: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What of a state dict a network needs, and what may be in it."""
    built = network.state_dict()
    with torch.device('meta'):
        complete = type(network)(network.arch).state_dict()
    given = {key: value for key, value in state_dict.items() if is_of_lora(key)}
    if not given:
        return {key: value for key, value in built.items() if not is_of_lora(key)}, complete
    if not any(map(is_of_lora, built)):
        raise CheckpointError(
            f"{source} has LoRA's adapters ({_some(given, 1)}), which are not built: give the "
            'backbone lora=dict(rank=..., blocks=...) as the run had it, or merge them first '
            '(docs/lora.md)'
        )
    of_later = {key: value for key, value in given.items() if adapted_weight(key) not in built}
    return built, complete | built | of_later


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


def _some(keys, most=8):
    keys = list(keys)
    more = f' and {len(keys) - most} more' if len(keys) > most else ''
    return ', '.join(keys[:most]) + more
