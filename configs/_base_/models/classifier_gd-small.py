# A U-Net that trains on a CPU in minutes, in MMPretrain's classifier. A head comes from the config
# that inherits this.
model = dict(
    type='ImageClassifier',
    # [-1, 1] RGB, what the U-Net takes.
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], to_rgb=True),
    # Block 12 is to the small U-Net what 24 is to the large one: as large as its third level from
    # the middle, 16x16 for images of 64x64.
    backbone=dict(
        type='mmdiff.GuidedDiffusionBackbone', arch='adm-64-small', timestep=10, blocks=(12,)
    ),
)
