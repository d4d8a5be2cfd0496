"""A denoiser that learns to see in clean images what it sees in noised ones."""

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS as ALL_MODELS
from torch import Tensor, nn

from mmdiff.diffusion import NUM_TIMESTEPS, q_sample
from mmdiff.diffusion.embedding import sinusoids
from mmdiff.registry import MODELS
from mmdiff.utils import check_int

from .backbones import DiffusionBackbone
from .backbones.diffeed import DifFeedMixin
from .frozen_teacher import FrozenTeacherModel

# Settings of a backbone that say how it noises images, which is decided here.
OF_NOISE = ('noise', 'eval_noise', 'seed', 'ensemble_size', 'batch_timesteps', 'frozen')
TIME_CHANNELS = 256


@MODELS.register_module()
class CleanFeatures(FrozenTeacherModel):
    """A copy of a denoiser that learns, on clean images, the features of the noised ones.

    As Stracke et al., *CleanDIFT: Diffusion Features without Noise*
    (https://arxiv.org/abs/2412.03439), have it for Stable Diffusion, here for
    the denoisers of all families. The copy takes the image itself at one fixed
    timestep. From its features, a head for each of ``blocks``, which is told
    a timestep t, predicts those of the frozen denoiser on the image noised to
    t; the loss is one minus their cosine similarity, over all t. So there is no
    timestep to choose afterwards, and no noise. The heads, which start as the
    identity, are not needed then.

    Its parameters stand below ``backbone.`` in a state dict, those of its
    network, which is whole, below ``backbone.unet.`` (of a transformer,
    ``backbone.transformer.``).

    Args:
        denoiser (dict): Config of a backbone of mmdiff: ``arch``; ``blocks``,
            the taps; ``timestep``, the copy's; ``init_cfg``, which both start
            from; and further arguments but those on noise.
        data_preprocessor (dict): Config that gives RGB images in [-1, 1].

    Raises:
        TypeError: If ``timestep`` is not one int.
        ValueError: If ``denoiser`` has no ``init_cfg``, or settings on noise.
    """

    def __init__(self, denoiser: dict, data_preprocessor: dict):
        check_int('denoiser.timestep', denoiser.get('timestep'), 0, NUM_TIMESTEPS - 1)
        refused = [key for key in OF_NOISE if key in denoiser]
        if refused:
            raise ValueError(
                f'denoiser must not set {", ".join(refused)}: the copy has clean images, and its '
                'teacher fresh noise'
            )
        super().__init__(denoiser, data_preprocessor)
        self.backbone = ALL_MODELS.build(denoiser)
        if isinstance(self.backbone, DifFeedMixin):
            raise ValueError(f'denoiser must have one pass, got type={denoiser["type"]!r}')
        _build_whole_network(self.backbone)
        self.register_buffer('timestep', torch.tensor([denoiser['timestep']]), persistent=False)
        self.heads = nn.ModuleList(map(TimestepHead, self.backbone.out_channels))

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """The copy's features of clean images.

        Args:
            images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W), with
                sides that are multiples of the total stride.

        Returns:
            tuple[Tensor, ...]: For each of ``blocks`` a map of shape (N, C_b,
            H / s_b, W / s_b).

        Raises:
            ValueError: If the images are of another size.
        """
        return _features(self.backbone, self.encode(images), self.timestep)

    def encode(self, images: Tensor) -> Tensor:
        """What the denoiser takes of images: pixels or latents.

        Args:
            images (Tensor): As of :meth:`features`.

        Returns:
            Tensor: Shape (N, C, H / s, W / s), as the architecture's ``input``
            says.

        Raises:
            ValueError: If the images are of another size.
        """
        stride = self.teacher.arch.total_stride
        if images.shape[1] != 3 or any(side % stride for side in images.shape[-2:]):
            raise ValueError(
                f'inputs must have shape (N, 3, H, W) with sides that are multiples of {stride}, '
                f"got {tuple(images.shape)}: resize and crop in the data set's pipeline"
            )
        return self.teacher.encode(images)

    @torch.no_grad()
    def noised_features(self, x_0: Tensor, timesteps: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """The frozen denoiser's features of noised images.

        Args:
            x_0 (Tensor): As of :meth:`encode`.
            timesteps (Tensor): From 0 to 999, shape (N, ).
            noise (Tensor): Standard normal, of the shape of ``x_0``.

        Returns:
            tuple[Tensor, ...]: As of :meth:`features`.
        """
        x_t = q_sample(x_0, timesteps, noise, self.teacher.arch.noise_schedule)
        return _features(self.teacher, x_t, timesteps)

    def errors(self, images: Tensor) -> dict[str, Tensor]:
        """One minus the cosine similarity of predicted and noised features.

        Timesteps and noise are drawn; in evaluation they depend only on the
        place in the batch.

        Args:
            images (Tensor): As of :meth:`features`.

        Returns:
            dict[str, Tensor]: For each of ``blocks``, as ``b24``, the mean over
            an image's positions, shape (N, ).

        Raises:
            ValueError: If the images are of another size.
        """
        x_0 = self.encode(images)
        generator = None if self.training else torch.Generator().manual_seed(0)
        timesteps = stratified_timesteps(len(x_0), generator).to(x_0.device)
        noise = torch.randn(x_0.shape, generator=generator).to(x_0)
        targets = self.noised_features(x_0, timesteps, noise)
        features = _features(self.backbone, x_0, self.timestep)
        return {
            f'b{number}': (1 - F.cosine_similarity(head(clean, timesteps), target)).mean((1, 2))
            for number, head, clean, target in zip(
                self.backbone.blocks, self.heads, features, targets, strict=True
            )
        }


class TimestepHead(nn.Module):
    """From features of a clean image to those of the image noised to a timestep.

    At each position, a residual network of two layers with a norm that the
    timestep scales and shifts. It starts as the identity.

    Args:
        channels (int): Channels of the features.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.modulation = nn.Sequential(
            nn.Linear(TIME_CHANNELS, channels), nn.SiLU(), nn.Linear(channels, 2 * channels)
        )
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.layers = nn.Sequential(
            nn.Linear(channels, channels), nn.SiLU(), nn.Linear(channels, channels)
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, features: Tensor, timesteps: Tensor) -> Tensor:
        """Predict.

        Args:
            features (Tensor): Shape (N, C, H, W).
            timesteps (Tensor): From 0 to 999, shape (N, ).

        Returns:
            Tensor: Shape (N, C, H, W).
        """
        embedding = self.modulation(sinusoids(timesteps, TIME_CHANNELS))
        scale, shift = embedding[:, None, None].chunk(2, dim=-1)
        h = self.norm(features.movedim(1, -1)) * (1 + scale) + shift
        return features + self.layers(h).movedim(-1, 1)


def stratified_timesteps(count: int, generator: torch.Generator | None = None) -> Tensor:
    """Timesteps that cover all noise levels evenly: one of each of ``count`` equal ranges.

    Args:
        count (int): How many.
        generator (Generator, optional): Of the CPU. Defaults to None:
            PyTorch's.

    Returns:
        Tensor: From 0 to 999, in random order, shape (count, ).
    """
    places = torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)
    # A float just below the end may be rounded up to it.
    return (places * (NUM_TIMESTEPS / count)).long().clamp(max=NUM_TIMESTEPS - 1)


def _features(backbone: DiffusionBackbone, x_t: Tensor, timesteps: Tensor) -> tuple[Tensor, ...]:
    with backbone.precision(x_t.device):
        condition = backbone.condition(timesteps)
        maps = backbone.network.features(x_t, timesteps, backbone.blocks, condition)
    return tuple(m.float() for m in maps)


def _build_whole_network(backbone: DiffusionBackbone) -> None:
    """Let a backbone have its later blocks too, frozen, so that what is saved is whole."""
    built = backbone.network
    trained = {name for name, p in built.named_parameters() if p.requires_grad}
    whole = backbone.build_network(None, gradient_checkpointing=built.gradient_checkpointing)
    for name, parameter in whole.named_parameters():
        parameter.requires_grad_(name in trained)
    setattr(backbone, backbone.network_name, whole)
