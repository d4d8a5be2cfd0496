# Weights, gradients and optimizer state sharded over the GPUs, for any config that fine-tunes the
# U-Net: docs/memory.md. Start it with tools/dist_train.sh or tools/slurm_train.sh.
runner_type = 'FlexibleRunner'
strategy = dict(type='mmdiff.FSDPStrategy', sync_bn='torch')
