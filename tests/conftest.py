import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_denoiser
import torch
from mmengine.registry import DefaultScope
from warm_python import run_script

# First, as MMPretrain does not import beside transformers 5 without it.
import mmdiff  # noqa: F401

ROOT = Path(__file__).parent.parent
# Where there is no GPU, Triton's kernels run in its interpreter. It looks when it is imported.
if not torch.cuda.is_available():
    os.environ.setdefault('TRITON_INTERPRET', '1')


@pytest.fixture(autouse=True, scope='module')
def _default_scope():
    """The default scope that the tests of a file set ends with it."""
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session')
def root() -> Path:
    """The clone."""
    return ROOT


@pytest.fixture(scope='session')
def environment() -> dict[str, str]:
    """Environment variables for a command that finds this Python, and no GPU.

    Two processes cannot share one; what runs on a GPU is marked so.
    """
    env = dict(os.environ, PYTHONWARNINGS='ignore', OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    env['PATH'] = f'{Path(sys.executable).parent}:{env["PATH"]}'
    # For tools/dist_train.sh; tests run at the same time.
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        env['PORT'] = str(free.getsockname()[1])
    return env


@pytest.fixture(scope='session')
def run(environment):
    """Run a command in the clone, with this environment's Python; return what it printed."""

    def run_command(*command, fails=False, timeout=None):
        program, *arguments = map(str, command)
        if program == 'python' and arguments[0].endswith('.py'):
            status, printed = run_script(arguments, ROOT, environment, timeout)
        else:
            result = subprocess.run(
                [program, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=timeout,
            )
            status, printed = result.returncode, result.stdout
        assert (status != 0) == fails, printed[-5000:]
        return printed

    return run_command


@pytest.fixture
def call_tool(monkeypatch):
    """Run a tool in this process: what it prints is in capsys, how it stops is SystemExit."""

    def call(path, *arguments):
        monkeypatch.setattr('sys.argv', [path, *map(str, arguments)])
        runpy.run_path(str(ROOT / path), run_name='__main__')

    return call


def make_digit_scenes(run, out: Path, train: int, evaluation: int) -> Path:
    run(
        'python', 'tools/dataset_converters/digit_scenes.py', out,
        f'--num-train={train}', f'--num-val={evaluation}', f'--num-test={evaluation}',
    )  # fmt: skip
    return out


@pytest.fixture(scope='session')
def digit_scenes(tmp_path_factory, run) -> Path:
    """A small set of digit scenes."""
    return make_digit_scenes(run, tmp_path_factory.mktemp('data') / 'digit_scenes', 32, 8)


@pytest.fixture(scope='session')
def tiny_unet(tmp_path_factory) -> str:
    """The file of a denoiser of images of 16 pixels."""
    path = tmp_path_factory.mktemp('denoiser') / 'unet.pt'
    tiny_denoiser.save(path)
    return str(path)


@pytest.fixture(scope='session')
def classified_scenes(tmp_path_factory, run) -> Path:
    """Digit scenes for classification: enough of them that no class is empty."""
    root = tmp_path_factory.mktemp('data') / 'classified_scenes'
    return make_digit_scenes(run, root, 80, 80) / 'classification'


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """Real data sets beside the clone, which are not part of it."""
    path = ROOT.parent / 'shared' / 'data'
    if not path.is_dir():
        pytest.skip(f'needs real images in {path}, which are not part of mmdiff')
    return path
