"""Frozen weights in oneDNN's own layout, in place of the ordinary ones.

On a CPU, PyTorch's convolutions run in oneDNN, which copies ordinary weights into a layout of its
own at every call. Its linear layers run in MKL where they are float32, which is half as fast as
oneDNN on processors of other makers; as convolutions of one pixel they run in oneDNN.
"""

import platform
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..torch_compat import autocast_dtype, is_compiling

# Bytes of weights whose place is worth giving back.
LARGE = 2**22


def can_pack(device: torch.device) -> bool:
    """Whether weights can be packed.

    Args:
        device (torch.device): Where they are.

    Returns:
        bool: True on an x86 CPU, where PyTorch has oneDNN.
    """
    return (
        device.type == 'cpu'
        and torch.backends.mkldnn.is_available()
        and platform.machine().lower() in ('x86_64', 'amd64')
    )


def runs_in_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN computes on a device in a type.

    Args:
        device (torch.device): The device.
        dtype (torch.dtype): The type.

    Returns:
        bool: True on an x86 CPU for float32, and for bfloat16 where the
        processor has what oneDNN wants for it.
    """
    if not can_pack(device):
        return False
    return dtype == torch.float32 or (
        dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def pack_weights(module: nn.Module, after_large: Callable | None = None) -> None:
    """Replace the frozen convolutions and linear layers below a module by :class:`PackedLayer`.

    Args:
        module (nn.Module): The module, none of whose weights is trained.
        after_large (Callable, optional): Called each time that weights of
            :data:`LARGE` bytes were packed: their place fits no packed ones,
            and is lost unless it is given back. Defaults to None.
    """
    for name, child in list(module.named_children()):
        if _has_packed(child):
            setattr(module, name, PackedLayer(child, after_large))
        else:
            pack_weights(child, after_large)


def _has_packed(module: nn.Module) -> bool:
    match module:
        case nn.Linear():
            return True
        case nn.Conv2d():
            # oneDNN pads with zeros alone.
            return module.padding_mode == 'zeros' and not isinstance(module.padding, str)
        case nn.Conv1d():
            return module.kernel_size == module.stride == (1,) and module.padding == (0,)
    return False


class PackedLayer(nn.Module):
    """A frozen convolution or linear layer, whose weights are packed at its first call.

    The ordinary weights are let go then; a state dict has them still, unpacked.
    What cannot be packed runs as the layer would: other types and devices, under
    ``torch.compile``, under an autocast to another type, and where the input
    needs a gradient.

    Args:
        layer (nn.Module): A ``Conv2d``, ``Linear``, or ``Conv1d`` of one
            position.
        after_large (Callable, optional): As of :func:`pack_weights`. Defaults
            to None.

    Attributes:
        weight (Parameter | None): The layer's, None once it is packed.
        packed (Tensor | None): The same in oneDNN's layout, opaque.
    """

    def __init__(self, layer: nn.Module, after_large: Callable | None = None):
        super().__init__()
        self.after_large = after_large
        self.weight, self.bias = layer.weight, layer.bias
        self.packed, self.threads = None, 0
        self.shape = tuple(layer.weight.shape)
        self.conv = {}
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            self.conv = dict(
                stride=layer.stride,
                padding=layer.padding,
                dilation=layer.dilation,
                groups=layer.groups,
            )
        self.train(layer.training)

    def extra_repr(self) -> str:
        return f'{self.shape}, packed={self.packed is not None}'

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return (self.packed if self.weight is None else self.weight).dtype

    def dense(self) -> Tensor:
        """The weights in the ordinary layout."""
        if self.weight is not None:
            return self.weight
        return self.packed.to_dense().reshape(self.shape)

    def forward(self, x: Tensor, add_bias: bool = True) -> Tensor:
        """As of the layer.

        Args:
            x (Tensor): What the layer takes.
            add_bias (bool): As of the U-Net's convolutions on a GPU. Defaults
                to True.

        Returns:
            Tensor: What it gives.
        """
        if not (add_bias and self._runs_packed(x)):
            return self._plain(x, self.bias if add_bias else None)
        x = x.to(self.dtype)
        match len(self.shape):
            case 2:
                rows = x.reshape(-1, self.shape[1])
                # As an image of one column, in channels_last.
                maps = rows.t()[None, :, :, None]
                return self._convolve(maps)[0, :, :, 0].t().reshape(*x.shape[:-1], self.shape[0])
            case 3:
                return self._convolve(x[..., None])[..., 0]
        return self._convolve(x)

    def _runs_packed(self, x: Tensor) -> bool:
        return (
            runs_in_onednn(x.device, self.dtype)
            and autocast_dtype('cpu') in (None, self.dtype)
            and not (torch.is_grad_enabled() and x.requires_grad)
            and x.numel() > 0
            and not is_compiling()
        )

    def _plain(self, x: Tensor, bias: Tensor | None) -> Tensor:
        functions: dict[int, Callable] = {2: F.linear, 3: F.conv1d, 4: F.conv2d}
        return functions[len(self.shape)](x, self.dense(), bias, **self.conv)

    def _convolve(self, maps: Tensor) -> Tensor:
        maps = maps.contiguous(memory_format=torch.channels_last)
        settings = [[0, 0], [1, 1], [1, 1], 1]
        if len(self.shape) == 4:
            settings = [list(self.conv[key]) for key in ('padding', 'stride', 'dilation')]
            settings.append(self.conv['groups'])
        if self.threads != torch.get_num_threads():
            # oneDNN wants another layout for another number, and would copy at each call.
            self._unpack()
        if self.packed is None:
            self._pack(maps, settings)
        return torch.ops.mkldnn._convolution_pointwise(
            maps, self.packed, self.bias, *settings, 'none', [], ''
        )

    def _pack(self, maps: Tensor, settings: list) -> None:
        """Bring the weights into the layout that oneDNN wants for maps of a size.

        For other sizes it may want another one, and copies them then, as it would ordinary ones.
        """
        weight = self.weight.detach()
        # Each step lets go of the copy before it.
        self.weight = None
        kernel = self.shape[2:] if len(self.shape) == 4 else (1, 1)
        weight = weight.reshape(*self.shape[:2], *kernel).contiguous()
        weight = weight.to_mkldnn()
        self.packed = torch._C._nn.mkldnn_reorder_conv2d_weight(weight, *settings, list(maps.shape))
        self.threads = torch.get_num_threads()
        del weight
        if self.after_large and self.packed.numel() * self.dtype.itemsize >= LARGE:
            self.after_large()

    def _unpack(self) -> None:
        if self.weight is None:
            self.weight = nn.Parameter(self.dense(), requires_grad=False)
            self.packed = None

    def _apply(self, fn: Callable, recurse: bool = True) -> 'PackedLayer':
        self._unpack()
        return super()._apply(fn, recurse)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f'{prefix}weight'] = self.dense().detach()

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        self._unpack()
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __getstate__(self) -> dict:
        # Opaque tensors are not copied.
        self._unpack()
        return self.__dict__
