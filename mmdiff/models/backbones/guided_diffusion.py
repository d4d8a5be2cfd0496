"""Features of a pretrained guided-diffusion (ADM) U-Net, as an OpenMMLab backbone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdiff.diffusion.adm import Architecture, UNet, get_architecture
from mmdiff.registry import MODELS
from mmdiff.utils import check_int

from .base import DiffusionBackbone
from .walks import AnyTimestep


@MODELS.register_module()
class GuidedDiffusionBackbone(DiffusionBackbone):
    """Features of a guided-diffusion (ADM) U-Net at one or more timesteps.

    All further arguments are those of :class:`DiffusionBackbone`.

    Args:
        arch (str | dict): Name of an architecture, one of
            :data:`mmdiff.diffusion.ARCHITECTURES`, or the fields of
            :class:`mmdiff.diffusion.Architecture`. Defaults to
            ``'adm-256-uncond'``, the paper's.
        timestep (AnyTimestep): As of :class:`DiffusionBackbone`.
            Defaults to 90, the paper's for segmentation (section 4.4).
        blocks (int | Sequence[int]): Numbers of the blocks whose features are
            returned, counted from 1 as in the paper. Defaults to (24, ).
        label (int, optional): Class that conditions a class-conditional
            model, the same for all images. None leaves the class out.
            Defaults to None.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)``
            with the path or URL of a guided-diffusion checkpoint, or
            ``mmdiff://NAME`` for one that comes with mmdiff, and
            ``prefix='backbone.unet.'`` to take the U-Net from a segmentor's
            or detector's. Defaults to None: random weights.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        arch: str | dict | Architecture = 'adm-256-uncond',
        timestep: AnyTimestep = 90,
        blocks: int | Sequence[int] = (24,),
        *,
        label: int | None = None,
        **kwargs,
    ):
        super().__init__(arch, timestep, blocks, **kwargs)
        if label is not None:
            if self.arch.num_classes is None:
                raise ValueError(f'label={label} given, but arch={arch!r} is not class-conditional')
            check_int('label', label, 0, self.arch.num_classes - 1)
        elif self.arch.num_classes is not None:
            # What gets no gradient must not ask for one, or DDP waits for it.
            self.unet.label_emb.requires_grad_(False)
        self.label = label

    @classmethod
    def find_architecture(cls, arch: str | dict | Architecture) -> Architecture:
        """Look an ADM architecture up, by name or fields."""
        return get_architecture(arch)

    def build_network(self, last_block: int, gradient_checkpointing: bool) -> UNet:
        """Build the U-Net, see :class:`mmdiff.diffusion.UNet`."""
        return UNet(self.arch, last_block, gradient_checkpointing)

    def condition(self, timesteps: Tensor) -> Tensor | None:
        """The label for each timestep, or None."""
        if self.label is None:
            return None
        return timesteps.new_full((len(timesteps),), self.label, dtype=torch.long)
