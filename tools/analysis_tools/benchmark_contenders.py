"""The contenders of the benchmark, and what they are to compute."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from mmdiff.diffusion import (
    Architecture,
    DenoiserArchitecture,
    get_architecture,
    network_of,
    q_sample,
)

# Each contender's own way to it: weights in float32 under autocast, unless it says otherwise.
HALF = {'bfloat16': torch.bfloat16, 'float16': torch.float16}
DTYPES = ('float32', 'tf32', *HALF)

COMPILED = 'diffusers-compiled'
# They run mmdiff's graph, exported (benchmark_exported.py), and train nothing.
RUNTIMES = ('openvino', 'onnxruntime')
# What contenders need besides mmdiff. diffusers' U-Nets get their weights through the authors'.
PACKAGES = {
    'guided-diffusion': ('guided_diffusion',),
    'diffusers': ('diffusers', 'guided_diffusion'),
    COMPILED: ('diffusers', 'guided_diffusion'),
    'mmdiff': (),
    **{runtime: ('onnx', 'onnxscript', runtime) for runtime in RUNTIMES},
}

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
    """The contenders that an architecture has, by name, without those of :data:`RUNTIMES`."""
    if type(arch) is Architecture:
        return CONTENDERS
    from benchmark_families import CONTENDERS as OTHERS

    return OTHERS[type(arch)]


def missing_package(contender: str, arch: str) -> str | None:
    """A package that a contender needs for an architecture and that is not installed."""
    needed = PACKAGES[contender]
    if contender == 'mmdiff' and architecture(arch).input.stride > 1:
        # Backbones of latents have an autoencoder.
        needed = ('diffusers',)
    return next((name for name in needed if find_spec(name) is None), None)


def random_weights(arch: str, device: str = 'cpu') -> dict[str, Tensor]:
    """Weights of the whole network, none of them zero, made on a device and given on the CPU."""
    arch = architecture(arch)
    torch.manual_seed(0)
    with torch.device(device):
        network = network_of(arch)(arch)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return {name: value.cpu() for name, value in network.state_dict().items()}


def load(module: nn.Module, weights: Path, device: str) -> nn.Module:
    """Fill a module that was built on the meta device with what it needs of a file."""
    if device == 'meta':
        return module
    stored = torch.load(str(weights), mmap=True, weights_only=True)
    # Copied, in the module's own memory format.
    module.to_empty(device=device).load_state_dict(
        {key: stored[key] for key in module.state_dict()}
    )
    return module.eval()


def feedback_network(arch: Architecture, task: Task, device: str) -> nn.Module:
    from mmdiff.models.backbones import FeedbackNetwork, feedback_targets

    torch.manual_seed(0)
    feedback = FeedbackNetwork(arch, feedback_targets(arch, task.feedback), dict(type='BN'))
    # Drawn on the CPU: alike on all devices.
    return feedback.to(device).train(task.trained is not None)


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


def load_diffusers(task: Task, arch: Architecture, weights: Path, device: str):
    """The U-Net of diffusers, the modules with which the blocks end, its dtype if it is half."""
    from diffusers_unet import diffusers_blocks, diffusers_unet, share_weights
    from guided_diffusion_unet import guided_diffusion_unet

    with torch.device('meta'):
        source, unet = guided_diffusion_unet(arch), diffusers_unet(arch)
    share_weights(load(source, weights, device), unet, arch)
    unet.eval().requires_grad_(task.trained == 'U-Net')
    # Its users hold the weights in half precision, but to train.
    dtype = HALF.get(task.dtype) if task.trained is None else None
    if dtype and device != 'meta':
        unet.to(dtype)
    return unet, [layers[-1] for layers in diffusers_blocks(unet)], dtype


def diffusers(task: Task, arch: Architecture, weights: Path, device: str) -> Callable:
    from guided_diffusion_unet import tapped

    unet, last_layers, dtype = load_diffusers(task, arch, weights, device)
    if task.checkpointing:
        unet.enable_gradient_checkpointing()
    feedback = feedback_network(arch, task, device) if task.feedback else None

    def pass_over(x, timestep, blocks):
        x_t = noiseless(x, timestep, arch)
        with (
            tapped({number: last_layers[number - 1] for number in blocks}) as outputs,
            nullcontext() if dtype else autocast(task, x),
        ):
            output = unet(x_t.to(dtype or x_t.dtype), timestep).sample
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


def compiled_diffusers(task: Task, arch: Architecture, weights: Path, device: str) -> Callable:
    """As :func:`diffusers`, compiled at the first call."""
    if device == 'meta':
        return diffusers(task, arch, weights, device)
    unet, last_layers, dtype = load_diffusers(task, arch, weights, device)
    outputs = {}
    # Hooks of one call each would have it compiled again at each.
    for number in task.blocks:
        last_layers[number - 1].register_forward_hook(
            lambda module, args, output, number=number: outputs.update({number: output})
        )
    timesteps = [torch.tensor(t, device=device) for t in task.timesteps]

    def pass_over(x_t, t):
        output = unet(x_t, t).sample
        return [outputs[number] for number in task.blocks] or [output]

    torch.compiler.reset()
    compiled = torch.compile(pass_over, dynamic=False)

    def run(x):
        features = []
        for timestep, t in zip(task.timesteps, timesteps, strict=True):
            x_t = noiseless(x, timestep, arch)
            with nullcontext() if dtype else autocast(task, x):
                features += compiled(x_t.to(dtype or x_t.dtype), t)
        return features

    return run


def mmdiff(task: Task, arch: DenoiserArchitecture, weights: Path, device: str) -> Callable:
    from mmdiff.utils import keep_freed_memory

    # As tools/train.py and tools/test.py do it.
    keep_freed_memory()
    model, features_of = mmdiff_features(task, arch, weights, device)
    if task.blocks and task.trained is None and device != 'meta':
        model.prepare_for_inference()
    return features_of


def mmdiff_features(
    task: Task, arch: DenoiserArchitecture, weights: Path, device: str
) -> tuple[nn.Module, Callable]:
    """The model, and what gives its features."""
    from mmdiff.models import DifFeedBackbone, backbone_of

    if not task.blocks:
        return mmdiff_output(task, arch, weights, device)
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
            model = backbone_of(arch)(**settings)
    load(model.network, weights, device)
    if task.feedback:
        model.feedback = feedback_network(arch, task, device)
    if arch.input.stride > 1:
        from benchmark_families import from_latents

        features_of = from_latents(model, device)
    else:
        features_of = model
    model.train(task.trained is not None)
    if task.trained is None:
        model.requires_grad_(False)
    return model, features_of


def mmdiff_output(
    task: Task, arch: DenoiserArchitecture, weights: Path, device: str
) -> tuple[nn.Module, Callable]:
    """The whole network, whose output is no backbone's."""
    from benchmark_families import condition

    with torch.device('meta'):
        network = network_of(arch)(arch)
    network = load(network, weights, device).requires_grad_(False)
    tokens = condition(arch, device)
    (timestep,) = task.timesteps
    t = torch.tensor([timestep], device=device)

    def run(x):
        with autocast(task, x):
            return [network(noiseless(x, timestep, arch), t, tokens)]

    return network, run


CONTENDERS = {
    'guided-diffusion': guided_diffusion,
    'diffusers': diffusers,
    COMPILED: compiled_diffusers,
    'mmdiff': mmdiff,
}
