"""From images to the latents of Stable Diffusion's autoencoder."""

from collections.abc import Sequence

from torch import Tensor, nn

from ..denoiser import ModelInput
from ..parts import fill, on_meta, require_sd


class LatentEncoder(nn.Module):
    """The encoder of diffusers' ``AutoencoderKL``, under its names there; never trained.

    Args:
        input (ModelInput): The latents' channels, stride and scale.
        block_out_channels (Sequence[int]): Channels of each level, each of
            which but the last halves the size. Defaults to (128, 256, 512,
            512), those of Stable Diffusion 1.x and 2.x, DiT and SiT:
            34,163,664 parameters.

    Raises:
        ImportError: If diffusers is not installed.
        ValueError: If the levels do not make the stride of ``input``.
    """

    def __init__(self, input: ModelInput, block_out_channels: Sequence[int] = (128, 256, 512, 512)):
        super().__init__()
        levels = len(block_out_channels)
        if 2 ** (levels - 1) != input.stride:
            raise ValueError(
                f'vae_channels={tuple(block_out_channels)} must have '
                f'{input.stride.bit_length()} levels, as latents have stride {input.stride}'
            )
        self.scale = input.scale
        theirs = on_meta(
            require_sd('diffusers').AutoencoderKL,
            latent_channels=input.channels,
            block_out_channels=tuple(block_out_channels),
            layers_per_block=2,
            down_block_types=['DownEncoderBlock2D'] * levels,
            up_block_types=['UpDecoderBlock2D'] * levels,
        )
        self.encoder, self.quant_conv = theirs.encoder, theirs.quant_conv
        fill(self)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'LatentEncoder':
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """The mode of the posterior, scaled.

        Args:
            images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            Tensor: Shape (N, C, H / stride, W / stride).
        """
        mean, _ = self.quant_conv(self.encoder(images)).chunk(2, dim=1)
        return self.scale * mean
