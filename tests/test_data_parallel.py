"""Two processes train as one that has their batches together."""

import re

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(('backbone', 'frozen'), [('gd', 'none'), ('diffeed', 'all')])
def test_two_processes_equal_one(backbone, frozen, run):
    command = ('tests/data_parallel_losses.py', f'upernet_{backbone}_digit-scenes.py', frozen)
    one = run('python', *command)
    two = run(
        'python', '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', *command
    )
    for name, count in (('loss', 4), ('weights', 1)):
        a, b = (
            [float(value) for value in re.findall(rf'{name} (\S+)', text)] for text in (one, two)
        )
        assert len(a) == count
        assert a == pytest.approx(b, rel=1e-5)
        assert name == 'weights' or a[0] != a[-1]
