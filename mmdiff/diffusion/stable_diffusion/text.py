"""The embedding of the empty prompt, by the text encoder that comes with a model."""

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..checkpoint import CheckpointError, load_safely, read_checkpoint
from ..parts import require_sd
from .arch import StableDiffusionArchitecture

# What holds the positions' embedding in the original file, by the kind of text encoder.
POSITIONS = {
    'clip': 'cond_stage_model.transformer.text_model.embeddings.position_embedding.weight',
    'open-clip': 'cond_stage_model.model.positional_embedding',
}
INSTEAD = "text='...' with a file of embeddings needs no text encoder"


def null_text_of_folder(folder: Path) -> Tensor:
    """Embed the empty prompt with the ``text_encoder/`` and ``tokenizer/`` of a pipeline.

    Args:
        folder (Path): What diffusers saved.

    Returns:
        Tensor: Shape (1, L, C).

    Raises:
        ImportError: If transformers is not installed.
        FileNotFoundError: If one of the two is missing.
        CheckpointError: If one cannot be read.
    """
    for part in ('text_encoder', 'tokenizer'):
        if not (folder / part).is_dir():
            raise FileNotFoundError(
                f'{folder} has no {part}/, with which the empty prompt is embedded; {INSTEAD}'
            )
    transformers = require_sd('transformers')
    weights = folder / 'text_encoder'
    whole = any((weights / f).is_file() for f in ('model.safetensors', 'pytorch_model.bin'))
    try:
        tokenizer = transformers.CLIPTokenizer.from_pretrained(
            folder / 'tokenizer', local_files_only=True
        )
        encoder = transformers.CLIPTextModel.from_pretrained(
            weights, local_files_only=True, variant=None if whole else 'fp16'
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f'the text_encoder/ or tokenizer/ of {folder} cannot be read: {error}'
        ) from error
    length = encoder.config.max_position_embeddings
    ids = tokenizer('', padding='max_length', max_length=length, return_tensors='pt').input_ids
    return _embed(encoder, ids)


def null_text_of_file(
    state_dict: Mapping[str, Tensor], arch: StableDiffusionArchitecture, source: str
) -> Tensor:
    """Embed the empty prompt with the text encoder in Stable Diffusion's original file.

    The file has no tokenizer, but the tokens of nothing are known: a start,
    an end, and padding, which is the end for CLIP and 0 for OpenCLIP.

    Args:
        state_dict (Mapping[str, Tensor]): The file's.
        arch (StableDiffusionArchitecture): Says which encoder it is.
        source (str): Where it came from, for messages.

    Returns:
        Tensor: Shape (1, L, C).

    Raises:
        ImportError: If transformers is not installed.
        CheckpointError: If there is no text encoder, or another.
    """
    kind = next((kind for kind, key in POSITIONS.items() if key in state_dict), None)
    if kind is None:
        raise CheckpointError(
            f'{source} holds no text encoder (no cond_stage_model...), with which the empty prompt '
            f'is embedded; {INSTEAD}'
        )
    if kind != arch.text_encoder:
        raise CheckpointError(
            f'{source} holds the text encoder {kind!r}, but arch has text_encoder='
            f'{arch.text_encoder!r}: "sd-1" has clip, "sd-2" open-clip'
        )
    transformers = require_sd('transformers')
    files = require_sd('diffusers.loaders.single_file_utils')
    clip = kind == 'clip'
    layer = r'text_model\.encoder\.layers' if clip else r'model\.transformer\.resblocks'
    numbers = {
        int(found[1])
        for key in state_dict
        if (found := re.match(rf'cond_stage_model\..*?{layer}\.(\d+)\.', key))
    }
    text = {key: value for key, value in state_dict.items() if key.startswith('cond_stage_model.')}
    if not clip:
        # The last layer but one is what 2.x takes.
        last = f'resblocks.{max(numbers)}.'
        text = {key: value for key, value in text.items() if last not in key}
        numbers.remove(max(numbers))
    length, width = state_dict[POSITIONS[kind]].shape
    vocabulary = next(len(value) for key, value in text.items() if 'token_embedding.' in key)
    mlp = next(len(value) for key, value in text.items() if re.search(r'(c_fc|fc1)\.bias$', key))
    config = transformers.CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=len(numbers),
        # 64 channels each, in both.
        num_attention_heads=max(1, width // 64),
        max_position_embeddings=length,
        hidden_act='quick_gelu' if clip else 'gelu',
    )
    encoder = transformers.CLIPTextModel(config)
    if clip:
        weights = files.convert_ldm_clip_checkpoint(text)
    else:
        weights = files.convert_open_clip_checkpoint(encoder, text)
    if not hasattr(encoder, 'text_model'):
        # Since transformers 5.6.
        weights = {key.removeprefix('text_model.'): value for key, value in weights.items()}
    missing = encoder.load_state_dict(weights, strict=False).missing_keys
    # Older versions of transformers saved positions, which are no weights.
    missing = [key for key in missing if not key.endswith('position_ids')]
    if missing:
        raise CheckpointError(f'{source} has no whole text encoder: {", ".join(missing[:8])}')
    ids = torch.full((1, length), vocabulary - 1 if clip else 0)
    ids[0, 0], ids[0, 1] = vocabulary - 2, vocabulary - 1
    return _embed(encoder, ids)


@torch.no_grad()
def _embed(encoder: nn.Module, ids: Tensor) -> Tensor:
    return encoder.float().eval()(ids).last_hidden_state


def read_text(path: str | PathLike, width: int) -> Tensor:
    """Read the embedding of a text from a file.

    Args:
        path (str | PathLike): A tensor of shape (L, C) or (1, L, C): alone in
            a file that ``torch.save`` or ``numpy.save`` wrote, or the only
            one in a ``.safetensors`` file.
        width (int): The C that the network wants.

    Returns:
        Tensor: Shape (1, L, C), float32.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it is broken, or holds something else.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"text must be 'null', 'learnable' or a file of embeddings, and there is no file {path}"
        )
    if path.suffix == '.npy':
        try:
            value = torch.from_numpy(np.load(path, allow_pickle=False))
        except (ValueError, TypeError, EOFError) as error:
            raise CheckpointError(f'text: {path} cannot be read: {error}') from None
    elif path.suffix == '.safetensors':
        value = read_checkpoint(path)
        value = next(iter(value.values())) if len(value) == 1 else value
    else:
        value = load_safely(path)
    shape = tuple(value.shape) if isinstance(value, Tensor) else None
    if shape is None or len(shape) not in (2, 3) or shape[-1] != width or not value.numel():
        raise CheckpointError(
            f'text: {path} must hold one tensor of shape (L, {width}) or (1, L, {width}), got '
            f'{type(value).__name__ if shape is None else shape}'
        )
    if len(shape) == 3 and shape[0] != 1:
        raise CheckpointError(f'text: {path} must hold one text, got {shape[0]}')
    if not value.isfinite().all():
        raise CheckpointError(f'text: {path} has NaN or infinite values')
    return value.float().reshape(1, -1, width)
