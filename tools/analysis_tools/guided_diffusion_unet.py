"""Features by guided-diffusion's own U-Net, as the authors of the paper take them."""

from collections.abc import Mapping, Sequence
from contextlib import contextmanager

import torch
from guided_diffusion.unet import EncoderUNetModel, UNetModel
from torch import Tensor, nn

from mmdiff.diffusion import Architecture
from mmdiff.diffusion.adm import EncoderArchitecture


def guided_diffusion_unet(arch: Architecture, use_checkpoint: bool = False) -> UNetModel:
    """The U-Net of guided-diffusion."""
    return UNetModel(
        image_size=arch.image_size,
        in_channels=3,
        model_channels=arch.model_channels,
        out_channels=6 if arch.learn_sigma else 3,
        num_res_blocks=arch.num_res_blocks,
        attention_resolutions=[arch.image_size // size for size in arch.attention_resolutions],
        dropout=arch.dropout,
        channel_mult=arch.channel_mult,
        num_classes=arch.num_classes,
        use_checkpoint=use_checkpoint,
        num_heads=arch.num_heads,
        num_head_channels=arch.num_head_channels or -1,
        use_scale_shift_norm=arch.use_scale_shift_norm,
        resblock_updown=arch.resblock_updown,
        use_new_attention_order=arch.use_new_attention_order,
    )


def guided_diffusion_encoder(arch: EncoderArchitecture) -> EncoderUNetModel:
    """The classifier of guided-diffusion."""
    return EncoderUNetModel(
        image_size=arch.image_size,
        in_channels=3,
        model_channels=arch.model_channels,
        out_channels=arch.num_outputs,
        num_res_blocks=arch.num_res_blocks,
        attention_resolutions=[arch.image_size // size for size in arch.attention_resolutions],
        channel_mult=arch.channel_mult,
        num_head_channels=arch.num_head_channels,
        use_scale_shift_norm=arch.use_scale_shift_norm,
        resblock_updown=arch.resblock_updown,
        use_new_attention_order=arch.use_new_attention_order,
        pool='attention',
    )


def numbered_blocks(unet: UNetModel) -> list[nn.Module]:
    """The modules of guided-diffusion's U-Net in the paper's numbering."""
    return [*unet.input_blocks, unet.middle_block, *unet.output_blocks]


@contextmanager
def tapped(modules: Mapping[int, nn.Module]):
    """Collect what modules return while the context lasts, in a dict by their numbers."""
    outputs = {}

    def hook(number):
        return lambda module, args, output: outputs.update({number: output})

    hooks = [module.register_forward_hook(hook(number)) for number, module in modules.items()]
    try:
        yield outputs
    finally:
        for handle in hooks:
            handle.remove()


def authors_features(unet: UNetModel, x_t: Tensor, t: Tensor, blocks: Sequence[int]):
    """Features as the authors' code takes them: of one pass over all blocks."""
    modules = numbered_blocks(unet)
    with tapped({number: modules[number - 1] for number in blocks}) as outputs:
        unet(x_t, t)
    return tuple(outputs[number] for number in blocks)


def authors_diffeed(
    unet: UNetModel, feedback: nn.Module, x_t: Tensor, t: Tensor, blocks: Sequence[int]
):
    """DifFeed as the authors describe it: two passes over all blocks, the first without gradient.

    ``feedback`` is mmdiff's feedback network, so that the layers between are the same.
    """
    with torch.no_grad():
        sources = authors_features(unet, x_t, t, tuple(feedback.targets))
    additions = feedback([source.float() for source in sources], x_t.shape[-2:])
    modules = numbered_blocks(unet)

    def hook(number):
        return lambda module, args, output: output + additions[number].to(output)

    hooks = [modules[number - 1].register_forward_hook(hook(number)) for number in additions]
    try:
        return authors_features(unet, x_t, t, blocks)
    finally:
        for handle in hooks:
            handle.remove()
