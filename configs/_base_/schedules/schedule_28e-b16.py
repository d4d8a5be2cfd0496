# schedule_28e.py at 4 images on each of 4 GPUs, as the authors' code has it for DifFeed.
_base_ = './schedule_28e.py'
auto_scale_lr = dict(base_batch_size=16)
