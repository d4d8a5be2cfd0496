"""Stable Diffusion's U-Net, with the features of its blocks as the main output.

The layers are diffusers', under their names there, so that state dicts go both ways.
"""

from collections.abc import Iterator

from torch import Tensor, nn

from ..attention import AttentionProcessor
from ..embedding import time_vectors
from ..parts import fill, on_meta, require_sd
from ..unet import UNetDenoiser
from .arch import StableDiffusionArchitecture


class BlockLayers(nn.Sequential):
    """The layers of one numbered block, in turn."""

    def forward(self, x: Tensor, emb: Tensor, tokens: Tensor) -> Tensor:
        for layer in self:
            match type(layer).__name__:
                case 'ResnetBlock2D':
                    x = layer(x, emb)
                case 'Transformer2DModel':
                    (x,) = layer(x, encoder_hidden_states=tokens, return_dict=False)
                case _:
                    x = layer(x)
        return x


class StableDiffusionUNet(UNetDenoiser):
    """Stable Diffusion's U-Net: features of any set of blocks in one walk over the blocks.

    Its condition are the tokens of a text, shape (N, L, cross_attention_dim),
    or (1, L, cross_attention_dim) for all alike.

    Args:
        arch (StableDiffusionArchitecture): The architecture.
        last_block (int, optional): The deepest block to build. Later blocks
            and the output layer do not exist then. Defaults to None: all.
        gradient_checkpointing (bool): As of :class:`Denoiser`. Defaults to
            False.

    Raises:
        ImportError: If diffusers is not installed.
        TypeError: If ``last_block`` is not an integer.
        ValueError: If the architecture has no such block.
    """

    marks = ('time_embedding.linear_1.weight',)
    embedding_layers = ('time_emb_proj',)

    def __init__(
        self,
        arch: StableDiffusionArchitecture,
        last_block: int | None = None,
        gradient_checkpointing: bool = False,
    ):
        super().__init__(arch, last_block, gradient_checkpointing)
        theirs = on_meta(require_sd('diffusers').UNet2DConditionModel, **diffusers_config(arch))
        theirs.set_attn_processor(AttentionProcessor())
        names = {module: name for name, module in theirs.named_modules()}
        numbered = _numbered(theirs)[: self.last_block]
        self._layers = [[names[layer] for layer in layers] for layers in numbered]
        # Modules in a list are not children: their weights have diffusers' names alone.
        self._blocks = [BlockLayers(*layers) for layers in numbered]
        built = {layer for block in self._blocks for layer in block.modules()}
        if last_block is None:
            built |= {theirs.conv_norm_out, theirs.conv_out}
        _drop_others(theirs, built | set(theirs.time_embedding.modules()))
        for name, part in theirs.named_children():
            self.add_module(name, part)
        fill(self)

    def blocks(self) -> Iterator[BlockLayers]:
        """The blocks that are built, first to last."""
        for number, names in enumerate(self._layers):
            layers = [self.get_submodule(name) for name in names]
            # A layer may have been replaced by another, such as an adapter.
            if any(a is not b for a, b in zip(layers, self._blocks[number], strict=True)):
                self._blocks[number] = BlockLayers(*layers)
            yield self._blocks[number]

    def embeddings(self) -> Iterator[nn.Module]:
        """What embeds timesteps."""
        yield self.time_embedding

    def context(self, timesteps: Tensor, tokens: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
        """The embedding of the timesteps, and the text's tokens for each map."""
        emb = self.kept(self.embeddings(), self.embed, timesteps)
        return emb, tokens.expand(batch_size, -1, -1)

    def embed(self, timesteps: Tensor) -> Tensor:
        """Embed timesteps.

        Args:
            timesteps (Tensor): Shape (N, ), or as of :func:`time_vectors`.

        Returns:
            Tensor: Shape (N, 4 * block_out_channels[0]).
        """
        return self.time_embedding(time_vectors(timesteps, self.arch))

    def forward(self, x_t: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        """Predict the noise (or, of 2.x for 768 px, the velocity).

        Args:
            x_t (Tensor): Noised latents, shape (N, 4, H, W).
            timesteps (Tensor): Shape (N, ), or (1, ) for all alike, from 0 to
                999.
            tokens (Tensor): The text's, shape (N or 1, L,
                cross_attention_dim).

        Returns:
            Tensor: Shape (N, 4, H, W).

        Raises:
            RuntimeError: If the last blocks are not built.
        """
        if not hasattr(self, 'conv_out'):
            raise RuntimeError(
                f'this U-Net ends with block {self.last_block}, so it has features but no output; '
                'build it with last_block=None'
            )
        (h,) = self.features(x_t, timesteps, (self.last_block,), tokens)
        return self.conv_out(nn.functional.silu(self.conv_norm_out(h)))


def diffusers_config(arch: StableDiffusionArchitecture) -> dict:
    """The arguments of diffusers' ``UNet2DConditionModel``.

    Args:
        arch (StableDiffusionArchitecture): The architecture.

    Returns:
        dict: Its arguments.
    """
    attending = len(arch.block_out_channels) - 1
    return dict(
        in_channels=arch.input.channels,
        down_block_types=['CrossAttnDownBlock2D'] * attending + ['DownBlock2D'],
        up_block_types=['UpBlock2D'] + ['CrossAttnUpBlock2D'] * attending,
        block_out_channels=arch.block_out_channels,
        layers_per_block=arch.layers_per_block,
        cross_attention_dim=arch.cross_attention_dim,
        attention_head_dim=arch.num_attention_heads,
        use_linear_projection=arch.use_linear_projection,
    )


def _numbered(unet: nn.Module) -> list[list[nn.Module]]:
    """The layers of diffusers' U-Net, block by block."""
    blocks = [[unet.conv_in]]
    for level in unet.down_blocks:
        blocks += _residual(level)
        blocks += [[down] for down in level.downsamplers or ()]
    middle = unet.mid_block
    blocks.append([middle.resnets[0], middle.attentions[0], middle.resnets[1]])
    for level in unet.up_blocks:
        blocks += _residual(level)
        # The last block of a level upsamples.
        blocks[-1] += level.upsamplers or ()
    return blocks


def _residual(level: nn.Module) -> list[list[nn.Module]]:
    attentions = getattr(level, 'attentions', None)
    if attentions is None:
        return [[resnet] for resnet in level.resnets]
    return [list(pair) for pair in zip(level.resnets, attentions, strict=True)]


def _drop_others(module: nn.Module, kept: set[nn.Module]) -> None:
    """Remove the layers below a module that are not to be kept."""
    for name, child in list(module.named_children()):
        if child in kept:
            continue
        _drop_others(child, kept)
        if not any(part in kept for part in child.modules()):
            delattr(module, name)
