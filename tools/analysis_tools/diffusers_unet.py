"""The ADM U-Net in diffusers, on the weights of guided-diffusion's."""

from diffusers import UNet2DModel
from guided_diffusion.unet import UNetModel
from guided_diffusion_unet import numbered_blocks
from torch import Tensor, nn

from mmdiff.diffusion import Architecture


def diffusers_unet(arch: Architecture) -> UNet2DModel:
    """The same U-Net in diffusers, of what has ``use_scale_shift_norm`` and ``resblock_updown``."""
    attended = {arch.image_size // size for size in arch.attention_resolutions}
    with_attention = [2**level in attended for level in range(len(arch.channel_mult))]
    return UNet2DModel(
        sample_size=arch.image_size,
        in_channels=3,
        out_channels=6 if arch.learn_sigma else 3,
        layers_per_block=arch.num_res_blocks,
        block_out_channels=arch.level_channels,
        down_block_types=[
            'AttnDownBlock2D' if attention else 'ResnetDownsampleBlock2D'
            for attention in with_attention
        ],
        up_block_types=[
            'AttnUpBlock2D' if attention else 'ResnetUpsampleBlock2D'
            for attention in reversed(with_attention)
        ],
        attention_head_dim=arch.num_head_channels,
        resnet_time_scale_shift='scale_shift',
        downsample_type='resnet',
        upsample_type='resnet',
        attn_norm_num_groups=32,
        flip_sin_to_cos=True,
        freq_shift=0,
    )


def diffusers_blocks(unet: UNet2DModel) -> list[list[nn.Module]]:
    """The layers of diffusers' U-Net, grouped by the paper's numbering."""
    blocks = [[unet.conv_in]]
    for level in unet.down_blocks:
        blocks += _residual_blocks(level)
        blocks += [[down] for down in level.downsamplers or ()]
    middle = unet.mid_block
    blocks.append([middle.resnets[0], middle.attentions[0], middle.resnets[1]])
    for level in unet.up_blocks:
        blocks += _residual_blocks(level)
        # The last block of a level upsamples.
        blocks[-1] += level.upsamplers or ()
    return blocks


def _residual_blocks(level: nn.Module) -> list[list[nn.Module]]:
    attentions = getattr(level, 'attentions', None)
    if attentions is None:
        return [[resnet] for resnet in level.resnets]
    return [list(pair) for pair in zip(level.resnets, attentions, strict=True)]


def share_weights(theirs: UNetModel, unet: UNet2DModel, arch: Architecture) -> None:
    """Make diffusers' U-Net use the weights of guided-diffusion's."""
    names = {'in_layers.0': 'norm1', 'in_layers.2': 'conv1', 'emb_layers.1': 'time_emb_proj'}
    names |= {'out_layers.0': 'norm2', 'out_layers.3': 'conv2', 'skip_connection': 'conv_shortcut'}
    names |= {'norm': 'group_norm', 'proj_out': 'to_out.0'}
    pairs = [(theirs.time_embed[0], unet.time_embedding.linear_1)]
    pairs += [(theirs.time_embed[2], unet.time_embedding.linear_2)]
    pairs += [(theirs.out[0], unet.conv_norm_out), (theirs.out[2], unet.conv_out)]
    for block, layers in zip(numbered_blocks(theirs), diffusers_blocks(unet), strict=True):
        pairs += zip(block, layers, strict=True)
    for source, target in pairs:
        weights = {}
        for key, value in source.state_dict().items():
            name, _, kind = key.rpartition('.')
            if name == 'qkv':
                weights |= {
                    f'to_{letter}.{kind}': part
                    for letter, part in zip('qkv', _split_qkv(value, arch), strict=True)
                }
            else:
                # diffusers has linear layers where guided-diffusion has 1x1 convolutions.
                value = value.squeeze(-1) if name == 'proj_out' else value
                weights[f'{names[name]}.{kind}' if name else kind] = value
        target.load_state_dict(weights, assign=True)


def _split_qkv(value: Tensor, arch: Architecture) -> tuple[Tensor, ...]:
    value = value.squeeze(-1) if value.dim() == 3 else value
    if arch.use_new_attention_order:
        return value.chunk(3)
    # Head after head, each with its queries, keys and values.
    heads = value.unflatten(0, (-1, 3, arch.num_head_channels))
    return tuple(part.flatten(0, 1) for part in heads.unbind(1))
