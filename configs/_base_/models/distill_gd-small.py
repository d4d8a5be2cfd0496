# A ResNet-18 that learns the features of a small U-Net. Its init_cfg comes from the config that
# inherits this.
model = dict(
    type='mmdiff.FeatureDistillation',
    # [-1, 1] RGB, for the teacher; the student's images are normalised as ImageNet's.
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True
    ),
    teacher=dict(
        type='mmdiff.GuidedDiffusionBackbone',
        arch='adm-64-small',
        # As in upernet_gd_digit-scenes.py: outlines at the first, objects at the others.
        timestep=(50, 300, 500),
        blocks=(14, 12, 10, 9),
        amp_dtype='bfloat16',
    ),
    student=dict(type='ResNet', depth=18, out_indices=(0, 1, 2, 3), style='pytorch'),
    student_channels=(64, 128, 256, 512),
    student_strides=(4, 8, 16, 32),
)
