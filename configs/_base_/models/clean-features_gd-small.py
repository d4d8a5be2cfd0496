# A copy of a small U-Net that learns features of clean images. Its init_cfg comes from the config
# that inherits this.
_base_ = './clean-features_gd.py'
model = dict(
    denoiser=dict(
        _delete_=True,
        type='mmdiff.GuidedDiffusionBackbone',
        arch='adm-64-small',
        timestep=0,
        # Those of upernet_gd-small.py.
        blocks=(9, 10, 12, 14),
        amp_dtype='bfloat16',
    ),
)
