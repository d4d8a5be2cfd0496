"""Features of several backbones side by side."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmdiff.registry import MODELS
from mmdiff.utils import check_bool, check_ints

from ..renormalization import Renormalization

BRANCH_KEYS = ('backbone', 'mean', 'std', 'scale', 'frozen')


@MODELS.register_module()
class FusedBackbone(BaseModule):
    """Features of several backbones as one tuple.

    Such as of a denoiser and of a frozen ViT. All see the same images, each as
    it was trained to: RGB images in [-1, 1] come in (``mean=[127.5] * 3,
    std=[127.5] * 3, bgr_to_rgb=True`` in the data preprocessor), and a branch
    with a ``mean`` and ``std`` of its own gets them so normalised.

    :class:`FeatureAdapter` adds up what feeds the same level: of four features
    of one branch and four of another, the first of each the first level.

    Args:
        branches (Sequence[dict]): One or more of

            - ``backbone`` (dict): Config of a backbone of any package, which
              returns maps. Of one of mmdiff's with several timesteps, each
              block's maps are concatenated along their channels.
            - ``mean``, ``std`` (Sequence[float], optional): Of R, G and B,
              from 0 to 255, as the backbone's images were normalised in its
              training. Without them, it gets images in [-1, 1].
            - ``scale`` (Sequence[int], optional): Two ints: ``(14, 16)``
              resizes each 16 pixels to 14, bilinearly, so that a ViT of patch
              size 14 has features of stride 16, as others have. Images are
              first padded to multiples of 16 by repeating the edge, and
              ``(16, 16)`` does no more than that. Without it, they keep their
              size.
            - ``frozen`` (bool): Whether the backbone is not trained and stays
              in eval mode, whatever its own config says. Defaults to False.

            One alone is that backbone, frozen or normalised as here.

        init_cfg (dict, optional): Of all of it. Backbones have their own.
            Defaults to None.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    # Of the images, for mmdiff.InputCheckHook.
    image_range = (-1, 1)

    def __init__(self, branches: Sequence[dict], init_cfg: dict | None = None):
        super().__init__(init_cfg=init_cfg)
        _check_branches(branches)
        self.inputs = nn.ModuleList(
            BranchInput(
                branch.get('mean'), branch.get('std'), branch.get('scale'), f'branches[{number}].'
            )
            for number, branch in enumerate(branches)
        )
        self.backbones = ModuleList(MODELS.build(branch['backbone']) for branch in branches)
        self.frozen = tuple(branch.get('frozen', False) for branch in branches)
        for backbone, frozen in zip(self.backbones, self.frozen, strict=True):
            if frozen:
                backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> 'FusedBackbone':
        """Set training mode, but for what is frozen.

        Args:
            mode (bool): Whether to train. Defaults to True.

        Returns:
            FusedBackbone: Itself.
        """
        super().train(mode)
        for backbone, frozen in zip(self.backbones, self.frozen, strict=True):
            if frozen:
                backbone.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of images.

        Args:
            images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: The maps of the first backbone, shape (N, C_i,
            H_i, W_i), then those of the next.

        Raises:
            ValueError: If a backbone returns something else than maps.
        """
        features = []
        for number, (to_input, backbone) in enumerate(
            zip(self.inputs, self.backbones, strict=True)
        ):
            maps = _one_per_block(backbone(to_input(images)))
            _check_maps(f'branches[{number}].backbone', backbone, maps)
            # As mmcv's RoIAlign reads what comes to it; a ViT's are channels_last.
            features += [m.contiguous() for m in maps]
        return tuple(features)


class BranchInput(nn.Module):
    """Images in [-1, 1] as another backbone wants them.

    Args:
        mean (Sequence[float], optional): As of :class:`FusedBackbone`.
        std (Sequence[float], optional): As of :class:`FusedBackbone`.
        scale (Sequence[int], optional): As of :class:`FusedBackbone`.
        name (str): Of the branch, before a setting's in errors.
    """

    def __init__(
        self,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        scale: Sequence[int] | None,
        name: str,
    ):
        super().__init__()
        self.scale = scale
        given = mean is not None or std is not None
        self.normalize = Renormalization(mean, std, name) if given else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Resize and normalise.

        Args:
            images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            Tensor: Shape (N, 3, H', W').
        """
        if self.scale is not None:
            images = self._resized(images)
        return self.normalize(images)

    def _resized(self, images: Tensor) -> Tensor:
        to, of = self.scale
        height, width = images.shape[-2:]
        images = F.pad(images, (0, -width % of, 0, -height % of), mode='replicate')
        size = [side // of * to for side in images.shape[-2:]]
        return F.interpolate(
            images, size=size, mode='bilinear', align_corners=False, antialias=to < of
        )


def _one_per_block(features: Sequence[Tensor] | Sequence[Sequence[Tensor]]) -> Sequence[Tensor]:
    if torch.is_tensor(features[0]):
        return features
    return [torch.cat(maps, dim=1) for maps in zip(*features, strict=True)]


def _check_maps(name: str, backbone: nn.Module, maps: Sequence[Tensor]) -> None:
    for m in maps:
        if m.dim() != 4:
            raise ValueError(
                f'{name}, {type(backbone).__name__}, must return maps of shape (N, C, H, W), got '
                f"{tuple(m.shape)}: of MMPretrain's transformers, out_type='featmap'"
            )


def _check_branches(branches: Sequence[dict]) -> None:
    if not isinstance(branches, list | tuple) or not branches:
        raise TypeError(f'branches must be a list of one or more dicts, got {branches!r}')
    for number, branch in enumerate(branches):
        name = f'branches[{number}]'
        if not isinstance(branch, dict) or not isinstance(branch.get('backbone'), dict):
            raise TypeError(f'{name} must be a dict with a backbone=dict(type=...), got {branch!r}')
        unknown = set(branch) - set(BRANCH_KEYS)
        if unknown:
            raise ValueError(
                f'{name} has {", ".join(sorted(unknown))}; allowed are {", ".join(BRANCH_KEYS)}'
            )
        check_bool(f'{name}.frozen', branch.get('frozen', False))
        scale = branch.get('scale')
        if scale is not None:
            check_ints(f'{name}.scale', scale)
            if len(scale) != 2:
                raise ValueError(
                    f'{name}.scale must be two ints, such as (14, 16) for 14 pixels of each 16, '
                    f'got {scale!r}'
                )
