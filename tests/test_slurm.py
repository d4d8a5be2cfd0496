"""The Slurm scripts, with a srun that says what it was asked."""

import os
import subprocess

import pytest

from mmdiff.engine import distributed


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


def test_any_tool(srun, root):
    printed = ask(
        'slurm_run.sh', 'cache_features.py', 'part', 'job', 'config.py', 'out', root=root, env=srun
    )
    assert printed.stdout.splitlines()[-6:] == [
        'python', '-u', 'tools/cache_features.py', 'config.py', 'out', '--launcher=slurm',
    ]  # fmt: skip


def test_variables_of_a_slurm_process(tmp_path, monkeypatch):
    command = tmp_path / 'scontrol'
    command.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[3-4]" ] && echo node3 node4\n')
    command.chmod(0o755)
    expected = dict(
        RANK='9', WORLD_SIZE='16', LOCAL_RANK='1', MASTER_ADDR='node3', MASTER_PORT='29500'
    )
    for name in expected:
        monkeypatch.setenv(name, 'of another run')
        if name.startswith('MASTER'):
            monkeypatch.delenv(name)
    for name, value in dict(
        PATH=f'{tmp_path}:{os.environ["PATH"]}', SLURM_PROCID='9', SLURM_NTASKS='16',
        SLURM_LOCALID='1', SLURM_NODELIST='node[3-4]',
    ).items():  # fmt: skip
        monkeypatch.setenv(name, value)
    distributed._set_slurm_variables()
    assert {name: os.environ[name] for name in expected} == expected


def test_usage(srun, root):
    printed = ask('slurm_test.sh', 'part', 'job', 'config.py', root=root, env=srun)
    assert printed.returncode == 2
    assert 'Usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT' in printed.stderr
