from .iteration_seed import IterationSeedHook
from .progress_bar import ProgressBarHook
from .sample_picture import SamplePictureHook
from .save_unet import SaveUNetHook

__all__ = ['IterationSeedHook', 'ProgressBarHook', 'SamplePictureHook', 'SaveUNetHook']
