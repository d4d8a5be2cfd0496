"""Memory that is kept, not asked for again."""

import platform

import pytest

COUNT_PAGE_FAULTS = """
import resource
import torch
from mmdiff.utils import keep_freed_memory

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = page_faults()
assert keep_freed_memory()
page_faults()
print(plain, page_faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='other C libraries have no mallopt')
def test_freed_memory_is_not_asked_for_again(run):
    plain, kept = map(int, run('python', '-c', COUNT_PAGE_FAULTS).split()[-2:])
    assert plain > 10_000
    assert kept < plain / 100
