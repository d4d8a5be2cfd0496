"""A small Stable Diffusion with random weights, in the formats in which it is published."""

import json
import re
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

ARCH = dict(
    image_size=64, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=128,
    num_attention_heads=2,
)  # fmt: skip
VAE_CHANNELS = (32, 32, 32, 32)
NUM_TOKENS = 77


def unet(**changes) -> UNet2DConditionModel:
    """Diffusers' U-Net of ``ARCH``."""
    arch = ARCH | changes
    levels = len(arch['block_out_channels'])
    return with_random_weights(
        UNet2DConditionModel(
            down_block_types=['CrossAttnDownBlock2D'] * (levels - 1) + ['DownBlock2D'],
            up_block_types=['UpBlock2D'] + ['CrossAttnUpBlock2D'] * (levels - 1),
            block_out_channels=arch['block_out_channels'],
            layers_per_block=arch['layers_per_block'],
            cross_attention_dim=arch['cross_attention_dim'],
            attention_head_dim=arch['num_attention_heads'],
            use_linear_projection=arch.get('use_linear_projection', False),
        )
    )


def autoencoder() -> AutoencoderKL:
    """Diffusers' autoencoder."""
    levels = len(VAE_CHANNELS)
    return with_random_weights(
        AutoencoderKL(
            block_out_channels=VAE_CHANNELS,
            layers_per_block=2,
            down_block_types=['DownEncoderBlock2D'] * levels,
            up_block_types=['UpDecoderBlock2D'] * levels,
            latent_channels=4,
        )
    )


def text_encoder(**changes) -> CLIPTextModel:
    """A text encoder of two layers."""
    config = dict(
        vocab_size=6, hidden_size=128, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=NUM_TOKENS, hidden_act='quick_gelu',
        bos_token_id=4, eos_token_id=5, pad_token_id=5,
    )  # fmt: skip
    return with_random_weights(CLIPTextModel(CLIPTextConfig(**(config | changes))))


def with_random_weights(module: nn.Module) -> nn.Module:
    """Also where weights begin at zero or one, so that each of them counts."""
    for name, parameter in module.named_parameters():
        if parameter.dim() == 1:
            parameter.data.normal_(mean=float(name.endswith('weight')), std=0.1)
    return module.eval()


def save_folder(folder: Path, **parts: nn.Module) -> Path:
    """Save a pipeline as diffusers does, with a tokenizer of six tokens."""
    for name, model in parts.items():
        model.save_pretrained(folder / name)
    tokenizer = folder / 'tokenizer'
    tokenizer.mkdir(parents=True)
    tokens = ['a', 'b', 'a</w>', 'b</w>', '<|startoftext|>', '<|endoftext|>']
    (tokenizer / 'vocab.json').write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (tokenizer / 'merges.txt').write_text('#version: 0.2\n')
    return folder


def renamed(state_dict: dict[str, Tensor], pairs, prefix: str = '') -> dict[str, Tensor]:
    """A state dict with patterns in its names replaced, one after another."""
    result = {}
    for key, value in state_dict.items():
        for pattern, replacement in pairs:
            key = re.sub(pattern, replacement, key)
        result[prefix + key] = value
    return result


def original_unet(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """The state dict of a U-Net in the original names, numbered as in latent-diffusion."""
    size = unet.config.layers_per_block + 1
    last = {
        f'{level}': (
            size * level + size - 1,
            2 if type(block).__name__.startswith('CrossAttn') else 1,
        )
        for level, block in enumerate(unet.up_blocks)
    }

    def number(first, part):
        def replace(found):
            return f'{part}.{first + size * int(found[1]) + int(found[2])}.'

        return replace

    resnet = {
        'norm1': 'in_layers.0', 'conv1': 'in_layers.2', 'norm2': 'out_layers.0',
        'conv2': 'out_layers.3', 'time_emb_proj': 'emb_layers.1',
        'conv_shortcut': 'skip_connection',
    }  # fmt: skip
    # The transformers' layers have names like norm1 too.
    pairs = [
        *((rf'(resnets\.\d+)\.{theirs}\.', rf'\1.{ours}.') for theirs, ours in resnet.items()),
        (r'^conv_in\.', 'input_blocks.0.0.'),
        (r'^time_embedding\.linear_1\.', 'time_embed.0.'),
        (r'^time_embedding\.linear_2\.', 'time_embed.2.'),
        (r'^conv_norm_out\.', 'out.0.'),
        (r'^conv_out\.', 'out.2.'),
        (r'^mid_block\.resnets\.0', 'middle_block.0'),
        (r'^mid_block\.attentions\.0', 'middle_block.1'),
        (r'^mid_block\.resnets\.1', 'middle_block.2'),
        (
            r'^down_blocks\.(\d+)\.downsamplers\.0\.conv\.',
            lambda m: f'input_blocks.{size * (int(m[1]) + 1)}.0.op.',
        ),
        (
            r'^up_blocks\.(\d+)\.upsamplers\.0\.conv\.',
            lambda m: 'output_blocks.{}.{}.conv.'.format(*last[m[1]]),
        ),
        (r'^down_blocks\.(\d+)\.resnets\.(\d+)\.', lambda m: number(1, 'input_blocks')(m) + '0.'),
        (
            r'^down_blocks\.(\d+)\.attentions\.(\d+)\.',
            lambda m: number(1, 'input_blocks')(m) + '1.',
        ),
        (r'^up_blocks\.(\d+)\.resnets\.(\d+)\.', lambda m: number(0, 'output_blocks')(m) + '0.'),
        (r'^up_blocks\.(\d+)\.attentions\.(\d+)\.', lambda m: number(0, 'output_blocks')(m) + '1.'),
    ]
    return renamed(unet.state_dict(), pairs, 'model.diffusion_model.')


def original_autoencoder(vae: AutoencoderKL, prefix: str) -> dict[str, Tensor]:
    """The state dict of an autoencoder in the original names."""
    last = len(VAE_CHANNELS) - 1
    pairs = [
        ('conv_shortcut', 'nin_shortcut'),
        ('conv_norm_out', 'norm_out'),
        (r'down_blocks\.(\d+)\.resnets\.', r'down.\1.block.'),
        (r'down_blocks\.(\d+)\.downsamplers\.0', r'down.\1.downsample'),
        (r'up_blocks\.(\d+)\.resnets\.', lambda m: f'up.{last - int(m[1])}.block.'),
        (r'up_blocks\.(\d+)\.upsamplers\.0', lambda m: f'up.{last - int(m[1])}.upsample'),
        (r'mid_block\.resnets\.(\d)', lambda m: f'mid.block_{int(m[1]) + 1}'),
        (r'mid_block\.attentions\.0', 'mid.attn_1'),
        (r'attn_1\.group_norm', 'attn_1.norm'),
        (r'attn_1\.to_([qkv])', r'attn_1.\1'),
        (r'attn_1\.to_out\.0', 'attn_1.proj_out'),
    ]
    named = renamed(vae.state_dict(), pairs, prefix)
    return {
        # Its attention has 1x1 convolutions.
        key: value[..., None, None] if 'attn_1' in key and value.dim() == 2 else value
        for key, value in named.items()
    }


def original_text_encoder(encoder: CLIPTextModel) -> dict[str, Tensor]:
    """The state dict of 1.x's text encoder in the original file."""
    pairs = [(r'^text_model\.', ''), (r'^', 'cond_stage_model.transformer.text_model.')]
    named = renamed(encoder.state_dict(), pairs)
    positions = 'cond_stage_model.transformer.text_model.embeddings.position_ids'
    return named | {positions: torch.arange(NUM_TOKENS)[None]}


def original_open_clip(encoder: CLIPTextModel) -> dict[str, Tensor]:
    """The state dict of 2.x's text encoder in the original file: with a last layer more."""
    state_dict = renamed(encoder.state_dict(), [(r'^text_model\.', '')])
    layers, named = encoder.config.num_hidden_layers, {}
    for number in range(layers + 1):
        layer = {
            key.split('.', 3)[3]: value
            for key, value in state_dict.items()
            if key.startswith(f'encoder.layers.{min(number, layers - 1)}.')
        }
        prefix = f'transformer.resblocks.{number}.'
        for kind in ('weight', 'bias'):
            named[f'{prefix}attn.in_proj_{kind}'] = torch.cat(
                [layer[f'self_attn.{part}_proj.{kind}'] for part in 'qkv']
            )
            for ours, theirs in (
                ('attn.out_proj', 'self_attn.out_proj'), ('ln_1', 'layer_norm1'),
                ('ln_2', 'layer_norm2'), ('mlp.c_fc', 'mlp.fc1'), ('mlp.c_proj', 'mlp.fc2'),
            ):  # fmt: skip
                named[f'{prefix}{ours}.{kind}'] = layer[f'{theirs}.{kind}']
    named |= {
        'token_embedding.weight': state_dict['embeddings.token_embedding.weight'],
        'positional_embedding': state_dict['embeddings.position_embedding.weight'],
        'ln_final.weight': state_dict['final_layer_norm.weight'],
        'ln_final.bias': state_dict['final_layer_norm.bias'],
        'text_projection': torch.eye(encoder.config.hidden_size),
        'logit_scale': torch.ones(()),
    }
    return {f'cond_stage_model.model.{key}': value.clone() for key, value in named.items()}
