from .divergence import DivergedError, DivergenceHook
from .feature_picture import FeaturePictureHook
from .free_cores import FreeCoresHook
from .input_check import InputCheckHook
from .iteration_seed import IterationSeedHook
from .label_check import LabelCheckHook
from .loading import LoadingHook
from .missed_validation import MissedValidationHook
from .prepare_for_inference import PrepareForInferenceHook
from .progress_bar import ProgressBarHook
from .safe_checkpoint import SafeCheckpointHook
from .sample_picture import SamplePictureHook
from .save_part import SavePartHook, SaveUNetHook

__all__ = [
    'DivergedError',
    'DivergenceHook',
    'FeaturePictureHook',
    'FreeCoresHook',
    'InputCheckHook',
    'IterationSeedHook',
    'LabelCheckHook',
    'LoadingHook',
    'MissedValidationHook',
    'PrepareForInferenceHook',
    'ProgressBarHook',
    'SafeCheckpointHook',
    'SamplePictureHook',
    'SavePartHook',
    'SaveUNetHook',
]
