"""Runs that are killed, and disks that are full."""

import errno
import re
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub, MMLogger

from mmdiff.engine import SafeCheckpointHook
from mmdiff.engine.hooks.safe_checkpoint import WholeFilesBackend
from mmdiff.engine.weights_only import load_run


@pytest.mark.slow
def test_killed_runs_end_with_the_same_weights(root, digit_scenes, tmp_path, run):
    printed = run('python', 'tests/training_that_is_killed.py', digit_scenes, tmp_path)
    kills = int(re.search(r'(\d+) processes killed', printed)[1])
    print(printed.splitlines()[-1])
    assert kills >= 20


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    backend = WholeFilesBackend()
    path = tmp_path / 'new' / 'iter_1.pth'
    backend.put(b'first', path)
    assert path.read_bytes() == b'first'

    def full(file):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError, match=r'could not write .*iter_1.pth .*No space left on device'):
        backend.put(b'second', path)
    assert path.read_bytes() == b'first'
    assert [file.name for file in path.parent.iterdir()] == ['iter_1.pth']


@pytest.mark.slow
def test_a_file_that_cannot_be_written_leaves_the_previous_checkpoint(
    root, digit_scenes, tmp_path, environment
):
    """The size of files is limited by the kernel, between the first checkpoint and the second."""
    options = [
        f'{split}_dataloader.{key}'
        for split in ('train', 'val')
        for key in (
            f'dataset.data_root={digit_scenes}',
            'batch_size=2',
            'num_workers=0',
            'persistent_workers=False',
        )
    ]
    command = [
        sys.executable, 'tools/train.py', 'configs/upernet_gd_digit-scenes.py', '--resume',
        '--work-dir', tmp_path, '--cfg-options', *options, 'default_hooks.checkpoint.interval=1',
    ]  # fmt: skip

    def train(iterations, **kwargs):
        return subprocess.run(
            [*map(str, command), f'train_cfg.max_iters={iterations}', 'train_cfg.val_interval=9'],
            cwd=root, env=environment, capture_output=True, text=True, check=False, **kwargs,
        )  # fmt: skip

    first = train(1)
    assert first.returncode == 0, first.stderr[-3000:]
    pointer = tmp_path / 'last_checkpoint'
    before = pointer.read_text()
    limit = 1_000_000
    failed = train(2, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert failed.returncode
    assert re.search(r'could not write .*iter_2.pth .*File too large', failed.stderr)
    assert pointer.read_text() == before
    assert load_run(before)['meta']['iter'] == 1
    resumed = train(2)
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert pointer.read_text().endswith('iter_2.pth')


def test_logs_of_runs_are_loaded(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    numbers = [np.dtype(kind).type(1) for kind in ('float16', 'float32', 'int32', 'uint8', 'bool')]
    torch.save({'buffer': buffer, 'best': numbers, 'array': np.arange(3)}, tmp_path / 'run.pth')
    loaded = load_run(tmp_path / 'run.pth')
    assert loaded['buffer'].mean() == 1.5
    assert loaded['best'] == numbers
    assert list(loaded['array']) == [0, 1, 2]


def test_the_best_checkpoint_is_replaced_only_by_a_whole_one(tmp_path, monkeypatch):
    """The metric gets better at each validation; the disk is full at the second."""
    hook = SafeCheckpointHook(interval=1, by_epoch=False, save_best='score', rule='greater')
    backend = WholeFilesBackend()

    class Run:
        work_dir = str(tmp_path)
        message_hub = MessageHub.get_instance('best checkpoint')
        epoch = iter = 0
        logger = MMLogger.get_instance('best checkpoint')

        def save_checkpoint(self, out_dir, filename, *args, **kwargs):
            backend.put(b'weights', f'{out_dir}/{filename}')

    run = Run()
    hook.before_train(run)
    (tmp_path / 'last_checkpoint.partial').touch()
    hook._save_best_checkpoint(run, {'score': 0.1})
    assert best_of(tmp_path) == ['best_score_iter_0.pth']
    run.iter = 1
    with monkeypatch.context() as patch:
        patch.setattr('os.replace', lambda *paths: (_ for _ in ()).throw(OSError(28, 'full')))
        with pytest.raises(OSError, match='full'):
            hook._save_best_checkpoint(run, {'score': 0.2})
    assert best_of(tmp_path) == ['best_score_iter_0.pth']
    hook.before_train(run)
    assert not list(tmp_path.glob('*.partial'))


def best_of(folder):
    return sorted(path.name for path in folder.glob('best*'))


class Code:
    """What a pickle may do to who loads it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['code', 'truncated'])
def test_bad_checkpoints_of_runs(kind, digit_scenes, tmp_path, run):
    path, written = tmp_path / 'iter_1.pth', tmp_path / 'written'
    torch.save({'state_dict': {}, 'meta': {'code': Code(written)}}, path)
    content = path.read_bytes()
    path.write_bytes({'code': content, 'truncated': content[:-200]}[kind])
    config = 'configs/upernet_gd_digit-scenes.py'
    data = [
        f'{split}_dataloader.dataset.data_root={digit_scenes}' for split in ('train', 'val', 'test')
    ]
    commands = [('tools/test.py', config, path)]
    if kind == 'code':
        commands.append(('tools/train.py', config, '--resume', path))
    for command in commands:
        options = ('--work-dir', tmp_path / 'work', '--cfg-options', *data)
        printed = run('python', *command, *options, fails=True)
        message = 'holds more than weights' if kind == 'code' else 'is truncated, or is not a file'
        assert re.search(rf'(CheckpointError|checkpoint): .*iter_1\.pth {message}', printed)
    assert not written.exists()
