"""What a process of the benchmark does: one contender, one task."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmdiff.diffusion import Architecture, DenoiserArchitecture, UNet, get_architecture, q_sample

# Each contender's own way to it: weights in float32 under autocast, unless it says otherwise.
HALF = {'bfloat16': torch.bfloat16, 'float16': torch.float16}
DTYPES = ('float32', 'tf32', *HALF)

# Large packages of one contender are not imported into the process of another: they take memory.


@dataclass(frozen=True)
class Task:
    """What to compute.

    Attributes:
        name (str): How the table calls it.
        blocks (tuple[int, ...]): Blocks whose features are wanted. None of
            them: the output of the U-Net.
        feedback (str, optional): Strategy of DifFeed.
        timesteps (tuple[int, ...]): The timesteps.
        trained (str, optional): Whether it is a training step (forward and
            backward), and of what: ``'U-Net'``, the whole network, or
            ``'feedback'``.
        checkpointing (bool): Whether the backward computes activations
            again.
        dtype (str): Precision, of :data:`DTYPES`.
    """

    name: str
    blocks: tuple[int, ...] = ()
    feedback: str | None = None
    timesteps: tuple[int, ...] = (90,)
    trained: str | None = None
    checkpointing: bool = False
    dtype: str = 'float32'


def architecture(name: str) -> DenoiserArchitecture:
    arch = get_architecture(name)
    # Without classes: guided-diffusion insists on one where there are some.
    return replace(arch, num_classes=None) if type(arch) is Architecture else arch


def contenders_of(arch: DenoiserArchitecture) -> dict[str, Callable]:
    """The contenders that an architecture has, by name."""
    if type(arch) is Architecture:
        return CONTENDERS
    from benchmark_families import CONTENDERS as OTHERS

    return OTHERS[type(arch)]


def random_weights(arch: str) -> dict[str, Tensor]:
    """Weights of the whole U-Net, none of them zero."""
    from guided_diffusion_unet import guided_diffusion_unet

    arch = architecture(arch)
    if type(arch) is not Architecture:
        from benchmark_families import random_weights as random_weights_of

        return random_weights_of(arch)
    torch.manual_seed(0)
    unet = guided_diffusion_unet(arch)
    for parameter in unet.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return unet.state_dict()


def load(module: nn.Module, weights: Path, device: str) -> nn.Module:
    """Fill a module that was built on the meta device with what it needs of a file."""
    if device == 'meta':
        return module
    stored = torch.load(weights, mmap=True, weights_only=True)
    # Copied, in the module's own memory format.
    module.to_empty(device=device).load_state_dict(
        {key: stored[key] for key in module.state_dict()}
    )
    return module.eval()


def feedback_network(arch: Architecture, task: Task, device: str) -> nn.Module:
    from mmdiff.models.backbones import FeedbackNetwork, feedback_targets

    torch.manual_seed(0)
    with torch.device(device):
        feedback = FeedbackNetwork(arch, feedback_targets(arch, task.feedback), dict(type='BN'))
    return feedback.train(task.trained is not None)


def noiseless(x_0: Tensor, timestep: int, arch: DenoiserArchitecture) -> Tensor:
    """What all contenders give to the network: images or latents scaled as at a timestep."""
    return q_sample(x_0, timestep, None, arch.noise_schedule)


def autocast(task: Task, x: Tensor) -> AbstractContextManager:
    """Mixed precision, where the task has it."""
    dtype = HALF.get(task.dtype)
    return torch.autocast(x.device.type, dtype) if dtype else nullcontext()


def guided_diffusion(task: Task, arch: Architecture, weights: Path, device: str) -> Callable:
    from guided_diffusion_unet import authors_diffeed, authors_features, guided_diffusion_unet

    with torch.device('meta'):
        unet = guided_diffusion_unet(arch, use_checkpoint=task.checkpointing)
    unet = load(unet, weights, device).requires_grad_(task.trained == 'U-Net')
    own_float16 = task.dtype == 'float16' and task.trained is None
    if own_float16:
        # As its option use_fp16 does.
        unet.convert_to_fp16()
        unet.dtype = torch.float16
    feedback = feedback_network(arch, task, device) if task.feedback else None

    def run(x):
        with nullcontext() if own_float16 else autocast(task, x):
            return features_of(x)

    def features_of(x):
        features = []
        for timestep in task.timesteps:
            x_t = noiseless(x, timestep, arch)
            t = torch.full((len(x),), timestep, device=x.device)
            if feedback is not None:
                features += authors_diffeed(unet, feedback, x_t, t, task.blocks)
            elif task.blocks:
                features += authors_features(unet, x_t, t, task.blocks)
            else:
                features.append(unet(x_t, t))
        return features

    return run


def diffusers(task: Task, arch: Architecture, weights: Path, device: str) -> Callable:
    from diffusers_unet import diffusers_blocks, diffusers_unet, share_weights
    from guided_diffusion_unet import guided_diffusion_unet, tapped

    with torch.device('meta'):
        source, unet = guided_diffusion_unet(arch), diffusers_unet(arch)
    share_weights(load(source, weights, device), unet, arch)
    unet.eval().requires_grad_(task.trained == 'U-Net')
    if task.checkpointing:
        unet.enable_gradient_checkpointing()
    last_layers = [layers[-1] for layers in diffusers_blocks(unet)]
    feedback = feedback_network(arch, task, device) if task.feedback else None

    # Its users hold the weights in half precision, but to train.
    dtype = HALF.get(task.dtype) if task.trained is None else None
    if dtype and device != 'meta':
        unet.to(dtype)

    def pass_over(x, timestep, blocks):
        x_t = noiseless(x, timestep, arch)
        with (
            tapped({number: last_layers[number - 1] for number in blocks}) as outputs,
            nullcontext() if dtype else autocast(task, x),
        ):
            output = unet(x_t.to(dtype) if dtype and device != 'meta' else x_t, timestep).sample
        return [outputs[number] for number in blocks] or [output]

    def run(x):
        features = []
        for timestep in task.timesteps:
            if feedback is None:
                features += pass_over(x, timestep, task.blocks)
                continue
            with torch.no_grad():
                sources = pass_over(x, timestep, tuple(feedback.targets))
            with autocast(task, x):
                additions = feedback([source.float() for source in sources], x.shape[-2:])
            hooks = [
                last_layers[number - 1].register_forward_hook(
                    lambda module, args, output, addition=addition: output + addition.to(output)
                )
                for number, addition in additions.items()
            ]
            features += pass_over(x, timestep, task.blocks)
            for hook in hooks:
                hook.remove()
        return features

    return run


def mmdiff(task: Task, arch: Architecture, weights: Path, device: str) -> Callable:
    from mmdiff.models import DifFeedBackbone, GuidedDiffusionBackbone
    from mmdiff.utils import keep_freed_memory

    # As tools/train.py and tools/test.py do it.
    keep_freed_memory()
    if not task.blocks:
        with torch.device('meta'):
            unet = UNet(arch)
        unet = load(unet, weights, device).requires_grad_(False)
        (timestep,) = task.timesteps
        t = torch.tensor([timestep], device=device)

        def output(x):
            with autocast(task, x):
                return [unet(noiseless(x, timestep, arch), t)]

        return output
    settings = dict(
        arch=arch,
        blocks=task.blocks,
        timestep=task.timesteps[0] if len(task.timesteps) == 1 else task.timesteps,
        noise='none',
        eval_noise='none',
        frozen='none' if task.trained == 'U-Net' else 'all',
        with_cp=task.checkpointing,
        amp_dtype=task.dtype if task.dtype in HALF else None,
    )
    with torch.device('meta'):
        if task.feedback:
            model = DifFeedBackbone(feedback=task.feedback, **settings)
        else:
            model = GuidedDiffusionBackbone(**settings)
    load(model.unet, weights, device)
    if task.feedback:
        model.feedback = feedback_network(arch, task, device)
    model.train(task.trained is not None)
    return model


CONTENDERS = {f.__name__.replace('_', '-'): f for f in (guided_diffusion, diffusers, mmdiff)}


def step(features_of: Callable, x: Tensor, task: Task) -> None:
    """One forward, and a backward where the task is training."""
    if task.trained is None:
        with torch.no_grad():
            features_of(x)
        return
    features = features_of(x)
    sum(feature.float().square().mean() for feature in features).backward()


def sample_of(features: Sequence) -> list[Tensor]:
    """Some values of each map, to compare contenders by."""
    maps = []
    for feature in features:
        maps += [feature] if torch.is_tensor(feature) else feature
    return [m.detach().flatten()[:: max(1, m.numel() // 10_000)].float().cpu() for m in maps]


def seconds_a_step(function: Callable, device: str, at_least: float | None = None) -> float:
    """Mean over as many steps as some seconds hold (by default five, on a GPU half a one).

    After a pause, in which the others had their turn, the first is slower by up to a tenth.
    """
    if at_least is None:
        at_least = 0.5 if device.startswith('cuda') else 5.0
    taken = []
    while sum(taken) < at_least:
        taken.append(seconds(function, device))
    return sum(taken) / len(taken)


def seconds(function: Callable, device: str) -> float:
    if device.startswith('cuda'):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1000
    start = perf_counter()
    function()
    return perf_counter() - start


def fastest_flops(device: str, dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of some plain convolutions and matrix products."""
    at_least = 0.2 if device.startswith('cuda') else 1.0
    return max(
        flops / seconds_a_step(function, device, at_least)
        for flops, function in _plain_operations(device, dtype)
    )


@torch.no_grad()
def _plain_operations(device: str, dtype: torch.dtype) -> Iterator[tuple[int, Callable]]:
    # A GPU is not full with less.
    on_gpu = device.startswith('cuda')
    side, batch = (8192, 8) if on_gpu else (2048, 1)
    a = torch.randn(side, side, device=device, dtype=dtype)
    yield 2 * side**3, lambda: a @ a
    formats = (torch.contiguous_format, torch.channels_last)
    # Channels and sides as they are in the 256x256 model.
    for (channels, side), layout in product([(256, 128), (512, 64), (512, 32)], formats):
        kwargs = dict(device=device, dtype=dtype)
        x = torch.randn(batch, channels, side, side, **kwargs).to(memory_format=layout)
        weight = torch.randn(channels, channels, 3, 3, **kwargs).to(memory_format=layout)
        flops = 18 * batch * channels**2 * side**2
        yield flops, lambda x=x, weight=weight: F.conv2d(x, weight, padding=1)


def reset_peak_memory(device: str) -> None:
    if device.startswith('cuda'):
        torch.cuda.reset_peak_memory_stats()
    else:
        Path('/proc/self/clear_refs').write_text('5')


def peak_memory(device: str) -> int:
    """Bytes that the process held at most since the reset; of the GPU, where there is one."""
    if device.startswith('cuda'):
        return torch.cuda.max_memory_allocated()
    status = Path('/proc/self/status').read_text()
    return 1024 * int(status.split('VmHWM:')[1].split()[0])


def count_macs(
    task: Task, contender: str, arch: DenoiserArchitecture, shape: tuple, weights: Path
) -> int:
    """MACs of a step, backward included, by its shapes alone; computed again does not count."""
    # Operators count alike in any precision.
    task = replace(task, checkpointing=False, dtype='float32')
    features_of = contenders_of(arch)[contender](task, arch, weights, 'meta')
    with FlopCounterMode(display=False) as counter:
        step(features_of, torch.empty(shape, device='meta'), task)
    return counter.get_total_flops() // 2


def serve(connection, contender, task, arch, weights, shape, device) -> None:
    """Answer the benchmark's questions until it says that it has no more."""
    arch = architecture(arch)
    # PyTorch's default is TF32 for convolutions alone.
    torch.backends.cuda.matmul.allow_tf32 = task.dtype == 'tf32'
    torch.backends.cudnn.allow_tf32 = task.dtype == 'tf32'
    if contender != 'roofline':
        features_of = contenders_of(arch)[contender](task, arch, weights, device)
        torch.manual_seed(0)
        x = torch.rand(shape, device=device) * 2 - 1
    reset_peak_memory(device)
    for question in iter(connection.recv, None):
        if question == 'memory':
            answer = peak_memory(device)
        elif question == 'macs':
            answer = count_macs(task, contender, arch, shape, weights)
        elif contender == 'roofline':
            answer = fastest_flops(device, HALF.get(task.dtype, torch.float32))
        elif question == 'features':
            with torch.no_grad():
                answer = sample_of(features_of(x))
        else:
            answer = seconds_a_step(lambda: step(features_of, x, task), device)
        connection.send(answer)
