"""Every config builds, at full size, on PyTorch's meta device."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope

CONFIGS = sorted((Path(__file__).parent.parent / 'configs').glob('*.py'))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_segmentor_builds_and_its_parts_fit(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = revert_sync_batchnorm(MODELS.build(cfg.model)).train()
        crop = torch.zeros(2, 3, *cfg.model.data_preprocessor.size)
        levels = model.extract_feat(crop)
        logits = model.decode_head(levels)
        model.auxiliary_head(levels)
    assert model.backbone.strides == tuple(cfg.model.neck.in_strides)
    expected = [side // cfg.model.neck.out_strides[0] for side in crop.shape[-2:]]
    assert list(logits.shape) == [2, cfg.model.decode_head.num_classes, *expected]
    assert [tuple(level.shape[-2:]) for level in levels] == [
        tuple(side // stride for side in crop.shape[-2:]) for stride in cfg.model.neck.out_strides
    ]
    classes = (cfg.train_dataloader.dataset.get('metainfo') or {}).get('classes')
    if classes:
        assert len(classes) == cfg.model.decode_head.num_classes
    assert cfg.model.data_preprocessor.bgr_to_rgb
    assert cfg.model.data_preprocessor.mean == cfg.model.data_preprocessor.std == [127.5] * 3
    last = cfg.param_scheduler[-1].end
    assert last == cfg.train_cfg.max_iters
