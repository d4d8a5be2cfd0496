"""The convolution of the residual blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ...torch_compat import autocast_dtype, is_compiling


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
        bias = self.bias if add_bias else None
        if is_compiling():
            return self._conv_forward(x, self.weight, bias)
        trained = self.weight.requires_grad or self.bias.requires_grad
        if torch.is_grad_enabled() and (trained or x.requires_grad):
            if trained:
                return self._conv_forward(x, self.weight, bias)
            return _FrozenConvolution.apply(x, self.weight, bias, self.padding)
        n, _, height, width = x.shape
        if add_bias and self._is_plain(x) and 8 * n * height * width <= self.out_channels:
            return self._with_roles_changed(x)
        return self._conv_forward(x, self.weight, bias)

    @staticmethod
    def _is_plain(x: Tensor) -> bool:
        return x.device.type == 'cpu' and x.dtype == torch.float32 and not autocast_dtype('cpu')

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


class _FrozenConvolution(torch.autograd.Function):
    """A convolution that passes gradients on and has none of its own: it keeps no map.

    PyTorch's keeps its input, whether or not its weights are trained. In a
    residual block, that is the output of a norm, of which nothing else is kept.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, padding):
        ctx.save_for_backward(weight)
        ctx.shape, ctx.dtype, ctx.padding = x.shape, x.dtype, padding
        return F.conv2d(x, weight, bias, padding=padding)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (weight,) = ctx.saved_tensors
        weight = weight.to(gradient.dtype)
        # Of the input, its shape is all that counts.
        x = gradient if gradient.shape == ctx.shape else gradient.new_empty(1).expand(ctx.shape)
        of_x, _, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, (1, 1), ctx.padding, (1, 1), False, (0, 0), 1,
            (True, False, False),
        )  # fmt: skip
        return of_x.to(ctx.dtype), None, None, None
