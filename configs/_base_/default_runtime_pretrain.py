# For training a diffusion model: averaged weights, the U-Net as a file, samples as pictures.
_base_ = './default_runtime.py'
default_scope = 'mmpretrain'
custom_imports = dict(imports=['mmdiff.classification'])
visualizer = dict(type='Visualizer')
custom_hooks = [
    dict(type='mmdiff.ProgressBarHook'),
    dict(type='EMAHook', momentum=1e-4),
    dict(type='mmdiff.SaveUNetHook'),
    dict(type='mmdiff.SamplePictureHook'),
]
