"""The head of guided diffusion's classifier."""

from collections.abc import Sequence
from dataclasses import replace

from mmengine.logging import print_log
from mmpretrain.models.heads import ClsHead
from torch import Tensor

from mmdiff.diffusion import CheckpointError, check_fit, read_checkpoint
from mmdiff.diffusion.adm import (
    EncoderArchitecture,
    EncoderUNet,
    classifier_output,
    get_encoder_architecture,
)
from mmdiff.diffusion.checkpoint import MARKS, check_finite
from mmdiff.registry import MODELS
from mmdiff.utils import check_int, local_file

PREFIX = 'out.'
MARK = EncoderUNet.marks[0]


@MODELS.register_module()
class GuidedDiffusionClassifierHead(ClsHead):
    """The pool and the classes of a guided-diffusion classifier ("U-Net Encoder", paper, table 1).

    On :class:`mmdiff.models.backbones.GuidedDiffusionEncoderBackbone`, whose
    last map is the middle block's, it is the whole classifier. Images must
    have the size that it was trained on, as its pool has positions.

    Args:
        num_classes (int): Number of classes, in place of the architecture's
            ``num_outputs``.
        arch (str | dict): The backbone's architecture. Defaults to
            ``'adm-256-classifier'``.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)``
            with the path or URL of the file that the backbone takes too.
            Defaults to None: random weights.
        kwargs: Arguments of MMPretrain's ``ClsHead``, such as ``loss``.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        arch: str | dict | EncoderArchitecture = 'adm-256-classifier',
        init_cfg: dict | None = None,
        **kwargs,
    ):
        super().__init__(init_cfg=init_cfg, **kwargs)
        if init_cfg is not None and (
            not isinstance(init_cfg, dict)
            or set(init_cfg) != {'type', 'checkpoint'}
            or init_cfg['type'] != 'Pretrained'
        ):
            raise ValueError(
                f"init_cfg must be dict(type='Pretrained', checkpoint=...), got {init_cfg!r}"
            )
        check_int('num_classes', num_classes)
        self.num_classes = num_classes
        self.arch = replace(get_encoder_architecture(arch), num_outputs=num_classes)
        self.out = classifier_output(self.arch)

    def init_weights(self) -> None:
        """Load the pretrained weights that ``init_cfg`` names.

        Raises:
            FileNotFoundError: If there is no such checkpoint.
            CheckpointError: If the checkpoint is broken or does not fit.
        """
        if self.is_init or self.init_cfg is None:
            return
        self.load_pretrained(self.init_cfg['checkpoint'])
        self.is_init = True

    def load_pretrained(self, checkpoint: str) -> None:
        """Load the head from the file of a whole classifier.

        Args:
            checkpoint (str): As of :func:`mmdiff.utils.local_file`.

        Raises:
            FileNotFoundError: If there is no such file.
            CheckpointError: If it is broken, holds no classifier, or does not
                fit.
        """
        state_dict = read_checkpoint(local_file(checkpoint))
        if MARK not in state_dict:
            raise CheckpointError(f'{checkpoint} does not hold {MARKS[MARK]}: it has no {MARK}')
        state_dict = {key: value for key, value in state_dict.items() if key.startswith(PREFIX)}
        expected = self.out.state_dict(prefix=PREFIX)
        what = f'head with num_classes={self.num_classes}'
        check_fit(state_dict, expected, expected, checkpoint, what)
        check_finite(state_dict, checkpoint)
        self.out.load_state_dict({k.removeprefix(PREFIX): v for k, v in state_dict.items()})
        print_log(f'Loaded the head of the classifier from {checkpoint}.', logger='current')

    def pre_logits(self, feats: Sequence[Tensor]) -> Tensor:
        """The middle block's map.

        Args:
            feats (Sequence[Tensor]): Maps of one timestep. The last is the
                middle block's, shape (N, C, image_size / stride, image_size /
                stride).

        Returns:
            Tensor: The last of ``feats``.

        Raises:
            ValueError: If there are several timesteps, or other channels.
        """
        feature, channels = feats[-1], self.arch.blocks[-1].channels
        if not isinstance(feature, Tensor):
            raise ValueError(
                f'{type(self).__name__} takes maps of one timestep, got {len(feats)} timesteps, as '
                'a sequence; give the backbone an int as timestep'
            )
        if feature.shape[1] != channels:
            raise ValueError(
                f'the feature has {feature.shape[1]} channels, but the middle block of arch has '
                f"{channels}; let block {self.arch.middle} be the last of the backbone's blocks"
            )
        return feature

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Class scores, shape (N, num_classes), of the middle block's map."""
        return self.out(self.pre_logits(feats))
