from mmdiff.diffusion.integers import is_int

from .checks import as_ints, check_bool, check_choice, check_int, check_ints, check_norm_cfg
from .download import local_file, local_folder
from .free_cores import FreeCores
from .memory import give_back_freed_memory, keep_freed_memory
from .run_logs import LOGS
from .scalars import read_scalars, validated_steps
from .slices import row_slices
from .weights import weights_digest

__all__ = [
    'LOGS',
    'FreeCores',
    'as_ints',
    'check_bool',
    'check_choice',
    'check_int',
    'check_ints',
    'check_norm_cfg',
    'give_back_freed_memory',
    'is_int',
    'keep_freed_memory',
    'local_file',
    'local_folder',
    'read_scalars',
    'row_slices',
    'validated_steps',
    'weights_digest',
]
