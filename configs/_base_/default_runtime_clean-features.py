# For learning clean features: averaged weights, the network as a file, features as pictures.
_base_ = './default_runtime_pretrain.py'
custom_hooks = [
    dict(type='mmdiff.ProgressBarHook'),
    # The average over about the last tenth of the run so far, at most 10,000 iterations.
    dict(type='EMAHook', ema_type='mmdiff.FusedEMA', momentum=1e-4, gamma=10),
    # Of a transformer, part='backbone.transformer'.
    dict(type='mmdiff.SavePartHook', part='backbone.unet', file='unet.pt'),
    dict(type='mmdiff.FeaturePictureHook'),
]
