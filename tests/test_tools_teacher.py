"""Learning clean features, and distillation, in two processes, as a user does."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from test_tools_pretrain import options

from mmdiff.diffusion import read_checkpoint

pytestmark = pytest.mark.slow

# Config, what it makes, and a config that starts from that.
RUNS = {
    'clean_features': (
        'configs/clean-features/clean_adm-64-small_digit-scenes.py',
        'unet.pt',
        'configs/clean-features/upernet_gd-clean_digit-scenes.py',
    ),
    'distill': (
        'configs/distillation/distill_r18_digit-scenes.py',
        'student.pth',
        'configs/distillation/upernet_r18-distilled_digit-scenes.py',
    ),
}


@pytest.mark.parametrize('tool', RUNS)
def test_what_a_run_makes_starts_another(tool, digit_scenes, tmp_path, run, root):
    config, file, downstream = RUNS[tool]
    # Those of pretraining, but for its pictures.
    changes = [o for o in options(digit_scenes, 2) if not o.startswith('custom_hooks')]
    printed = run(
        'python', '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2',
        f'tools/{tool}.py', config, '--launcher', 'pytorch', '--work-dir', tmp_path,
        '--cfg-options', *changes,
    )  # fmt: skip
    assert 'Iter(train) [2/2]' in printed
    assert 'feature_error/mean: ' in printed
    assert f': {tmp_path}/{file}' in printed
    assert (tmp_path / 'features/iter_2.png').exists() == (tool == 'clean_features')

    cfg = Config.fromfile(root / downstream)
    init_default_scope(cfg.default_scope)
    init_cfg = cfg.model.backbone.init_cfg
    assert init_cfg.checkpoint == f'work_dirs/{(root / config).stem}/{file}'
    init_cfg.checkpoint = str(tmp_path / file)
    model = MODELS.build(cfg.model)
    model.init_weights()
    stored = read_checkpoint(tmp_path / file)
    for key, value in getattr(model.backbone, 'unet', model.backbone).state_dict().items():
        assert torch.equal(value, stored[key]), key
