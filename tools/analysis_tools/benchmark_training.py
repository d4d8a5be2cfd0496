"""Time and weigh the training steps of a config, on synthetic images and random weights."""

import argparse
import statistics
from argparse import Namespace
from dataclasses import dataclass, replace

import torch
from benchmark_timing import free_memory, peak_memory, reset_peak_memory, seconds
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope

from mmdiff.engine.cli import add_cfg_options, load_training_config

DTYPES = ('float32', 'float16', 'bfloat16')
# Iterations at the start, in which cuDNN tries its algorithms.
NUM_FIRST = 8
# Objects in an image, for detection: the mean of COCO's.
NUM_OBJECTS = 7


@dataclass(frozen=True)
class Training:
    """Training steps of a config.

    Attributes:
        config (str): The config file.
        size (int): Side of the square images, in pixels.
        dtype (str): Precision, of :data:`DTYPES`; half precision is that of
            ``--amp``, which needs a GPU.
        options (tuple[tuple[str, object], ...]): Keys and values, as of
            ``--cfg-options``.
    """

    config: str
    size: int
    dtype: str = 'float32'
    options: tuple[tuple[str, object], ...] = ()


class TrainingSteps:
    """What a process of the benchmark holds that measures training.

    Args:
        device (str): Where it trains.
    """

    def __init__(self, device: str):
        self.device = device
        # MMEngine tells of every parameter.
        MMLogger.get_instance('benchmark', log_level='WARNING')

    def measure(self, training: Training, num_steps: int) -> dict:
        """Train for some steps.

        Args:
            training (Training): What.
            num_steps (int): How many are timed after the first
                :data:`NUM_FIRST`.

        Returns:
            dict: ``seconds`` of an iteration (median); ``first_seconds``, of
            all the first ones together; ``memory``, the peak in bytes; and of
            the config ``batch_size``, ``with_cp`` and ``cudnn_benchmark``.

        Raises:
            FloatingPointError: If the last loss is not finite.
        """
        cfg = config_of(training)
        # As MMEngine's Runner does.
        torch.backends.cudnn.benchmark = cfg.env_cfg.cudnn_benchmark
        measured = self._train(cfg, training.size, num_steps)
        free_memory(self.device)
        return measured | dict(
            batch_size=cfg.train_dataloader.batch_size,
            with_cp=cfg.model.get('backbone', {}).get('with_cp', False),
            cudnn_benchmark=cfg.env_cfg.cudnn_benchmark,
        )

    def _train(self, cfg: Config, size: int, num_steps: int) -> dict[str, float]:
        model, optim_wrapper = build(cfg, self.device)
        batch = synthetic_batch(cfg, size)
        reset_peak_memory(self.device)
        losses = {}

        def step():
            losses.update(model.train_step(batch, optim_wrapper))

        first = sum(seconds(step, self.device) for _ in range(NUM_FIRST))
        taken = [seconds(step, self.device) for _ in range(num_steps)]
        if not losses['loss'].isfinite():
            raise FloatingPointError(f'the last loss is {losses["loss"].item()}')
        return dict(
            seconds=statistics.median(taken),
            first_seconds=first,
            memory=peak_memory(self.device),
        )


def config_of(training: Training) -> Config:
    """The config as ``tools/train.py`` reads it, with random weights."""
    half = training.dtype != 'float32'
    cfg = load_training_config(
        Namespace(
            config=training.config,
            cfg_options=dict(training.options),
            amp=half,
            amp_dtype=training.dtype if half else None,
            resume=None,
            work_dir='none is written',
            launcher='none',
            local_rank=0,
        )
    )
    if 'backbone' in cfg.model:
        cfg.model.backbone.init_cfg = None
    return cfg


def build(cfg: Config, device: str) -> tuple[BaseModel, OptimWrapper]:
    """The model in training, and what trains it."""
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    with torch.device(device):
        model = MODELS.build(cfg.model)
    model.init_weights()
    # Also what holds its device beside its tensors.
    model.to(device).train()
    return model, build_optim_wrapper(model, cfg.optim_wrapper)


def synthetic_batch(cfg: Config, size: int) -> dict:
    """What a data loader gives for the model's package: images of noise, random labels."""
    make = {'mmseg': _segmented, 'mmdet': _detected, 'mmpretrain': _classified}
    if cfg.default_scope not in make:
        raise ValueError(
            f'default_scope must be one of {", ".join(make)}, got {cfg.default_scope!r}'
        )
    return make[cfg.default_scope](cfg, cfg.train_dataloader.batch_size, size)


def _images(batch_size: int, size: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(256, (3, size, size), generator=generator, dtype=torch.uint8)
        for _ in range(batch_size)
    ]


def _segmented(cfg: Config, batch_size: int, size: int) -> dict:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(1)
    num_classes = cfg.model.decode_head.num_classes
    labels = torch.randint(num_classes, (batch_size, 1, size, size), generator=generator)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    for sample in samples:
        sample.set_metainfo(dict(img_shape=(size, size)))
    return dict(inputs=_images(batch_size, size), data_samples=samples)


def _detected(cfg: Config, batch_size: int, size: int) -> dict:
    from mmdet.testing import demo_mm_inputs

    return demo_mm_inputs(
        batch_size,
        (3, size, size),
        num_items=[NUM_OBJECTS] * batch_size,
        num_classes=cfg.model.roi_head.bbox_head.num_classes,
        with_mask=True,
    )


def _classified(cfg: Config, batch_size: int, size: int) -> dict:
    if 'head' not in cfg.model:
        # Pretraining has no labels.
        return dict(inputs=_images(batch_size, size))
    from mmpretrain.structures import DataSample

    num_classes = cfg.model.head.num_classes
    samples = [DataSample().set_gt_label(number % num_classes) for number in range(batch_size)]
    return dict(inputs=_images(batch_size, size), data_samples=samples)


COLUMNS = ('with_cp', 'cudnn_benchmark', 's an iteration', f'first {NUM_FIRST}, s', 'peak GB')


def columns(measured: dict) -> list[str]:
    """What was measured, as the table has it."""
    return [
        *('yes' if measured[key] else 'no' for key in ('with_cp', 'cudnn_benchmark')),
        f'{measured["seconds"]:.3f}',
        f'{measured["first_seconds"]:.1f}',
        f'{measured["memory"] / 1e9:.2f}',
    ]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('--size', type=int, required=True, help='side of the images in pixels')
    parser.add_argument(
        '--dtype',
        choices=DTYPES,
        nargs='+',
        default=['float32'],
        help='one or more; half precision is that of --amp, and needs a GPU; default: float32',
    )
    parser.add_argument(
        '--steps',
        type=int,
        default=10,
        help=f'iterations that are timed after the first {NUM_FIRST}; default: %(default)s',
    )
    add_cfg_options(parser)
    args = parser.parse_args()
    for name in ('size', 'steps'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    return args


def main():
    args = parse_args()
    steps = TrainingSteps('cuda' if torch.cuda.is_available() else 'cpu')
    training = Training(args.config, args.size, options=tuple((args.cfg_options or {}).items()))
    print('| | ' + ' | '.join(COLUMNS) + ' |')
    print('|---' * (len(COLUMNS) + 1) + '|')
    for dtype in args.dtype:
        measured = steps.measure(replace(training, dtype=dtype), args.steps)
        print(f'| {dtype} | ' + ' | '.join(columns(measured)) + ' |', flush=True)


if __name__ == '__main__':
    main()
