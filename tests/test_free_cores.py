"""How many threads compute beside other processes."""

import pytest
import torch

from mmdiff.utils import FreeCores, free_cores


@pytest.fixture
def machine(monkeypatch):
    """Four cores, of which others use some, and the threads that are set."""
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    state = dict(now=0.0, busy=0.0, own=0.0, threads=4)
    monkeypatch.setattr(torch, 'get_num_threads', lambda: state['threads'])
    monkeypatch.setattr(torch, 'set_num_threads', lambda n: state.update(threads=n))
    monkeypatch.setattr(free_cores, 'monotonic', lambda: state['now'])
    monkeypatch.setattr(free_cores.os, 'sched_getaffinity', lambda pid: {0, 1, 2, 3})
    usage = staticmethod(lambda: (state['now'], state['busy'], state['own']))
    monkeypatch.setattr(FreeCores, '_usage', usage)
    return state


def compute(cores, machine, seconds, others, own=1.0):
    with cores.adapted():
        wait(machine, seconds, others, own)


def wait(machine, seconds, others, own=0.0):
    machine['now'] += seconds
    machine['own'] += own * seconds
    machine['busy'] += (own + others) * seconds


@pytest.mark.parametrize(
    ('others', 'threads'), [(0.0, 4), (0.4, 4), (1.0, 3), (2.6, 1), (3.2, 1), (4.0, 1), (-0.5, 4)]
)
def test_as_many_as_others_leave(others, threads, machine):
    cores = FreeCores()
    # Several short ones are one look, and two looks must say the same.
    for seconds in (0.1, 0.2, 0.1):
        compute(cores, machine, seconds, others)
        assert machine['threads'] == 4
    wait(machine, 2, others)
    for _ in range(2):
        compute(cores, machine, 0.2, others)
    assert machine['threads'] == threads


def test_what_is_over_soon_changes_nothing(machine):
    cores = FreeCores()
    for others in (3, 0, 3, 0):
        compute(cores, machine, 2, others)
        assert machine['threads'] == 4


def test_comes_back_when_the_others_are_gone(machine):
    cores = FreeCores()
    for _ in range(2):
        compute(cores, machine, 2, others=3)
    assert machine['threads'] == 1
    # Too soon for another look.
    compute(cores, machine, 0.5, others=0)
    compute(cores, machine, 0.6, others=0)
    assert machine['threads'] == 1
    for _ in range(2):
        compute(cores, machine, 0.6, others=0)
    assert machine['threads'] == 4


def test_what_others_do_meanwhile_does_not_count(machine):
    """Such as where two programs take turns."""
    cores = FreeCores()
    for _ in range(3):
        wait(machine, 5, others=4)
        compute(cores, machine, 2, others=0)
        assert machine['threads'] == 4


def test_what_the_user_has_set_stays(machine, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '4')
    cores = FreeCores()
    for _ in range(3):
        compute(cores, machine, 2, others=3)
    assert machine['threads'] == 4


@pytest.mark.skipif(not free_cores.Path('/proc/stat').exists(), reason='needs Linux')
def test_reads_the_machine(monkeypatch):
    first = FreeCores._usage()
    while FreeCores._usage()[2] < first[2] + 0.1:
        pass
    time, busy, own = (b - a for a, b in zip(first, FreeCores._usage(), strict=True))
    assert own >= 0.1
    assert time >= own - 0.05
    # Counted in hundredths of a second.
    assert busy >= own - 0.05
