_base_ = './default_runtime.py'
default_scope = 'mmpretrain'
custom_imports = dict(imports=['mmdiff.classification'])
tta_model = dict(type='AverageClsScoreTTA')
visualizer = dict(type='UniversalVisualizer')
default_hooks = dict(
    checkpoint=dict(save_best='accuracy/top1'),
    visualization=dict(type='VisualizationHook', enable=False),
    label_check=dict(type='mmdiff.LabelCheckHook'),
)
