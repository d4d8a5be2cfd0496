"""The benchmark: that its contenders compute the same, and what it writes."""

import re

import pytest
import torch
from benchmark_worker import CONTENDERS, Task, architecture, contenders_of, random_weights

SCRIPT = 'tools/analysis_tools/benchmark.py'
# 17 blocks, of which the ninth is the middle.
TASKS = [
    Task('output'),
    Task('features', blocks=(12, 10)),
    Task('DifFeed', blocks=(12,), feedback='bottleneck'),
    Task('DifFormer', blocks=(9, 12), timesteps=(90, 150, 300)),
]


def flat(features):
    for feature in features:
        yield from [feature] if torch.is_tensor(feature) else flat(feature)


@pytest.mark.parametrize('task', TASKS, ids=lambda task: task.name)
def test_contenders_compute_the_same(task, tmp_path):
    weights = tmp_path / 'unet.pt'
    torch.save(random_weights('adm-64-small'), weights)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        ours, *others = (
            list(flat(CONTENDERS[name](task, architecture('adm-64-small'), weights, 'cpu')(x)))
            for name in ('mmdiff', 'guided-diffusion', 'diffusers')
        )
    for theirs in others:
        assert len(ours) == len(theirs) == max(1, len(task.blocks)) * len(task.timesteps)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.std().item())


@pytest.mark.parametrize(
    ('name', 'shape'), [('sd-64-small', (2, 4, 8, 8)), ('adm-64-classifier', (1, 3, 64, 64))]
)
def test_contenders_of_other_families_compute_the_same(name, shape, tmp_path):
    arch, weights = architecture(name), tmp_path / 'weights.pt'
    torch.save(random_weights(name), weights)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for task in (Task('output'), Task('features', blocks=(9, 7), timesteps=(90, 150))):
        with torch.no_grad():
            theirs, ours = (
                contender(task, arch, weights, 'cpu')(x)
                for contender in contenders_of(arch).values()
            )
        assert len(ours) == len(theirs) == max(1, len(task.blocks)) * len(task.timesteps)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.std().item())


@pytest.mark.slow
def test_table(tmp_path, run):
    out = tmp_path / 'table.md'
    tasks = ['training, DifFeed bottleneck, b=24']
    run(
        'python', SCRIPT, '--arch=adm-64-medium', '--size=32', '--rounds=1', '--out', out,
        '--tasks', *tasks,
    )  # fmt: skip
    text = out.read_text()
    assert 'adm-64-medium' in text.splitlines()[0]
    number = r'([\d.]+)'
    row = rf'{number} \| {number} \| {number}x \| {number} \| {number}% \| {number}%'
    rows = re.findall(rf'^\| (.+?) \| (.+?) \| {row} \|$', text, re.M)
    assert [row[:2] for row in rows] == [
        (task, name) for task in tasks for name in ('guided-diffusion', 'diffusers', 'mmdiff')
    ]
    macs = {row[:2]: float(row[2]) for row in rows}
    for task in tasks:
        # The same architecture; and mmdiff leaves blocks out.
        theirs = macs[task, 'guided-diffusion']
        assert macs[task, 'diffusers'] == pytest.approx(theirs, rel=0.01)
        assert macs[task, 'mmdiff'] < theirs


@pytest.mark.slow
def test_bad_arguments(run):
    printed = run('python', SCRIPT, '--size=48', fails=True)
    assert '--size must be a multiple of 32, got 48' in printed
    assert 'must be at least 1, got 0' in run('python', SCRIPT, '--rounds=0', fails=True)
    printed = run('python', SCRIPT, '--arch=adm-64-small', '--tasks', 'b=24', fails=True)
    assert "--tasks 'b=24': adm-64-small has 17 blocks" in printed
    printed = run('python', SCRIPT, '--arch=sd-1', '--tasks', 'b=24', fails=True)
    assert "--tasks 'b=24': sd-1 has output; b=13; b=16;" in printed
    printed = run('python', SCRIPT, '--arch=dit-b-2', '--contenders', 'diffusers', fails=True)
    assert "--contenders 'diffusers': dit-b-2 has mmdiff" in printed
