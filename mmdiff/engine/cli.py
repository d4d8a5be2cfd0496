"""What the command lines of ``tools/train.py`` and ``tools/test.py`` share."""

import argparse
import os
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.logging import print_log
from mmengine.registry import DATASETS
from mmengine.utils import import_modules_from_strings
from torch import Tensor, nn

from mmdiff import stack
from mmdiff.datasets.check import check_names
from mmdiff.diffusion import CheckpointError, read_checkpoint
from mmdiff.engine.distributed import init_cpu_distributed
from mmdiff.engine.unread_settings import check_config, check_options
from mmdiff.engine.weights_only import check_run_fits, load_runs_as_weights_only
from mmdiff.engine.work_dirs import latest_checkpoint
from mmdiff.utils import LOGS, keep_freed_memory, local_file


def positive(text: str) -> int:
    """An argument's type: a number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {number}')
    return number


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add OpenMMLab's ``--cfg-options``.

    Args:
        parser (ArgumentParser): Gets it.
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='settings that override the config, e.g. train_dataloader.batch_size=4 or '
        'model.backbone.blocks="(24,)"; no spaces inside a value',
    )


def add_run_arguments(
    parser: argparse.ArgumentParser, work_dir: str = 'work_dirs/CONFIG_NAME'
) -> None:
    """Add OpenMMLab's usual arguments for a run.

    Args:
        parser (ArgumentParser): Gets ``config``, ``--work-dir``, ``--amp``,
            ``--cfg-options`` and ``--launcher``.
        work_dir (str): Default of ``--work-dir``, in which ``CONFIG_NAME``
            stands for the config's. Defaults to ``'work_dirs/CONFIG_NAME'``.
    """
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help=f'folder for logs and checkpoints (default: {work_dir})')
    parser.set_defaults(default_work_dir=work_dir)
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision, in float16')
    add_cfg_options(parser)
    add_launcher(parser, 'none', 'pytorch', 'slurm', 'mpi')


def add_launcher(parser: argparse.ArgumentParser, *launchers: str) -> None:
    """Add OpenMMLab's ``--launcher``.

    Args:
        parser (ArgumentParser): Gets it.
        *launchers (str): Its choices, the first of which is the default.
    """
    parser.add_argument(
        '--launcher',
        choices=launchers,
        default=launchers[0],
        help='job launcher (default: %(default)s)',
    )
    # Some launchers pass it; MMEngine reads the environment variable.
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a training run has besides.

    Args:
        parser (ArgumentParser): Gets ``--resume`` and ``--amp-dtype``.
    """
    parser.add_argument(
        '--amp-dtype',
        choices=['float16', 'bfloat16'],
        help='type of --amp, which it implies; bfloat16 needs no loss scaling',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint, or from the latest one in the work dir, or start anew where '
        'there is none',
    )


def load_config(path: str, options: dict | None = None) -> Config:
    """Read a config, and check that the OpenMMLab packages that it needs are there.

    Checkpoints are loaded as weights only from then on.

    Args:
        path (str): The config file.
        options (dict, optional): Settings that override the config's, as of
            ``--cfg-options``. Defaults to None.

    Returns:
        Config: The config, with its ``custom_imports`` imported.

    Raises:
        SystemExit: If there is no such file, or nothing reads a setting.
        ImportError: If the config needs a package that is not installed, or
            operators of mmcv that are not compiled.
    """
    if not Path(path).is_file():
        raise SystemExit(f'config: there is no file {path}')
    # The checks say what to do; a failing import of the config's would not.
    cfg = Config.fromfile(path, import_custom_modules=False)
    for module in {'mmcv', cfg.get('default_scope', 'mmcv')} & set(stack.DISTRIBUTIONS):
        stack.require(module)
    if cfg.get('default_scope') == 'mmdet':
        stack.require_operators()
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    check_config(cfg)
    if options:
        check_options(cfg, options)
        cfg.merge_from_dict(options)
    load_runs_as_weights_only()
    return cfg


def load_run_config(args: argparse.Namespace) -> Config:
    """Read the config of a run, with what the command line overrides.

    Where there is no GPU, it also makes the process keep its memory, and
    starts distributed processes, which MMEngine cannot.

    Args:
        args (Namespace): Of a parser that :func:`add_run_arguments` filled.

    Returns:
        Config: The config, with ``work_dir`` and ``launcher`` set.

    Raises:
        ImportError: As :func:`load_config`.
        SystemExit: As :func:`load_config`, or if ``--amp`` is given and there
            is no GPU.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options)
    if args.work_dir or cfg.get('work_dir') is None:
        cfg.work_dir = args.work_dir or args.default_work_dir.replace(
            'CONFIG_NAME', Path(args.config).stem
        )
    cfg.launcher = args.launcher
    if not torch.cuda.is_available():
        if args.amp:
            parts = [p for p in ('backbone', 'denoiser', 'teacher') if p in cfg.model]
            key = '.'.join(['model', *parts, 'amp_dtype'])
            raise SystemExit(
                '--amp needs a GPU, and there is none; on a CPU, '
                f'--cfg-options {key}=bfloat16 runs the U-Net in mixed precision'
            )
        keep_freed_memory()
        if args.launcher == 'pytorch':
            init_cpu_distributed(cfg)
    return cfg


def load_training_config(args: argparse.Namespace) -> Config:
    """Read the config of a training run, with what the command line overrides.

    Args:
        args (Namespace): Of a parser that :func:`add_run_arguments` and
            :func:`add_training_arguments` filled.

    Returns:
        Config: As of :func:`load_run_config`, also with ``--amp``,
        ``--amp-dtype`` and ``--resume``.

    Raises:
        ImportError: As :func:`load_config`.
        SystemExit: As :func:`load_run_config`, or if it is unclear from which
            checkpoint the run should go on.
    """
    args.amp = args.amp or args.amp_dtype is not None
    cfg = load_run_config(args)
    if args.amp_dtype == 'bfloat16':
        # Its range is that of float32: nothing has to be scaled.
        cfg.optim_wrapper.update(
            type='AmpOptimWrapper', dtype='bfloat16', loss_scale=dict(enabled=False)
        )
    elif args.amp:
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    if args.resume == 'auto' or (cfg.get('resume') and not (args.resume or cfg.get('load_from'))):
        go_on(cfg)
    elif args.resume:
        cfg.update(resume=True, load_from=args.resume)
    return cfg


def go_on(cfg: Config) -> None:
    """Let a run go on from the latest checkpoint in its work dir, or start anew.

    Args:
        cfg (Config): The run's config, changed in place.

    Raises:
        SystemExit: As :func:`latest_checkpoint`.
    """
    try:
        latest = latest_checkpoint(cfg)
    except FileNotFoundError as error:
        raise SystemExit(f'--resume: {error}') from None
    cfg.resume = latest is not None
    if latest:
        cfg.load_from = latest
    else:
        start = f' from the weights of {cfg.load_from}' if cfg.get('load_from') else ''
        print_log(f'--resume: {cfg.work_dir} has no checkpoint yet, so the run starts anew{start}.')


def check_data(cfg: Config, *splits: str) -> None:
    """Make sure that folders and files of data sets are there, before anything is built.

    Args:
        cfg (Config): The run's config.
        *splits (str): Which data sets, e.g. ``'train'``.

    Raises:
        SystemExit: If a folder is missing, or an image or label map by its
            name.
    """
    for split in splits:
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset', {})
        scope = cfg.get('default_scope', 'mmengine')
        for key, root in _data_roots(dataset, f'{split}_dataloader.dataset', scope):
            if not Path(root).is_dir():
                options = [f'{key}=FOLDER']
                # MMDetection's metric reads the labels itself.
                if 'ann_file' in (cfg.get(f'{split}_evaluator') or {}):
                    options.append(f'{split}_evaluator.ann_file=FILE')
                raise SystemExit(
                    f'{key}: there is no folder {root}. Put the data set there, or a link to it, '
                    f'or name its place: --cfg-options {" ".join(options)} (likewise for the '
                    'other splits)'
                )
    errors = check_names(cfg, splits)
    if errors:
        raise SystemExit('\n'.join(errors))


def _data_roots(dataset: dict, key: str, scope: str) -> Iterator[tuple[str, str]]:
    """The folders that a data set and those in it need, each with its key in the config."""
    if 'dataset' in dataset:
        yield from _data_roots(dataset['dataset'], f'{key}.dataset', scope)
    for number, part in enumerate(dataset.get('datasets', ())):
        yield from _data_roots(part, f'{key}.datasets.{number}', scope)
    root = dataset.get('data_root')
    backend = (dataset.get('backend_args') or {}).get('backend', 'local')
    if root and '://' not in root and backend == 'local' and not _downloads(dataset, scope):
        yield f'{key}.data_root', root


def _downloads(dataset: dict, scope: str) -> bool:
    """Whether a data set fetches itself, as MMPretrain's CIFAR-10."""
    dataset_class = dataset['type']
    if isinstance(dataset_class, str):
        with DATASETS.switch_scope_and_registry(scope) as registry:
            dataset_class = registry.get(dataset_class)
    # Where there is no such class, MMEngine will say so.
    parameter = dataset_class and signature(dataset_class).parameters.get('download')
    return bool(parameter and dataset.get('download', parameter.default))


def open_checkpoint(path: str) -> tuple[str, dict[str, Tensor]]:
    """Find the checkpoint of a run, and read its weights.

    Args:
        path (str): As of :func:`mmdiff.utils.local_file`.

    Returns:
        tuple[str, dict[str, Tensor]]: The file on this machine, and the
        model's weights in it.

    Raises:
        SystemExit: If there is no such file, or if it is broken.
    """
    try:
        path = local_file(path)
        return path, read_checkpoint(path, allowed=LOGS)
    except (CheckpointError, OSError, ValueError) as error:
        raise SystemExit(f'checkpoint: {error}') from None


def check_checkpoint(model: nn.Module, state_dict: dict[str, Tensor], path: str) -> None:
    """Make sure that a checkpoint is of the config's model.

    Args:
        model (nn.Module): The model, in a wrapper or not.
        state_dict (dict[str, Tensor]): As of :func:`open_checkpoint`.
        path (str): The checkpoint, for the message.

    Raises:
        SystemExit: If it is not.
    """
    try:
        check_run_fits(model, state_dict, path)
    except CheckpointError as error:
        raise SystemExit(f'checkpoint: {error}') from None
