"""What a model is fed: images in the range it wants, batches that its norms can normalise."""

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdiff.engine.unwrapping import unwrapped
from mmdiff.registry import HOOKS


@HOOKS.register_module()
class InputCheckHook(Hook):
    """Stop a run, as it starts, whose images or batches do not suit the model.

    Images are scaled by the ``data_preprocessor``. To any range but that of a
    module's ``image_range``, such as a backbone's of mmdiff, the features
    would be of no use.

    Batch norm in training needs two values of a channel. A pooling to 1x1,
    such as UperNet's, leaves one of each image.
    """

    def __init__(self):
        self._watched = []

    def before_run(self, runner) -> None:
        """Check the scale of images.

        Args:
            runner (Runner): Has the model.

        Raises:
            ValueError: If ``mean`` and ``std`` give another range.
        """
        model = unwrapped(runner.model)
        wanting = next((m for m in model.modules() if hasattr(m, 'image_range')), None)
        if wanting is not None:
            check_normalisation(model.data_preprocessor, wanting)

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """In the first iteration, watch the batch norms of a run that has a batch of one.

        Args:
            runner (Runner): Has the model and the data.
            batch_idx (int): Not used.
            data_batch (dict): The batch, with ``inputs``.

        Raises:
            ValueError: In the forward, if one has a value of each image alone.
        """
        if self._watched is None:
            return
        batches = runner.train_dataloader.batch_sampler
        if smallest_batch(batches) > 1:
            return
        size = len(data_batch['inputs'])
        remedy = _remedy(batches.batch_size)

        def look(module: nn.Module, inputs: tuple) -> None:
            x = inputs[0]
            if module.training and x.shape[0] == size and x[0, 0].numel() == 1:
                raise ValueError(
                    f'{names[module]} is a batch norm of one value for each image, of which '
                    f'batches of one image have too few: {remedy}'
                )

        names = {
            module: name
            for name, module in runner.model.named_modules()
            if isinstance(module, _BatchNorm)
            and not (isinstance(module, nn.SyncBatchNorm) and get_world_size() > 1)
        }
        self._watched = [module.register_forward_pre_hook(look) for module in names]

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Let go of them.

        Args:
            runner (Runner): Not used.
            batch_idx (int): Not used.
            data_batch (dict, optional): Not used.
            outputs (dict, optional): Not used.
        """
        for handle in self._watched or ():
            handle.remove()
        self._watched = None


def check_normalisation(preprocessor: nn.Module, model: nn.Module) -> None:
    """Refuse a data preprocessor that scales images to another range than a model wants.

    Args:
        preprocessor (Module): Of any package's. Where it has no ``mean`` and
            ``std``, the data set's pipeline may scale.
        model (Module): With an attribute ``image_range``.

    Raises:
        ValueError: If it does. The message says what it gives.
    """
    if not hasattr(preprocessor, 'mean'):
        return
    mean, std = preprocessor.mean.flatten().tolist(), preprocessor.std.flatten().tolist()
    low, high = model.image_range

    def gives(white: float) -> bool:
        ends = [((0 - m) / s - low, (white - m) / s - high) for m, s in zip(mean, std, strict=True)]
        return all(abs(difference) < 0.02 for of_channel in ends for difference in of_channel)

    # Pixels, or what a pipeline has already divided.
    if not (gives(255) or gives(1)):
        darkest = min((0 - m) / s for m, s in zip(mean, std, strict=True))
        brightest = max((255 - m) / s for m, s in zip(mean, std, strict=True))
        half = 255 / (high - low)
        raise ValueError(
            f'model.data_preprocessor has mean={_rounded(mean)} and std={_rounded(std)}, which '
            f'makes pixels of 0 to 255 values from {darkest:.4g} to {brightest:.4g}, but '
            f'{type(model).__name__} wants {low} to {high}: mean=[{-low * half:g}] * {len(mean)}, '
            f'std=[{half:g}] * {len(std)}'
        )


def smallest_batch(batches) -> int:
    """The fewest images that a process's batches have.

    Args:
        batches (BatchSampler): Of the data loader.

    Returns:
        int: The last batch of an epoch's, unless it is dropped or there is
        none.
    """
    rest = 0
    # Samplers of MMDetection that mix data sets have no drop_last, and no end.
    is_whole = getattr(batches, 'drop_last', True)
    if not is_whole and not isinstance(batches.sampler, InfiniteSampler):
        rest = len(batches.sampler) % batches.batch_size
    return rest or batches.batch_size


def _remedy(batch_size: int) -> str:
    if batch_size > 1:
        return 'the last of an epoch is one. Set train_dataloader.drop_last=True'
    return (
        'set train_dataloader.batch_size=2 or more, or a norm of each image, such as '
        "norm_cfg=dict(type='GN', num_groups=32), or sync_bn='torch' on several GPUs"
    )


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 3) for value in values]
