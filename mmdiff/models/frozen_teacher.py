"""What models that learn from a frozen backbone share."""

from abc import abstractmethod
from collections.abc import Callable

from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import Tensor

from .backbones import DiffusionBackbone


class Teacher:
    """A module that a model asks, but does not own.

    It is in none of the model's state dicts, is neither averaged (EMA) nor
    wrapped (DDP, synchronised batch norm) with it, and copies of the model ask
    the same one.

    Args:
        module (Module): The module.
    """

    def __init__(self, module: DiffusionBackbone):
        self.module = module

    def __deepcopy__(self, memo: dict) -> 'Teacher':
        return self


class FrozenTeacherModel(BaseModel):
    """A model that learns the features of a frozen backbone, on images without labels.

    The teacher has no gradient and no dropout. It is not in checkpoints: a
    resumed run loads it from its file again, as a new one does.

    Args:
        teacher (dict): Config of a backbone of mmdiff, with ``init_cfg``. It
            is frozen, whatever the config says.
        data_preprocessor (dict): Config that gives RGB images in [-1, 1].

    Raises:
        ValueError: If the teacher would have random weights.
    """

    # Of the images, for mmdiff.InputCheckHook.
    image_range = (-1, 1)

    def __init__(self, teacher: dict, data_preprocessor: dict):
        super().__init__(data_preprocessor=data_preprocessor)
        if teacher.get('init_cfg') is None:
            raise ValueError(
                'a teacher with random weights has nothing to teach: name its checkpoint, '
                f"init_cfg=dict(type='Pretrained', checkpoint=...), in {teacher}"
            )
        backbone = MODELS.build({**teacher, 'frozen': 'all'})
        self._teacher = Teacher(backbone.requires_grad_(False))

    @property
    def teacher(self) -> DiffusionBackbone:
        """The frozen backbone."""
        return self._teacher.module

    def init_weights(self) -> None:
        """Load the teacher, and initialise what is trained.

        Raises:
            FileNotFoundError: If there is no such checkpoint.
            CheckpointError: If a checkpoint is broken or does not fit.
        """
        self.teacher.init_weights()
        super().init_weights()

    def train(self, mode: bool = True) -> 'FrozenTeacherModel':
        """Set the training mode, on which the teacher's noise depends.

        Args:
            mode (bool): Whether to train. Defaults to True.

        Returns:
            FrozenTeacherModel: The model.
        """
        self.teacher.train(mode)
        return super().train(mode)

    def _apply(self, fn: Callable, recurse: bool = True) -> 'FrozenTeacherModel':
        # What ``to`` and its like call.
        self.teacher._apply(fn, recurse)
        return super()._apply(fn, recurse)

    @abstractmethod
    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """What the trained network gives, for which the teacher is not asked.

        Args:
            images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: Its maps.
        """

    @abstractmethod
    def errors(self, images: Tensor) -> dict[str, Tensor]:
        """How far each image's features are from the teacher's.

        Args:
            images (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).

        Returns:
            dict[str, Tensor]: For each of the teacher's maps, by its name, the
            images' errors, shape (N, ).
        """

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | list[dict] | tuple[Tensor, ...]:
        """Losses in training, errors in evaluation.

        Args:
            inputs (Tensor): RGB images in [-1, 1], shape (N, 3, H, W).
            data_samples (list, optional): Not used: images need no labels.
            mode (str): ``'loss'``, ``'predict'``, or ``'tensor'``, which is
                :meth:`features`.

        Returns:
            dict | list[dict] | tuple[Tensor, ...]: For ``'loss'``, the mean
            error of each map of the teacher; for ``'predict'``, of each image
            its errors by the maps' names, for
            :class:`mmdiff.evaluation.FeatureError`.

        Raises:
            ValueError: If ``mode`` is another.
        """
        if mode == 'tensor':
            return self.features(inputs)
        if mode == 'loss':
            return {f'loss_{name}': error.mean() for name, error in self.errors(inputs).items()}
        if mode == 'predict':
            errors = {name: error.tolist() for name, error in self.errors(inputs).items()}
            return [
                dict(zip(errors, of_image, strict=True))
                for of_image in zip(*errors.values(), strict=True)
            ]
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")
