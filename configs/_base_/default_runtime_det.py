_base_ = './default_runtime.py'
default_scope = 'mmdet'
custom_imports = dict(imports=['mmdiff.detection'])
# Images have many sizes.
env_cfg = dict(cudnn_benchmark=False)
visualizer = dict(type='DetLocalVisualizer')
default_hooks = dict(
    checkpoint=dict(interval=5000, save_best='coco/segm_mAP'),
    visualization=dict(type='DetVisualizationHook'),
    label_check=dict(type='mmdiff.LabelCheckHook'),
)
