# For distillation: the student's backbone as a file.
_base_ = './default_runtime_pretrain.py'
custom_hooks = [
    dict(type='mmdiff.ProgressBarHook'),
    dict(type='mmdiff.SavePartHook', part='student', file='student.pth'),
]
