from .arch import ARCHITECTURES, Architecture, Block, get_architecture
from .checkpoint import CheckpointError, check_fit, load_safely, load_weights, read_checkpoint
from .losses import simple_loss, variational_bound
from .schedule import NUM_TIMESTEPS, alphas_cumprod, betas, fixed_noise, q_sample
from .unet import UNet

__all__ = [
    'ARCHITECTURES',
    'NUM_TIMESTEPS',
    'Architecture',
    'Block',
    'CheckpointError',
    'UNet',
    'alphas_cumprod',
    'betas',
    'check_fit',
    'fixed_noise',
    'get_architecture',
    'load_safely',
    'load_weights',
    'q_sample',
    'read_checkpoint',
    'simple_loss',
    'variational_bound',
]
