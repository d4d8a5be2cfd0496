from .checks import check_bool, check_choice, check_int, check_ints, check_norm_cfg
from .download import local_file, local_folder
from .memory import keep_freed_memory
from .run_logs import LOGS

__all__ = [
    'LOGS',
    'check_bool',
    'check_choice',
    'check_int',
    'check_ints',
    'check_norm_cfg',
    'keep_freed_memory',
    'local_file',
    'local_folder',
]
