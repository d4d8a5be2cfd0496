"""A small backbone that learns the features of a frozen diffusion model."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS as ALL_MODELS
from torch import Tensor, nn

from mmdiff.registry import MODELS
from mmdiff.utils import check_int, check_ints

from .frozen_teacher import FrozenTeacherModel
from .renormalization import IMAGENET_MEAN, IMAGENET_STD, Renormalization


@MODELS.register_module()
class FeatureDistillation(FrozenTeacherModel):
    """A student backbone that learns to regress a diffusion model's features.

    As the feature distillation of Li et al., *DreamTeacher: Pretraining Image
    Backbones with Deep Generative Models* (https://arxiv.org/abs/2307.07487):
    the student's maps go through a feature pyramid, of which a level predicts
    each of the teacher's maps. The loss is the mean squared error to the
    teacher's map, each position of which is normalised over its channels (to
    mean 0 and variance 1, so that an error of 1 is that of predicting none);
    DreamTeacher's attention transfer loss is left out.

    The student's parameters stand below ``student.`` in a state dict.

    Args:
        teacher (dict): Config of a backbone of mmdiff, with ``init_cfg``. In
            training, its noise is that of its ``noise``.
        student (dict): Config of a backbone of any package that gives several
            maps, the finest first.
        student_channels (Sequence[int]): Channels of each of its maps.
        student_strides (Sequence[int]): Stride of each.
        data_preprocessor (dict): Config that gives RGB images in [-1, 1], as
            the teacher wants them.
        student_mean (Sequence[float]): Mean of the pixels, from 0 to 255, by
            which the student's images are normalised. Defaults to ImageNet's.
        student_std (Sequence[float]): Their deviation. Defaults to ImageNet's.
        pyramid_channels (int): Channels of the pyramid's levels. Defaults to
            256.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``teacher`` has no ``init_cfg``, or the student's
            channels and strides do not fit.
    """

    def __init__(
        self,
        teacher: dict,
        student: dict,
        student_channels: Sequence[int],
        student_strides: Sequence[int],
        data_preprocessor: dict,
        student_mean: Sequence[float] = IMAGENET_MEAN,
        student_std: Sequence[float] = IMAGENET_STD,
        pyramid_channels: int = 256,
    ):
        super().__init__(teacher, data_preprocessor)
        self.student = ALL_MODELS.build(student)
        taps = self.teacher.taps
        self.names = tuple(f't{t}_b{number}' for of_maps in taps for t, number in of_maps)
        self.regressor = FeatureRegressor(
            student_channels,
            student_strides,
            self.teacher.out_channels * len(taps),
            self.teacher.strides * len(taps),
            pyramid_channels,
        )
        self.normalize = Renormalization(student_mean, student_std, name='student_')

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """The student's maps.

        Args:
            images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: Maps of shape (N, C_i, H_i, W_i).
        """
        return self.student(self.normalize(images))

    def errors(self, images: Tensor) -> dict[str, Tensor]:
        """Mean squared errors of the predicted, normalised features of the teacher.

        Args:
            images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            dict[str, Tensor]: For each timestep and block of the teacher, as
            ``t90_b24``, the mean over an image's positions and channels, shape
            (N, ).

        Raises:
            ValueError: If the student's maps are not those of
                ``student_channels``.
        """
        with torch.no_grad():
            found = self.teacher(images)
        targets = found if self.teacher.single_timestep else [m for maps in found for m in maps]
        sizes = [target.shape[-2:] for target in targets]
        predictions = self.regressor(self.features(images), sizes)
        return {
            name: (prediction.float() - _normalised(target)).square().mean((1, 2, 3))
            for name, prediction, target in zip(self.names, predictions, targets, strict=True)
        }


class FeatureRegressor(nn.Module):
    """A feature pyramid over a student's maps, and a prediction of each of a teacher's.

    A teacher's map is predicted from the level whose stride is nearest, and
    resized to the map's size. Levels that would be finer are not built.

    Args:
        in_channels (Sequence[int]): Channels of the student's maps, the finest
            first.
        in_strides (Sequence[int]): Their strides.
        out_channels (Sequence[int]): Channels of the teacher's maps.
        out_strides (Sequence[int]): Their strides.
        channels (int): Channels of the levels.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``in_channels`` and ``in_strides`` do not fit.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        out_channels: Sequence[int],
        out_strides: Sequence[int],
        channels: int,
    ):
        super().__init__()
        check_ints('student_channels', in_channels)
        check_ints('student_strides', in_strides)
        check_int('pyramid_channels', channels)
        if len(in_channels) != len(in_strides) or sorted(in_strides) != list(in_strides):
            raise ValueError(
                f'student_channels={tuple(in_channels)} and student_strides={tuple(in_strides)} '
                "must name the student's maps, the finest first"
            )
        self.in_channels = tuple(in_channels)
        nearest = [
            min(range(len(in_strides)), key=lambda i: abs(math.log2(in_strides[i] / stride)))
            for stride in out_strides
        ]
        self.finest = min(nearest)
        self.levels = [i - self.finest for i in nearest]
        self.laterals = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in in_channels[self.finest :])
        self.outputs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, c, 1)
            )
            for c in out_channels
        )

    def forward(self, maps: Sequence[Tensor], sizes: Sequence[Sequence[int]]) -> list[Tensor]:
        """Predict the teacher's maps.

        Args:
            maps (Sequence[Tensor]): The student's, of shape (N,
                in_channels[i], H_i, W_i).
            sizes (Sequence[Sequence[int]]): Height and width of each of the
                teacher's.

        Returns:
            list[Tensor]: Maps of shape (N, out_channels[i], *sizes[i]).

        Raises:
            ValueError: If the maps are not those of ``in_channels``.
        """
        found = tuple(m.shape[1] for m in maps)
        if found != self.in_channels:
            raise ValueError(
                f'student_channels={self.in_channels}, but the student gives maps of {found} '
                'channels'
            )
        pyramid = []
        for lateral, m in zip(reversed(self.laterals), reversed(maps), strict=False):
            level = lateral(m)
            if pyramid:
                level = level + F.interpolate(pyramid[0], level.shape[-2:], mode='nearest')
            pyramid.insert(0, level)
        return [
            F.interpolate(output(pyramid[level]), tuple(size), mode='bilinear')
            for output, level, size in zip(self.outputs, self.levels, sizes, strict=True)
        ]


def _normalised(features: Tensor) -> Tensor:
    """Features of mean 0 and variance 1 over the channels of each position."""
    last = features.float().movedim(1, -1)
    return F.layer_norm(last, last.shape[-1:]).movedim(-1, 1)
