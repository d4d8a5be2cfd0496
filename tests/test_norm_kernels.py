"""The norm's Triton kernels: on a GPU where there is one, else in Triton's interpreter."""

import collections
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmdiff.diffusion import ARCHITECTURES, UNet, get_architecture
from mmdiff.diffusion.adm import layout, norm
from mmdiff.diffusion.adm.unet import AttentionBlock

pytest.importorskip('triton')
from mmdiff.diffusion.adm.norm_kernels import group_norm

pytestmark = pytest.mark.gpu

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
MANY = 33 if DEVICE == 'cuda' else 5
# Of the norms of the published models; on a GPU with the sizes of their maps.
CHANNELS = sorted(
    {
        channels
        for arch in ARCHITECTURES.values()
        for block in arch.blocks[1:]
        for channels in (block.in_channels, block.channels)
    }
)
SIDES = (8, 16, 32, 64, 128, 256)
if DEVICE == 'cpu':
    # The interpreter is slow: groups of 1, 3, 6, 18 and 64 channels.
    CHANNELS, SIDES = (32, 96, 192, 576, 2048), (3,)


def inputs(shape, scaled, mean=0.0, dtype=torch.float32):
    """A map, weight, bias, and scale and shift for each of ``scaled`` images."""
    torch.manual_seed(0)
    n, channels, *sides = shape
    x = (torch.randn(n, *sides, channels) + mean).to(DEVICE, dtype).movedim(-1, 1)
    sizes = [(channels,)] * 2 + [(scaled, channels)] * (2 if scaled else 0)
    vectors = [0.3 * torch.randn(size, device=DEVICE) for size in sizes]
    vectors[0] += 1
    return [tensor.requires_grad_() for tensor in (x, *vectors)]


def reference(x, weight, bias, scale, shift, silu):
    h = F.group_norm(x.double(), 32, weight.double(), bias.double(), 1e-5)
    if scale is not None:
        shape = (..., *[None] * (x.dim() - 2))
        h = torch.addcmul(shift.double()[shape], h, 1 + scale.double()[shape])
    return F.silu(h) if silu else h


def check(shape, scaled=0, silu=True, mean=0.0, dtype=torch.float32):
    of = inputs(shape, scaled, mean, dtype)
    x, weight, bias, scale, shift = of if scaled else (*of, None, None)
    y = group_norm(x, 32, weight, bias, scale, shift, 1e-5, silu)
    expected = reference(x, weight, bias, scale, shift, silu)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert y.movedim(1, -1).is_contiguous()
    # The type's own rounding, and of the mean.
    tolerance = 4 * torch.finfo(dtype).eps * expected.abs().max() + 5e-6 + 2e-7 * abs(mean)
    assert (y - expected).abs().max() <= tolerance
    gradient = torch.randn_like(x)
    for ours, theirs in zip(
        torch.autograd.grad(y, of, gradient),
        torch.autograd.grad(expected, of, gradient.double()),
        strict=True,
    ):
        relative = 1e-5 + 1e-7 * abs(mean)
        if ours.dtype != torch.float32:
            relative += 4 * torch.finfo(ours.dtype).eps
        assert (ours - theirs).abs().max() <= relative * theirs.abs().max()


@pytest.mark.parametrize('channels', CHANNELS)
def test_sizes_of_the_published_models(channels):
    for side in SIDES:
        check((2, channels, side, side), scaled=1)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('silu', [True, False])
@pytest.mark.parametrize('scaled', [0, 1, 3])
def test_every_form(scaled, silu, dtype):
    check((3, 64, 5, 7), scaled, silu, dtype=dtype)


@pytest.mark.parametrize(
    'shape',
    [
        (1, 256, 1, 1),
        (MANY, 32, 2, 3),
        (2, 96, 29, 31),
        (1, 160, 1025),
        (2, 64, 33),
    ],
)
def test_odd_sizes_and_batches(shape):
    check(shape, scaled=len(shape) % 2)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_a_mean_much_larger_than_the_deviation(dtype):
    check((2, 64, 17, 19), scaled=1, mean=1e3, dtype=dtype)


def test_a_layout_that_is_another_is_converted():
    x, weight, bias = inputs((2, 64, 5, 7), 0)
    x = x.detach().contiguous()
    y = group_norm(x, 32, weight, bias, None, None, 1e-5, True)
    torch.testing.assert_close(
        y.double(), reference(x, weight, bias, None, None, True), rtol=1e-5, atol=1e-5
    )


def test_a_unet_with_the_kernels_equals_one_without(monkeypatch):
    """Features, and gradients of all weights and the input, which are tested on their own."""
    torch.manual_seed(0)
    unet = UNet(get_architecture('adm-32-small'), last_block=5).to(DEVICE)
    for parameter in unet.parameters():
        if not parameter.any():
            parameter.data.normal_(std=0.05)
    x_t = torch.randn(2, 3, 8, 16, device=DEVICE).requires_grad_()
    runs = []
    for with_kernels in (True, False):
        monkeypatch.setattr(norm, 'has_norm_kernels', lambda device, on=with_kernels: on)
        for t in (torch.tensor([90]), torch.tensor([90, 300])):
            features = unet.features(x_t, t.to(DEVICE), (5, 3))
            loss = sum(f.square().mean() for f in features)
            runs.append([*features, *torch.autograd.grad(loss, [x_t, *unet.parameters()])])
    for ours, theirs in zip(runs[:2], runs[2:], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert (a - b).abs().max() <= 1e-4 * b.abs().max() + 1e-6


COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from mmdiff.diffusion.adm import norm_kernels

CONSTANTS = dict(
    ROWS=16, COLUMNS=128, CHUNK=512, GROUPS=32, WIDTH=6, BLOCK=8, SCALED=True, SILU=True
)
IN_HALF = ('x_ptr', 'y_ptr', 'gradient_ptr', 'result_ptr', 'scale_ptr', 'shift_ptr')
kernels = [k for name, k in vars(norm_kernels).items() if name.endswith('_kernel')]
for kernel in kernels:
    signature = {}
    for name in kernel.arg_names:
        signature[name] = 'fp32' if name == 'eps' else 'i32'
        if name in CONSTANTS:
            signature[name] = 'constexpr'
        elif name.endswith('_ptr'):
            signature[name] = '*bf16' if name in IN_HALF else '*fp32'
    constants = {name: CONSTANTS[name] for name in kernel.arg_names if name in CONSTANTS}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    assert compile(source, target=GPUTarget('cuda', 80, 32)).asm['cubin']
print(len(kernels), 'kernels')
"""


@pytest.mark.slow
def test_the_kernels_compile_for_a_gpu(environment):
    """Which the interpreter does not tell. No GPU is needed for it."""
    result = subprocess.run(
        [sys.executable, '-c', COMPILE], env=environment | dict(TRITON_INTERPRET='0'),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert '5 kernels' in result.stdout, result.stderr[-3000:]


class Operators(TorchDispatchMode):
    """Counts operators, and copies between devices."""

    def __init__(self):
        super().__init__()
        self.counts, self.between_devices = collections.Counter(), []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.counts[str(func)] += 1
        devices = {a.device.type for a in args if isinstance(a, torch.Tensor)}
        if isinstance(out, torch.Tensor) and devices and devices != {out.device.type}:
            self.between_devices.append(str(func))
        return out


class Features(torch.nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, x_t, timesteps):
        return self.unet.features(x_t, timesteps, (24,))


def walk_on_a_fake_gpu(layout_of_weights):
    """Operators of a walk to block 24, on CUDA tensors without memory."""
    with torch.device('meta'):
        model = Features(UNet(get_architecture('adm-256-uncond'), last_block=24).eval())
    weights = model.state_dict()
    with FakeTensorMode():
        state = {}
        for name, value in weights.items():
            fake = torch.empty(value.shape, device='cuda')
            if value.dim() == 4:
                fake = fake.contiguous(memory_format=layout_of_weights)
            state[name] = fake
        x_t = torch.empty(2, 3, 256, 256, device='cuda')
        timesteps = torch.empty(1, dtype=torch.long, device='cuda')
        with Operators() as operators, torch.no_grad():
            (features,) = torch.func.functional_call(model, state, (x_t, timesteps))
    return operators, features


@pytest.mark.parametrize('triton', [True, False])
def test_nothing_is_converted_on_the_way(triton, monkeypatch):
    """On a GPU, maps stay in one layout, and nothing waits for the host."""
    for module in (layout, norm):
        monkeypatch.setattr(module, 'has_norm_kernels', lambda device: triton and device == 'cuda')
    expected = layout.memory_format(torch.device('cuda'))
    assert expected == (torch.channels_last if triton else torch.contiguous_format)
    operators, features = walk_on_a_fake_gpu(expected)
    assert features.device.type == 'cuda'
    assert features.is_contiguous(memory_format=expected)
    assert operators.between_devices == []
    with torch.device('meta'):
        modules = list(UNet(get_architecture('adm-256-uncond'), last_block=24).modules())
    norms = sum(isinstance(module, norm.GroupNorm32) for module in modules)
    attentions = sum(isinstance(module, AttentionBlock) for module in modules)
    name = 'mmdiff.group_norm_forward.default' if triton else 'aten.native_group_norm.default'
    assert operators.counts[name] == norms == 62
    copies = collections.Counter(
        {name: n for name, n in operators.counts.items() if 'clone' in name or '_to_copy' in name}
    )
    # The input into the layout, the timesteps to floating point; and of each attention two.
    assert copies.total() <= 2 + 2 * attentions, copies
