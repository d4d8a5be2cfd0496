from .adm import ARCHITECTURES, Architecture, UNet
from .checkpoint import (
    CheckpointError,
    check_fit,
    find_state_dict,
    load_safely,
    load_weights,
    read_checkpoint,
)
from .denoiser import Block, Denoiser, DenoiserArchitecture, ModelInput
from .embedding import time_vectors
from .families import get_architecture, network_of
from .lora import add_lora, merge_lora
from .losses import simple_loss, variational_bound
from .packing import PackedLayer, can_pack, pack_weights
from .schedule import (
    NUM_TIMESTEPS,
    SCHEDULES,
    alphas_cumprod,
    betas,
    fixed_noise,
    network_time,
    noise_process,
    q_sample,
)
from .unet import UNetDenoiser

__all__ = [
    'ARCHITECTURES',
    'NUM_TIMESTEPS',
    'SCHEDULES',
    'Architecture',
    'Block',
    'CheckpointError',
    'Denoiser',
    'DenoiserArchitecture',
    'ModelInput',
    'PackedLayer',
    'UNet',
    'UNetDenoiser',
    'add_lora',
    'alphas_cumprod',
    'betas',
    'can_pack',
    'check_fit',
    'find_state_dict',
    'fixed_noise',
    'get_architecture',
    'load_safely',
    'load_weights',
    'merge_lora',
    'network_of',
    'network_time',
    'noise_process',
    'pack_weights',
    'q_sample',
    'read_checkpoint',
    'simple_loss',
    'time_vectors',
    'variational_bound',
]
