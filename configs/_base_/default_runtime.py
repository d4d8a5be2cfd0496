# What the runs of all packages share; each package's default_runtime_*.py adds its own.
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
# Batches per GPU are small, so that batch norm in a distributed run needs all of them.
sync_bn = 'torch'
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='mmdiff.SafeCheckpointHook', by_epoch=False, interval=1000, max_keep_ckpts=2
    ),
    # Images are scaled as the backbone wants them, and batches are large enough for batch norm.
    inputs=dict(type='mmdiff.InputCheckHook'),
    # What a run starts from or resumes must fit, and what a resume changes is logged.
    loading=dict(type='mmdiff.LoadingHook'),
    # A run that was killed while it validated validates when it goes on.
    missed_validation=dict(type='mmdiff.MissedValidationHook'),
    # Weights that are not finite are never saved.
    divergence=dict(type='mmdiff.DivergenceHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # So that a resumed run goes on with the noise and the dropout that it would have had.
    iteration_seed=dict(type='mmdiff.IterationSeedHook'),
    free_cores=dict(type='mmdiff.FreeCoresHook'),
)
custom_hooks = [dict(type='mmdiff.ProgressBarHook')]
