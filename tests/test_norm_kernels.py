"""The norm's Triton kernels: on a GPU where there is one, else in Triton's interpreter."""

import collections
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmdiff.diffusion import ARCHITECTURES, UNet, get_architecture
from mmdiff.diffusion.adm import layout, norm, unet
from mmdiff.diffusion.adm.unet import AttentionBlock
from mmdiff.torch_compat import has_custom_operators

pytest.importorskip('triton')
if not has_custom_operators():
    pytest.skip('this PyTorch takes no operators of ours', allow_module_level=True)
from mmdiff.diffusion.adm.norm_kernels import group_norm, pooled_group_norm
from mmdiff.diffusion.adm.residual_kernel import add_residual

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


def inputs(shape, scaled, mean=0.0, dtype=torch.float32, added=0):
    """A map, weight, bias, and addend, scale and shift for each of so many images."""
    torch.manual_seed(0)
    n, channels, *sides = shape
    x = (torch.randn(n, *sides, channels) + mean).to(DEVICE, dtype).movedim(-1, 1)
    sizes = [(channels,)] * 2 + [(added, channels)] * bool(added)
    sizes += [(scaled, channels)] * (2 * bool(scaled))
    vectors = [0.3 * torch.randn(size, device=DEVICE) for size in sizes]
    vectors[0] += 1
    return [tensor.requires_grad_() for tensor in (x, *vectors)]


def reference(x, weight, bias, scale, shift, silu, addend=None):
    shape = (..., *[None] * (x.dim() - 2))
    x = x.double() if addend is None else x.double() + addend.double()[shape]
    h = F.group_norm(x, 32, weight.double(), bias.double(), 1e-5)
    if scale is not None:
        h = torch.addcmul(shift.double()[shape], h, 1 + scale.double()[shape])
    return F.silu(h) if silu else h


def check(shape, scaled=0, silu=True, mean=0.0, dtype=torch.float32, added=0):
    of = inputs(shape, scaled, mean, dtype, added)
    x, weight, bias, *rest = of
    addend = rest.pop(0) if added else None
    scale, shift = rest or (None, None)
    y = group_norm(x, 32, weight, bias, scale, shift, 1e-5, silu, addend)
    expected = reference(x, weight, bias, scale, shift, silu, addend)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert y.movedim(1, -1).is_contiguous()
    # The type's own rounding, and of the mean.
    tolerance = 4 * torch.finfo(dtype).eps * expected.abs().max() + 5e-6 + 2e-7 * abs(mean)
    assert (y - expected).abs().max() <= tolerance
    gradient = torch.randn_like(x)
    for tensor, ours, theirs in zip(
        of,
        torch.autograd.grad(y, of, gradient),
        torch.autograd.grad(expected, of, gradient.double()),
        strict=True,
    ):
        relative = 1e-5 + 1e-7 * abs(mean)
        if tensor is x or tensor is addend:
            # The sum of the map's gradients, which are rounded.
            relative += 4 * torch.finfo(dtype).eps
        assert (ours - theirs).abs().max() <= relative * theirs.abs().max()


@pytest.mark.parametrize('channels', CHANNELS)
def test_sizes_of_the_published_models(channels):
    for side in SIDES:
        check((2, channels, side, side), scaled=1)


@pytest.mark.parametrize(
    ('dtype', 'silu'),
    [(torch.float32, True), (torch.float32, False), (torch.float16, True), (torch.bfloat16, True)],
)
@pytest.mark.parametrize(('scaled', 'added'), [(0, 0), (1, 0), (3, 1), (1, 3), (0, 1)])
def test_every_form(added, scaled, silu, dtype):
    check((3, 64, 5, 7), scaled, silu, dtype=dtype, added=added)


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
    check((2, 64, 17, 19), scaled=1, mean=1e3, dtype=dtype, added=1)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('shape', [(2, 64, 6, 10), (1, 96, 2, 2), (3, 32, 34, 8)])
def test_the_pool_on_the_way(shape, dtype):
    x, weight, bias = (tensor.detach() for tensor in inputs(shape, 0, dtype=dtype))
    found = pooled_group_norm(x, 32, weight, bias, 1e-5)
    for ours, map_ in zip(found, (reference(x, weight, bias, None, None, True), x), strict=True):
        expected = F.avg_pool2d(map_.double(), 2)
        assert ours.is_contiguous(memory_format=torch.channels_last)
        assert (ours.shape, ours.dtype) == (expected.shape, dtype)
        rounding = torch.finfo(dtype).eps * expected.abs()
        assert ((ours - expected).abs() <= rounding + 5e-6).all()


@pytest.mark.parametrize('of_skip', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('of_h', [torch.float32, torch.bfloat16])
def test_the_end_of_a_residual_block(of_h, of_skip):
    torch.manual_seed(0)
    h, skip = (torch.randn(3, 32, 9, 7).to(DEVICE, dtype) for dtype in (of_h, of_skip))
    bias = torch.randn(32, device=DEVICE)
    of = [tensor.requires_grad_() for tensor in (h, skip, bias)]
    # In the memory of what it is given, which is never a leaf.
    y = add_residual(h * 1, skip, bias)
    expected = h.double() + skip.double() + bias.double()[:, None, None]
    assert y.dtype == torch.promote_types(of_h, of_skip)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert ((y - expected).abs() <= torch.finfo(y.dtype).eps * expected.abs() + 1e-6).all()
    gradient = torch.randn_like(y)
    for ours, theirs in zip(
        torch.autograd.grad(y, of, gradient),
        torch.autograd.grad(expected, of, gradient.double()),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2, check_dtype=False)
        assert ours.dtype == theirs.dtype


def test_a_layout_that_is_another_is_converted():
    x, weight, bias = inputs((2, 64, 5, 7), 0)
    x = x.detach().contiguous()
    y = group_norm(x, 32, weight, bias, None, None, 1e-5, True)
    torch.testing.assert_close(
        y.double(), reference(x, weight, bias, None, None, True), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ('changes', 'timesteps'),
    [({}, [90]), (dict(use_scale_shift_norm=False), [90, 300])],
)
def test_a_unet_with_the_kernels_equals_one_without(changes, timesteps, monkeypatch):
    """Features, and gradients of all weights and the input, which are tested on their own."""
    torch.manual_seed(0)
    arch = replace(get_architecture('adm-32-small'), **changes)
    model = UNet(arch, last_block=5).to(DEVICE)
    for parameter in model.parameters():
        if not parameter.any():
            parameter.data.normal_(std=0.05)
    x_t = torch.randn(2, 3, 8, 8, device=DEVICE).requires_grad_()
    t = torch.tensor(timesteps, device=DEVICE)
    runs = []
    for with_kernels in (True, False):
        for module in (norm, unet):
            monkeypatch.setattr(module, 'has_norm_kernels', lambda device, on=with_kernels: on)
        features = model.features(x_t, t, (5, 3))
        loss = sum(f.square().mean() for f in features)
        gradients = torch.autograd.grad(loss, [x_t, *model.parameters()])
        with torch.no_grad():
            inference = model.features(x_t, t, (5, 3))
        runs.append([*features, *inference, *gradients])
    for ours, theirs in zip(*runs, strict=True):
        assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max() + 1e-6


COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from mmdiff.diffusion.adm import norm_kernels, residual_kernel

CONSTANTS = dict(
    ROWS=16, COLUMNS=128, CHUNK=512, GROUPS=32, WIDTH=6, BLOCK=8, SCALED=True, SILU=True,
    CHUNKS=16, ADDED=True, TILE=2048,
)
IN_HALF = (
    'x_ptr', 'y_ptr', 'pooled_ptr', 'h_ptr', 'skip_ptr', 'gradient_ptr', 'result_ptr',
    'scale_ptr', 'shift_ptr',
)
kernels = [
    kernel
    for module in (norm_kernels, residual_kernel)
    for name, kernel in vars(module).items()
    if name.endswith('_kernel')
]
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
    assert '7 kernels' in result.stdout, result.stderr[-3000:]


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
    for module in (layout, norm, unet):
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
    counts = operators.counts
    if triton:
        # Five levels end with a pool, each half of a residual block needs one pass over the map.
        pooled = counts['mmdiff.pooled_group_norm_forward.default']
        assert (pooled, counts['mmdiff.group_norm_forward.default'] + pooled) == (5, norms)
        assert counts['mmdiff.add_residual_.default'] == (norms - attentions) // 2
    else:
        assert counts['aten.native_group_norm.default'] == norms
    copies = collections.Counter(
        {name: n for name, n in operators.counts.items() if 'clone' in name or '_to_copy' in name}
    )
    # The input into the layout, the timesteps to floating point; and of each attention two.
    assert copies.total() <= 2 + 2 * attentions, copies
