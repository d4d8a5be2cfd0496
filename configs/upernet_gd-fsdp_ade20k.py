# upernet_gd_ade20k.py on 4 or 8 GPUs that share one copy of the model, its gradients and Adam's
# state: for GPUs that are too small for one copy each (docs/memory.md). They see 8 or 16 crops an
# iteration, where the paper's run sees 2.
_base_ = ['./upernet_gd_ade20k.py', './_base_/fsdp.py']
