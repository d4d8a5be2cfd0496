"""Runs that are killed, and disks that are full."""

import errno
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub, MMLogger
from mmengine.runner import CheckpointLoader

from mmdiff.diffusion import CheckpointError
from mmdiff.engine import SafeCheckpointHook
from mmdiff.engine.hooks.safe_checkpoint import WholeFilesBackend
from mmdiff.engine.weights_only import load_run, load_runs_as_weights_only


@pytest.mark.slow
def test_killed_runs_end_with_the_same_weights(root, digit_scenes, tmp_path, run):
    printed = run('python', 'tests/training_that_is_killed.py', digit_scenes, tmp_path, 4)
    kills = int(re.search(r'(\d+) processes killed', printed)[1])
    print(printed.splitlines()[-1])
    assert kills >= 4


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
    logs = {'buffer': buffer, 'best': numbers, 'array': np.arange(3)}
    torch.save({'state_dict': {}, **logs}, tmp_path / 'run.pth')
    loaded = load_run(tmp_path / 'run.pth')
    assert loaded['buffer'].mean() == 1.5
    assert loaded['best'] == numbers
    assert list(loaded['array']) == [0, 1, 2]


class Run:
    """What a checkpoint hook needs of a run, in a folder."""

    epoch = iter = 0

    def __init__(self, folder, hook, message_hub=None):
        self.work_dir, self.hook, self.saved = str(folder), hook, []
        self.message_hub = message_hub or MessageHub(str(folder))
        self.cfg = dict(resume=message_hub is not None)
        self.logger = MMLogger.get_instance('run')
        hook.before_train(self)

    def save_checkpoint(self, out_dir, filename, *args, meta=None, **kwargs):
        # As FlexibleRunner counts after a validation.
        checkpoint = dict(meta=dict(meta, iter=meta['iter'] + 1))
        self.hook.before_save_checkpoint(self, checkpoint)
        self.saved.append(checkpoint['meta']['iter'])
        WholeFilesBackend().put(b'weights', f'{out_dir}/{filename}')

    def files(self, pattern):
        return sorted(path.name for path in Path(self.work_dir).glob(pattern))


def full_disk(*paths, **kwargs):
    raise OSError(28, 'full')


def test_the_best_checkpoint_is_replaced_only_by_a_whole_one(tmp_path, monkeypatch):
    """The metric gets better at each validation; the disk is full at the last."""
    hook = SafeCheckpointHook(interval=1, by_epoch=False, save_best='score', rule='greater')
    run = Run(tmp_path, hook)
    # The third has the name of the second, as where a run was resumed.
    for run.iter, score in ((0, 0.1), (1, 0.2), (1, 0.3)):
        hook._save_best_checkpoint(run, {'score': score})
        assert run.files('best*') == [f'best_score_iter_{run.iter}.pth']
    assert run.saved == [0, 1, 1]
    monkeypatch.setattr('os.replace', full_disk)
    run.iter = 2
    with pytest.raises(OSError, match='full'):
        hook._save_best_checkpoint(run, {'score': 0.4})
    assert run.files('best*') == ['best_score_iter_1.pth']


def test_outdated_checkpoints_go(tmp_path, monkeypatch):
    def save(run, *steps):
        for step in steps:
            run.hook._save_checkpoint_with_step(run, step, dict(epoch=0, iter=step))

    settings = dict(interval=1, by_epoch=False, max_keep_ckpts=2)
    run = Run(tmp_path, SafeCheckpointHook(**settings))
    save(run, 1, 2, 3)
    assert run.files('*.pth') == ['iter_2.pth', 'iter_3.pth']
    # A kill before the outdated one is removed.
    monkeypatch.setattr(Path, 'unlink', full_disk)
    with pytest.raises(OSError, match='full'):
        save(run, 4)
    monkeypatch.undo()
    assert run.files('*.pth') == ['iter_2.pth', 'iter_3.pth', 'iter_4.pth']
    resumed = Run(tmp_path, SafeCheckpointHook(**settings), run.message_hub)
    assert resumed.files('*.pth') == ['iter_3.pth', 'iter_4.pth']
    save(resumed, 5)
    assert resumed.files('*.pth') == ['iter_4.pth', 'iter_5.pth']
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_5.pth')


def test_what_a_kill_left_half_written_goes(tmp_path):
    for folder in ('work', 'out/work'):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / 'last_checkpoint.partial').touch()
    Run(tmp_path / 'work', SafeCheckpointHook(interval=1, out_dir=str(tmp_path / 'out')))
    assert not list(tmp_path.rglob('*.partial'))
    with pytest.raises(ValueError, match="out_dir must be a local folder, got 's3://bucket/runs'"):
        SafeCheckpointHook(out_dir='s3://bucket/runs')


class Code:
    """What a pickle may do to who loads it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


class Reduced:
    """Pickled as a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    'value',
    [
        Reduced(getattr, (HistoryBuffer, '__init__')),
        Reduced(getattr, (np.dtype, 'newbyteorder')),
        np.array([{}], dtype=object),
    ],
)
def test_only_what_is_logged_is_loaded_besides_weights(value, tmp_path):
    torch.save({'value': value}, tmp_path / 'run.pth')
    # PyTorch 2.1 reads an array of objects, of which none is more than allowed.
    with pytest.raises(CheckpointError, match=r'holds more than weights|is not a state dict'):
        load_run(tmp_path / 'run.pth')


def test_code_behind_a_url_does_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    torch.save({'state_dict': Code(tmp_path / 'ran')}, tmp_path / 'evil.pth')
    monkeypatch.setattr(
        torch.hub,
        'download_url_to_file',
        lambda url, path: shutil.copy(tmp_path / url.rpartition('/')[2], path),
    )
    load_runs_as_weights_only()
    for scheme in ('http', 'https'):
        with pytest.raises(CheckpointError, match='holds more than weights'):
            CheckpointLoader.load_checkpoint(f'{scheme}://example.com/evil.pth')
    assert not (tmp_path / 'ran').exists()


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
