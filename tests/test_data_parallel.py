"""Two processes train as one that has their batches together."""

import re

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ('config', 'settings'),
    [
        ('upernet_gd', ('frozen=none',)),
        ('upernet_diffeed', ('frozen=all',)),
        ('upernet_gd-learned-t', ('neck.standardize=True',)),
        ('upernet_gd-lora', ()),
        ('stable-diffusion/upernet_sd-small', ()),
        ('stable-diffusion/upernet_sd-small', ('frozen=all', 'text=learnable')),
        ('dit/upernet_dit-small', ()),
    ],
)
def test_two_processes_equal_one(config, settings, run):
    command = ('tests/data_parallel_losses.py', f'{config}_digit-scenes.py', *settings)
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
