_base_ = './default_runtime.py'
default_scope = 'mmseg'
visualizer = dict(type='SegLocalVisualizer')
default_hooks = dict(
    checkpoint=dict(save_best='mIoU'),
    visualization=dict(type='SegVisualizationHook'),
    label_check=dict(type='mmdiff.LabelCheckHook'),
)
