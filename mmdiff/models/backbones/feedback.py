"""DifFeed's feedback: which decoder block feeds which encoder block, and the layers between."""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmdiff.diffusion import DenoiserArchitecture
from mmdiff.utils import is_int

STRATEGIES = ('bottleneck', 'all', 'windowed', 'multi-scale')


def feedback_targets(
    arch: DenoiserArchitecture,
    feedback: str | Mapping[int, int],
    multi_scale_target: int | None = None,
) -> dict[int, int]:
    """The encoder block that each chosen decoder block feeds.

    The counterpart of decoder block b is encoder block 38 - b in the 256x256
    model, twice the middle block less b in general. The strategies (paper,
    section 4.1.1), with the 256x256 model's blocks:

    * ``'bottleneck'``: the last block but one of each decoder level,
      {21, 24, 27, 30, 33, 36}, to their counterparts.
    * ``'all'``: all decoder blocks, 20 to 37, to their counterparts.
    * ``'windowed'``: the first five decoder blocks, 20 to 24, to theirs.
    * ``'multi-scale'``: the same five, all to one encoder block, 14.

    Args:
        arch (DenoiserArchitecture): The architecture.
        feedback (str | Mapping[int, int]): A strategy, or {decoder block:
            encoder block}.
        multi_scale_target (int, optional): The one encoder block of
            ``'multi-scale'``. Defaults to None: the counterpart of the last
            of the five, as in the authors' code. The paper does not name it.

    Returns:
        dict[int, int]: {decoder block: encoder block}.

    Raises:
        TypeError: If ``feedback`` is neither, or a block is not an integer.
        ValueError: If a strategy or block is unknown, ``multi_scale_target``
            has no meaning, or the network has no skip connections.
    """
    if not arch.decoder_levels:
        raise ValueError(
            f'DifFeed feeds encoder blocks back through skip connections, which a network of '
            f'{type(arch).__name__} does not have: take one with a decoder, such as '
            "'adm-256-uncond' or 'sd-1'"
        )
    middle = arch.middle
    if multi_scale_target is not None:
        if feedback != 'multi-scale':
            raise ValueError(
                f"multi_scale_target={multi_scale_target} is for feedback='multi-scale', but "
                f'feedback={feedback!r}'
            )
        _check_block('multi_scale_target', multi_scale_target, 'encoder', 1, middle - 1)
    if isinstance(feedback, Mapping):
        if not feedback:
            raise ValueError('feedback must name at least one decoder block, got {}')
        for source, target in feedback.items():
            _check_block('feedback', source, 'decoder', middle + 1, arch.num_blocks)
            _check_block('feedback', target, 'encoder', 1, middle - 1)
        return {int(source): int(target) for source, target in feedback.items()}
    if not isinstance(feedback, str):
        raise TypeError(
            f'feedback must be a strategy or {{decoder block: encoder block}}, got {feedback!r}'
        )
    if feedback not in STRATEGIES:
        raise ValueError(f'feedback must be one of {", ".join(STRATEGIES)}, got {feedback!r}')
    decoder = range(middle + 1, arch.num_blocks + 1)
    if feedback == 'multi-scale':
        sources = decoder[:5]
        return dict.fromkeys(sources, multi_scale_target or 2 * middle - sources[-1])
    sources = {
        'all': decoder,
        'bottleneck': [level[-2] for level in arch.decoder_levels],
        'windowed': decoder[:5],
    }[feedback]
    return {source: 2 * middle - source for source in sources}


def _check_block(argument, number, part, first, last):
    if not is_int(number):
        raise TypeError(f'{argument} must hold block numbers (int), got {number!r}')
    if not first <= number <= last:
        raise ValueError(
            f'{argument} has {part} block {number}, but this architecture has {part} blocks '
            f'{first} to {last}'
        )


class FeedbackNetwork(nn.ModuleDict):
    """A 1x1 convolution, batch norm and ReLU for each decoder block that feeds back.

    Paper, section 3.3. The convolutions have no bias, and start as PyTorch's do.

    Args:
        arch (DenoiserArchitecture): Gives the channels and strides.
        targets (Mapping[int, int]): {decoder block: encoder block}.
        norm_cfg (dict): Config of the norm layers.
    """

    def __init__(self, arch: DenoiserArchitecture, targets: Mapping[int, int], norm_cfg: dict):
        super().__init__(
            {
                str(source): ConvModule(
                    arch.blocks[source - 1].channels,
                    arch.blocks[target - 1].channels,
                    kernel_size=1,
                    bias=False,
                    norm_cfg=norm_cfg,
                )
                for source, target in targets.items()
            }
        )
        for layer in self.values():
            # As in the authors' code. ConvModule has drawn larger weights.
            layer.conv.reset_parameters()
        self.targets = dict(targets)
        self.strides = {target: arch.blocks[target - 1].stride for target in targets.values()}

    def forward(self, features: Sequence[Tensor], image_size: Sequence[int]) -> dict[int, Tensor]:
        """What to add to the encoder blocks.

        Args:
            features (Sequence[Tensor]): The decoder blocks' features, in the
                order of ``targets``.
            image_size (Sequence[int]): Height and width of the U-Net's input.

        Returns:
            dict[int, Tensor]: For each encoder block that receives feedback,
            a map of its output's shape: the sum over the decoder blocks that
            feed it, each resized bilinearly.
        """
        feedback = {}
        for (source, target), feature in zip(self.targets.items(), features, strict=True):
            size = [side // self.strides[target] for side in image_size]
            resized = F.interpolate(
                self[str(source)](feature), size, mode='bilinear', align_corners=False
            )
            feedback[target] = feedback[target] + resized if target in feedback else resized
        return feedback
