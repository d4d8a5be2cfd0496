# For training a diffusion model: averaged weights, the U-Net as a file, samples as pictures.
_base_ = './default_runtime.py'
default_scope = 'mmpretrain'
custom_imports = dict(imports=['mmdiff.classification'])
visualizer = dict(type='Visualizer')
default_hooks = dict(label_check=dict(type='mmdiff.LabelCheckHook'))
custom_hooks = [
    dict(type='mmdiff.ProgressBarHook'),
    # The average over about the last tenth of the run so far, at most 10,000 iterations.
    dict(type='EMAHook', ema_type='mmdiff.FusedEMA', momentum=1e-4, gamma=10),
    dict(type='mmdiff.SaveUNetHook'),
    dict(type='mmdiff.SamplePictureHook'),
]
