# A small diffusion model to be trained, and its optimizer.
model = dict(
    type='mmdiff.DenoisingModel',
    arch='adm-64-small',
    # [-1, 1] RGB.
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True
    ),
    amp_dtype='bfloat16',
)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='mmdiff.FusedAdamW', lr=1e-3, weight_decay=0.0),
    clip_grad=dict(max_norm=1.0),
)
