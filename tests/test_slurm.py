"""The Slurm scripts, with a srun that says what it was asked."""

import subprocess

import pytest


@pytest.fixture
def srun(tmp_path, environment):
    stub = tmp_path / 'srun'
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    return dict(environment, PATH=f'{tmp_path}:{environment["PATH"]}')


def ask(script, *arguments, root, env, **variables):
    return subprocess.run(
        ['bash', f'tools/{script}', *arguments],
        cwd=root, env=env | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize('script', ['train', 'test'])
def test_one_node(script, srun, root):
    arguments = ['part', 'job', 'configs/upernet_gd_ade20k.py', 'checkpoint.pth']
    printed = ask(f'slurm_{script}.sh', *arguments, '--amp', root=root, env=srun, GPUS='4')
    assert printed.stdout.splitlines() == [
        '--partition=part', '--job-name=job', '--gres=gpu:4', '--ntasks=4', '--ntasks-per-node=4',
        '--cpus-per-task=5', '--kill-on-bad-exit=1', 'python', '-u', f'tools/{script}.py',
        'configs/upernet_gd_ade20k.py', 'checkpoint.pth', '--amp', '--launcher=slurm',
    ]  # fmt: skip


def test_several_nodes(srun, root):
    printed = ask(
        'slurm_train.sh', 'part', 'job', 'config.py', root=root, env=srun, GPUS='16',
        SRUN_ARGS='--time=24:00:00 --exclusive', CPUS_PER_TASK='8',
    )  # fmt: skip
    asked = printed.stdout.splitlines()
    assert {'--gres=gpu:8', '--ntasks=16', '--ntasks-per-node=8', '--cpus-per-task=8'} <= set(asked)
    assert {'--time=24:00:00', '--exclusive'} <= set(asked)


def test_usage(srun, root):
    printed = ask('slurm_test.sh', 'part', 'job', 'config.py', root=root, env=srun)
    assert printed.returncode == 2
    assert 'Usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT' in printed.stderr
