_base_ = './default_runtime.py'
default_scope = 'mmseg'
# Also before what mmdiff makes import beside transformers 5 (mmdiff.stack).
custom_imports = dict(imports=['mmdiff'])
tta_model = dict(type='SegTTAModel')
visualizer = dict(type='SegLocalVisualizer')
default_hooks = dict(
    checkpoint=dict(save_best='mIoU'),
    visualization=dict(type='SegVisualizationHook'),
    label_check=dict(type='mmdiff.LabelCheckHook'),
)
