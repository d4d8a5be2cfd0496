"""Runs that learn from a frozen denoiser go on as if they had not been interrupted."""

import pytest
import torch
from mmengine.registry import DATASETS
from test_distillation import STUDENT
from test_resume import trainer
from tiny_denoiser import PREPROCESSOR, backbone

from mmdiff.diffusion import read_checkpoint
from mmdiff.engine.weights_only import load_run


@DATASETS.register_module()
class RandomImages(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        size = (3, 16, 16)
        return dict(inputs=torch.randint(256, size, generator=generator, dtype=torch.uint8))


@pytest.fixture
def train(root, tmp_path, monkeypatch):
    return trainer(root, tmp_path, monkeypatch)


MODELS = {
    'clean features': (
        dict(type='mmdiff.CleanFeatures'),
        'denoiser',
        [
            dict(type='EMAHook', ema_type='mmdiff.FusedEMA', momentum=1e-4, gamma=10),
            dict(type='mmdiff.SavePartHook', part='backbone.unet', file='part.pt'),
            dict(type='mmdiff.FeaturePictureHook'),
        ],
    ),
    'distillation': (
        dict(type='mmdiff.FeatureDistillation', pyramid_channels=8, **STUDENT),
        'teacher',
        [dict(type='mmdiff.SavePartHook', part='student', file='part.pt')],
    ),
}


def settings(name, checkpoint):
    """What a config has in place of test_resume's."""
    model, argument, hooks = MODELS[name]
    model = {**model, argument: backbone(checkpoint), 'data_preprocessor': PREPROCESSOR}
    return f"""
model = {model}
custom_hooks = {hooks}
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='RandomImages'),
)
val_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='RandomImages'),
)
val_evaluator = dict(type='mmdiff.FeatureError')
default_hooks['checkpoint']['save_best'] = None
optim_wrapper['optimizer']['lr'] = 0.001
"""


@pytest.mark.parametrize('name', MODELS)
def test_a_resumed_run_equals_an_undisturbed_one(name, tiny_unet, train, tmp_path):
    more = settings(name, tiny_unet)
    train('whole', more=more)
    train('resumed', '--cfg-options', 'train_cfg.max_iters=4', more=more)
    earlier = read_checkpoint(tmp_path / 'resumed/part.pt')
    train('resumed', '--resume', more=more)
    part, expected = (read_checkpoint(tmp_path / run / 'part.pt') for run in ('resumed', 'whole'))
    assert part.keys() == expected.keys() == earlier.keys()
    assert all(torch.equal(value, expected[key]) for key, value in part.items())
    assert not all(torch.equal(value, earlier[key]) for key, value in part.items())
    checkpoint = load_run(tmp_path / 'resumed/iter_6.pth')
    weights = checkpoint['state_dict']
    assert not any('teacher' in key for key in weights)
    if name == 'clean features':
        # The averaged weights, which the run has as its model's.
        raw = checkpoint['ema_state_dict']
        for key, value in part.items():
            assert torch.equal(value, weights[f'backbone.unet.{key}'])
        changed = 'input_blocks.0.0.bias'
        assert not torch.equal(part[changed], raw[f'module.backbone.unet.{changed}'])
        # Of blocks that are not tapped.
        assert torch.equal(part['out.2.bias'], read_checkpoint(tiny_unet)['out.2.bias'])
        pictures = [path.name for path in (tmp_path / 'resumed/features').iterdir()]
        assert sorted(pictures) == ['iter_2.png', 'iter_4.png', 'iter_6.png']
