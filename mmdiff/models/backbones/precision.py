"""Which mixed precision is the fastest where a network runs."""

from functools import cache
from pathlib import Path

import torch
from mmengine.logging import print_log

AMP_DTYPES = {'float16': torch.float16, 'bfloat16': torch.bfloat16}
AUTO = 'auto'
# Of a CPU, as Linux calls them: without one, bfloat16 is computed in float32.
BFLOAT16_INSTRUCTIONS = ('amx_bf16', 'avx512_bf16')


@cache
def cpu_flags() -> frozenset[str]:
    """What instructions the processor has, by Linux's names; none on other systems."""
    file = Path('/proc/cpuinfo')
    lines = file.read_text().splitlines() if file.exists() else ()
    flags = next((line for line in lines if line.startswith('flags')), ':')
    return frozenset(flags.split(':')[1].split())


def fastest_dtype(device: torch.device, trained: bool) -> torch.dtype | None:
    """The precision of ``amp_dtype='auto'``, which the log says.

    Args:
        device (torch.device): Where the network runs.
        trained (bool): Whether any of its weights is, whose gradients may be
            too small for float16.

    Returns:
        torch.dtype | None: On a GPU float16, and bfloat16 where weights are
        trained; on a CPU bfloat16, where it has instructions for it. Else None.
    """
    if device.type == 'cuda':
        has_it = not trained or torch.cuda.is_bf16_supported()
        found = (torch.bfloat16 if trained else torch.float16) if has_it else None
        reason = torch.cuda.get_device_name(device)
    else:
        known = [name for name in BFLOAT16_INSTRUCTIONS if name in cpu_flags()]
        found = torch.bfloat16 if known and device.type == 'cpu' else None
        reason = f'a {device.type} device with {" and ".join(known) or "no bfloat16 instructions"}'
    name = 'float32' if found is None else str(found).removeprefix('torch.')
    print_log(f"amp_dtype='auto' is {name} on {reason}", logger='current')
    return found
