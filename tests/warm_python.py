"""Run Python scripts in processes forked from one that has imported the large packages."""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

CONTEXT = multiprocessing.get_context('forkserver')
# None that registers modules: tests ask whether mmdiff imports what it needs. Those after
# mmengine.runner are what OpenMMLab's packages import, where they are installed.
CONTEXT.set_forkserver_preload(
    [
        'torch', 'torchvision', 'cv2', 'mmcv', 'mmengine.runner', 'imgaug', 'matplotlib.pyplot',
        'pandas', 'scipy.optimize', 'sklearn.gaussian_process', 'transformers.masking_utils',
        'transformers.modeling_layers',
    ]
)  # fmt: skip


def run_script(
    command: Sequence[str], cwd: Path, env: dict[str, str], timeout: float | None = None
) -> tuple[int, str]:
    """Run a script as ``python SCRIPT ARGUMENTS`` does, but seconds faster.

    Args:
        command (Sequence[str]): The script and its arguments.
        cwd (Path): The folder to run it in.
        env (dict[str, str]): Its environment.
        timeout (float, optional): In seconds. Defaults to None.

    Returns:
        tuple[int, str]: The exit status, and what it printed.

    Raises:
        subprocess.TimeoutExpired: If it takes longer.
    """
    with tempfile.NamedTemporaryFile('r') as output:
        process = CONTEXT.Process(target=_run, args=(command, cwd, env, output.name))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout, output.read())
        return process.exitcode, output.read()


def _run(command: Sequence[str], cwd: Path, env: dict[str, str], output: str) -> None:
    with open(output, 'w') as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    warnings.simplefilter(env['PYTHONWARNINGS'])
    sys.argv[:] = command
    sys.path[0] = str(Path(command[0]).parent)
    try:
        runpy.run_path(command[0], run_name='__main__')
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    finally:
        # Processes of multiprocessing leave these out.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
