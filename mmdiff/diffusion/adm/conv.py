"""The convolution of the residual blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...torch_compat import autocast_dtype, is_exporting


class Conv2d(nn.Conv2d):
    """Convolution that keeps the size, fast also on maps that are smaller than its weights.

    oneDNN copies the weights into a layout of its own at every call. For a few
    pixels of many channels (8x8 in the 256x256 model's deepest level) that
    takes as long as the convolution. As a matrix product, a convolution has
    two factors that can change roles: here the patches of the map are the
    weights, which are copied, and the weights are the map.

    Args:
        in_channels (int): Channels of the input.
        channels (int): Channels of the output.
        kernel_size (int): Side of the kernel, odd. Defaults to 3.
    """

    def __init__(self, in_channels: int, channels: int, kernel_size: int = 3):
        super().__init__(in_channels, channels, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor, add_bias: bool = True) -> Tensor:
        """Convolve.

        Args:
            x (Tensor): Shape (N, C, H, W).
            add_bias (bool): False leaves it to what follows. Defaults to True.

        Returns:
            Tensor: Shape (N, channels, H, W).
        """
        if not add_bias:
            return self._conv_forward(x, self.weight, None)
        if is_exporting():
            return super().forward(x)
        if x.device.type != 'cpu' or x.dtype != torch.float32 or autocast_dtype('cpu'):
            return super().forward(x)
        if torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad):
            return super().forward(x)
        n, _, height, width = x.shape
        if 8 * n * height * width > self.out_channels:
            return super().forward(x)
        return self._with_roles_changed(x)

    def _with_roles_changed(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        pad, size = self.padding[0], self.kernel_size[0]
        x = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))
        # Pixel by pixel, the patch around it in the order of channels_last weights.
        patches = x.unfold(1, size, 1).unfold(2, size, 1).permute(0, 1, 2, 4, 5, 3)
        patches = patches.reshape(n * height * width, size * size * channels, 1, 1)
        weight = self.weight.permute(0, 2, 3, 1).reshape(1, self.out_channels, 1, -1)
        products = F.conv2d(weight.permute(0, 3, 1, 2), patches)[0, :, :, 0]
        h = products.reshape(n, height, width, self.out_channels) + self.bias
        return h.contiguous().permute(0, 3, 1, 2)
