"""Diffusion U-Net features, refined by feedback from the decoder to the encoder."""

from collections.abc import Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from mmdiff.diffusion import DenoiserArchitecture
from mmdiff.registry import MODELS
from mmdiff.utils import check_norm_cfg

from .base import DiffusionBackbone
from .feedback import FeedbackNetwork, feedback_targets
from .guided_diffusion import GuidedDiffusionBackbone
from .stable_diffusion import StableDiffusionBackbone


class DifFeedMixin(DiffusionBackbone):
    """Features of the second of two passes, the first of which feeds back.

    DifFeed (paper, section 3.3): features of some decoder blocks from a first
    pass go through small trained layers and are added to the outputs of
    encoder blocks, and so to their skip connections, in a second pass over
    the same noised image. The features of that pass are returned.

    Only the second pass has gradients. Blocks after the deepest of ``blocks``,
    which only the first pass runs, are therefore never trained. What the two
    passes share, all before the first encoder block that receives feedback,
    runs once.

    It stands before the backbone of a family whose network is a U-Net. All
    further arguments are those of that backbone. With ``frozen='all'`` the
    feedback layers are what is trained.

    Args:
        arch (str | dict): As in the family's backbone.
        timestep (int | str): As in the family's backbone, but one, or
            ``'learned'``, whose gradients are those of the second pass.
        blocks (int | Sequence[int]): As in the family's backbone.
        feedback (str | Mapping[int, int]): Which decoder block feeds which
            encoder block: a strategy (paper, section 4.1.1), ``'bottleneck'``,
            ``'all'``, ``'windowed'`` or ``'multi-scale'``, see
            :func:`feedback_targets`, or {decoder block: encoder block}.
            Defaults to ``'bottleneck'``, the paper's choice.
        multi_scale_target (int, optional): The encoder block that
            ``'multi-scale'`` feeds. Defaults to None: the counterpart of the
            last decoder block that feeds it, 14 in the 256x256 model.
        norm_cfg (dict, optional): Config of the norm of the feedback layers.
            Defaults to None: ``dict(type='BN')``.

    Attributes:
        feedback_targets (dict[int, int]): {decoder block: encoder block}.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, ``timestep`` is not one
            timestep, the network has no skip connections, or feedback goes to
            an encoder block after the deepest of ``blocks``.
    """

    def __init__(
        self,
        arch: str | dict | DenoiserArchitecture,
        timestep: int | str = 90,
        blocks: int | Sequence[int] = (24,),
        *,
        feedback: str | Mapping[int, int] = 'bottleneck',
        multi_scale_target: int | None = None,
        norm_cfg: dict | None = None,
        **kwargs,
    ):
        arch = self.find_architecture(arch)
        check_norm_cfg(norm_cfg)
        # Before super().__init__(), which asks _last_block() how much of the U-Net to build.
        self.feedback_targets = feedback_targets(arch, feedback, multi_scale_target)
        super().__init__(arch, timestep, blocks, **kwargs)
        if not self.single_timestep:
            # Batch norm would tell them apart by whether they are one batch.
            raise ValueError(f'timestep must be one int for DifFeed, got {self.timesteps}')
        if isinstance(timestep, Mapping):
            raise ValueError(
                f'timestep must be one for all blocks for DifFeed, whose second pass runs them '
                f'together, got {dict(timestep)}'
            )
        unreached = sorted({t for t in self.feedback_targets.values() if t > max(self.blocks)})
        if unreached:
            raise ValueError(
                f'feedback to encoder blocks {unreached} does not reach blocks={self.blocks}, '
                'which come before'
            )
        self.feedback = FeedbackNetwork(
            self.arch, self.feedback_targets, norm_cfg or dict(type='BN')
        )

    def _last_block(self) -> int:
        return max(*self.blocks, *self.feedback_targets)

    def _features(
        self, x_t: Tensor, timesteps: Tensor, blocks: Sequence[int], condition: Tensor | None
    ) -> tuple[Tensor, ...]:
        first = min(self.feedback_targets.values())
        start = self.unet.prefix(x_t, timesteps, first - 1, self.unet.last_block, blocks, condition)
        with torch.no_grad(), _no_autocast_cache():
            sources = self.unet.features_after(start, tuple(self.feedback_targets))
        image_size = [side * self.arch.input.stride for side in x_t.shape[-2:]]
        feedback = self.feedback(sources, image_size)
        return self.unet.features_after(start, blocks, feedback)


@MODELS.register_module()
class DifFeedBackbone(DifFeedMixin, GuidedDiffusionBackbone):
    """DifFeed on a guided-diffusion U-Net, the paper's.

    Arguments are those of :class:`DifFeedMixin` and
    :class:`GuidedDiffusionBackbone`.
    """

    def __init__(self, arch: str | dict | DenoiserArchitecture = 'adm-256-uncond', **kwargs):
        super().__init__(arch, **kwargs)


@MODELS.register_module()
class StableDiffusionDifFeedBackbone(DifFeedMixin, StableDiffusionBackbone):
    """DifFeed on Stable Diffusion's U-Net.

    The strategies' blocks are counted as everywhere: of the published models,
    ``'bottleneck'`` feeds {15: 11, 18: 8, 21: 5, 24: 2}. Arguments are those of
    :class:`DifFeedMixin` and :class:`StableDiffusionBackbone`.
    """

    def __init__(
        self,
        arch: str | dict | DenoiserArchitecture = 'sd-1',
        timestep: int | str = 90,
        blocks: int | Sequence[int] = (16,),
        **kwargs,
    ):
        super().__init__(arch, timestep, blocks, **kwargs)


@contextmanager
def _no_autocast_cache():
    """Keep autocast from reusing a weight that it cast without gradient where one is needed.

    PyTorch did so until https://github.com/pytorch/pytorch/pull/165068.
    """
    enabled = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(enabled)
