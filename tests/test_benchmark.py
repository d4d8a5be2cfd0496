"""The benchmark, on a small model: what it counts and what it writes."""

import re

import pytest

pytestmark = pytest.mark.slow
SCRIPT = 'tools/analysis_tools/benchmark.py'


def test_table(tmp_path, run):
    out = tmp_path / 'table.md'
    run(
        'python', SCRIPT, '--arch=adm-64-small', '--size=32', '--rounds=1', '--blocks', '12',
        '14,10', '--out', out,
    )  # fmt: skip
    text = out.read_text()
    assert 'adm-64-small' in text.splitlines()[0]
    rows = re.findall(r'^\| (.+?) \| [\d.]+ \| ([\d.]+)% \| [\d.]+ \| [\d.]+x \|$', text, re.M)
    share = {name: float(percent) for name, percent in rows}
    assert len(share) == 9
    assert share.pop('two full passes, guided-diffusion') == 100
    for blocks in ('{12}', '{14, 10}'):
        costs = [
            share[f'{strategy}, B={blocks}']
            for strategy in ('all', 'bottleneck', 'windowed', 'multi-scale')
        ]
        # From the one that shares nothing between the passes to the one that shares most.
        assert costs == sorted(costs, reverse=True)
        assert costs[0] < 100


def test_class_conditional_model(run):
    assert 'all, B={20}' in run(
        'python', SCRIPT, '--arch=adm-64', '--size=8', '--rounds=1', '--blocks', '20'
    )


def test_bad_arguments(run):
    printed = run('python', SCRIPT, '--size=48', fails=True)
    assert '--size must be a multiple of 32, got 48' in printed
    assert 'must be at least 1, got 0' in run('python', SCRIPT, '--rounds=0', fails=True)
