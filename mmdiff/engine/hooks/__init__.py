from .progress_bar import ProgressBarHook
from .sample_picture import SamplePictureHook
from .save_unet import SaveUNetHook

__all__ = ['ProgressBarHook', 'SamplePictureHook', 'SaveUNetHook']
