"""The module that is exported: a model from pixels to logits or features, at fixed noise."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mmdiff.diffusion import merge_lora
from mmdiff.models import DiffusionBackbone

from .errors import ExportError
from .noise import PIECE, NoiseStream
from .pooling import pool_any_size
from .preprocessing import Preprocessing

INPUTS = ('pixels', 'normalized')
OUTPUTS = ('logits', 'neck', 'backbone')


class ExportedModel(nn.Module):
    """A segmentor, classifier or detector as a function from images to tensors.

    Args:
        model (nn.Module): The model, in eval mode.
        output (str): One of :data:`OUTPUTS`. ``'logits'`` are a segmentor's,
            resized to the image, or a classifier's; ``'neck'`` are the levels
            of the neck; ``'backbone'`` the maps of the backbone.
        preprocessing (Preprocessing, optional): For a graph that takes RGB
            pixels, uint8. Defaults to None: it takes what comes out of the
            data preprocessor.

    Attributes:
        output (str): As given.

    Raises:
        ExportError: If the model has no such output, or does not compute the
            same each time.
    """

    def __init__(self, model: nn.Module, output: str, preprocessing: Preprocessing | None = None):
        super().__init__()
        _check_backbone(model)
        self.model = model
        self.output = output
        self.preprocessing = preprocessing
        self.compute = _function(model, output)
        model.backbone.amp_dtype = None
        merge_lora(model.backbone.network)

    def names(self, count: int) -> list[str]:
        """Names of the outputs, such as ``'logits'``, ``'level0'`` or ``'t90_block24'``.

        Args:
            count (int): How many there are.

        Returns:
            list[str]: A name for each.
        """
        if self.output == 'backbone':
            backbone = self.model.backbone
            return [f't{t}_block{b}' for taps in backbone.taps for t, b in taps]
        if self.output == 'neck':
            return [f'level{number}' for number in range(count)]
        return ['logits']

    def fix_noise(self, size: Sequence[int]) -> None:
        """Make the noise of the backbone a constant.

        Args:
            size (Sequence[int]): Height and width of the largest images.
        """
        backbone = self.model.backbone
        # One batch of all timesteps would be laid out for the number of images.
        backbone.batch_timesteps = False
        if backbone.eval_noise == 'fixed':
            arch = backbone.arch
            sides = [-(-side // arch.total_stride) * arch.total_stride for side in size]
            sides = [side // arch.input.stride for side in sides]
            backbone.fixed_noise = NoiseStream(
                backbone.seed, (backbone.ensemble_size, arch.input.channels, *sides)
            )

    def allow_any_size(self) -> None:
        """Replace what ONNX has for one size only.

        Raises:
            ExportError: If the noise of one size is no piece of another's.
        """
        arch = self.model.backbone.arch
        tile = arch.input.channels * (arch.total_stride // arch.input.stride) ** 2
        if self.model.backbone.eval_noise == 'fixed' and tile % PIECE:
            raise ExportError(
                f'dynamic_size: fixed noise is drawn in pieces of {PIECE} numbers, but images of a '
                f'total stride of {arch.total_stride} have multiples of {tile}: give one size'
            )
        pool_any_size(self.model)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Compute.

        Args:
            image (Tensor): Images of shape (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: The outputs, flat.
        """
        if self.preprocessing is not None:
            image = self.preprocessing.normalize(image)
        return self.from_normalized(image)

    def from_normalized(self, image: Tensor) -> tuple[Tensor, ...]:
        """Compute, from what comes out of the data preprocessor.

        Args:
            image (Tensor): As of :meth:`forward`.

        Returns:
            tuple[Tensor, ...]: As of :meth:`forward`.
        """
        return tuple(_flatten(self.compute(image)))


def _check_backbone(model: nn.Module) -> None:
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, DiffusionBackbone):
        raise ExportError(
            f'model: {type(model).__name__} has no diffusion backbone, but '
            f'{type(backbone).__name__} as its backbone; other models are for MMDeploy'
        )
    if backbone.eval_noise == 'random':
        raise ExportError(
            "model.backbone.eval_noise='random' is drawn anew at each forward, and a graph has one "
            'draw for all: give --cfg-options model.backbone.eval_noise=fixed'
        )


def _function(model: nn.Module, output: str) -> Callable[[Tensor], Tensor | Sequence]:
    """What computes an output."""
    if output == 'backbone':
        return model.backbone
    if output == 'neck':
        if not getattr(model, 'with_neck', False):
            raise ExportError(f"output='neck': {type(model).__name__} has no neck here")
        return model.extract_feat
    if hasattr(model, 'encode_decode'):
        if model.test_cfg.get('mode') == 'slide':
            raise ExportError(
                "model.test_cfg.mode='slide' computes windows one by one, which is no graph: give "
                '--cfg-options model.test_cfg.mode=whole, and the size of a window'
            )
        return lambda x: model.encode_decode(x, [dict(img_shape=x.shape[2:])])
    if getattr(model, 'with_head', False):
        return lambda x: model(x, mode='tensor')
    raise ExportError(
        f"output='logits': {type(model).__name__} has none. Detectors, whose boxes are no tensor "
        "of one shape, are exported as features only: give 'neck' or 'backbone'"
    )


def _flatten(maps: Tensor | Sequence) -> list[Tensor]:
    if torch.is_tensor(maps):
        return [maps]
    return [tensor for part in maps for tensor in _flatten(part)]
