"""What a process of the benchmark does: one contender, one task."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmdiff.diffusion import Architecture, DenoiserArchitecture, UNet, get_architecture, q_sample

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
    """

    name: str
    blocks: tuple[int, ...] = ()
    feedback: str | None = None
    timesteps: tuple[int, ...] = (90,)
    trained: str | None = None
    checkpointing: bool = False


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


def guided_diffusion(task: Task, arch: Architecture, weights: Path, device: str) -> Callable:
    from guided_diffusion_unet import authors_diffeed, authors_features, guided_diffusion_unet

    with torch.device('meta'):
        unet = guided_diffusion_unet(arch, use_checkpoint=task.checkpointing)
    unet = load(unet, weights, device).requires_grad_(task.trained == 'U-Net')
    feedback = feedback_network(arch, task, device) if task.feedback else None

    def run(x):
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

    def pass_over(x, timestep, blocks):
        with tapped({number: last_layers[number - 1] for number in blocks}) as outputs:
            output = unet(noiseless(x, timestep, arch), timestep).sample
        return [outputs[number] for number in blocks] or [output]

    def run(x):
        features = []
        for timestep in task.timesteps:
            if feedback is None:
                features += pass_over(x, timestep, task.blocks)
                continue
            with torch.no_grad():
                sources = pass_over(x, timestep, tuple(feedback.targets))
            additions = feedback(sources, x.shape[-2:])
            hooks = [
                last_layers[number - 1].register_forward_hook(
                    lambda module, args, output, addition=addition: output + addition
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
        return lambda x: [unet(noiseless(x, timestep, arch), t)]
    settings = dict(
        arch=arch,
        blocks=task.blocks,
        timestep=task.timesteps[0] if len(task.timesteps) == 1 else task.timesteps,
        noise='none',
        eval_noise='none',
        frozen='none' if task.trained == 'U-Net' else 'all',
        with_cp=task.checkpointing,
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
    sum(feature.square().mean() for feature in features).backward()


def seconds_a_step(function: Callable, device: str, at_least: float = 5.0) -> float:
    """Mean over as many steps as some seconds hold, at least one.

    After a pause, in which the others had their turn, the first is slower by up to a tenth.
    """
    taken = []
    while sum(taken) < at_least:
        taken.append(seconds(function, device))
    return sum(taken) / len(taken)


def seconds(function: Callable, device: str) -> float:
    wait = torch.cuda.synchronize if device.startswith('cuda') else lambda: None
    wait()
    start = perf_counter()
    function()
    wait()
    return perf_counter() - start


def fastest_flops(device: str) -> float:
    """FLOP/s, over a second, of the fastest of some plain convolutions and matrix products."""
    return max(
        flops / seconds_a_step(function, device, at_least=1.0)
        for flops, function in _plain_operations(device)
    )


@torch.no_grad()
def _plain_operations(device: str) -> Iterator[tuple[int, Callable]]:
    side = 2048
    a = torch.randn(side, side, device=device)
    yield 2 * side**3, lambda: a @ a
    formats = (torch.contiguous_format, torch.channels_last)
    # Channels and sides as they are in the 256x256 model.
    for (channels, side), layout in product([(256, 128), (512, 64), (512, 32)], formats):
        x = torch.randn(1, channels, side, side, device=device).to(memory_format=layout)
        weight = torch.randn(channels, channels, 3, 3, device=device).to(memory_format=layout)
        yield 18 * channels**2 * side**2, lambda x=x, weight=weight: F.conv2d(x, weight, padding=1)


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
    task = replace(task, checkpointing=False)
    features_of = contenders_of(arch)[contender](task, arch, weights, 'meta')
    with FlopCounterMode(display=False) as counter:
        step(features_of, torch.empty(shape, device='meta'), task)
    return counter.get_total_flops() // 2


def serve(connection, contender, task, arch, weights, shape, device) -> None:
    """Answer the benchmark's questions until it says that it has no more."""
    arch = architecture(arch)
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
            answer = fastest_flops(device)
        else:
            answer = seconds_a_step(lambda: step(features_of, x, task), device)
        connection.send(answer)
