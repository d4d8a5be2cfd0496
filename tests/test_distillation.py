"""A backbone that learns to regress a frozen denoiser's features."""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from tiny_denoiser import PREPROCESSOR, backbone, images
from torch import nn

from mmdiff.engine import SavePartHook
from mmdiff.models import FeatureDistillation
from mmdiff.models.distillation import FeatureRegressor

RESNET = dict(type='mmpretrain.ResNet', depth=18, out_indices=(0, 1, 2, 3), style='pytorch')


class Student(nn.Module):
    """Two levels, of strides 2 and 4."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 16, 3, stride=2, padding=1)

    def forward(self, x):
        fine = self.first(x).relu()
        return fine, self.second(fine).relu()


MODELS.register_module(module=Student, name='TwoLevelStudent', force=True)
STUDENT = dict(
    student=dict(type='TwoLevelStudent'), student_channels=(8, 16), student_strides=(2, 4)
)


def build(checkpoint, teacher=(), **changes):
    torch.manual_seed(0)
    settings = dict(STUDENT, data_preprocessor=PREPROCESSOR, pyramid_channels=16) | changes
    model = FeatureDistillation(backbone(checkpoint) | dict(teacher), **settings)
    model.init_weights()
    return model


def test_a_few_steps_lower_the_loss_and_train_the_student_alone(tiny_unet):
    model = build(tiny_unet, dict(noise='fixed')).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        losses.append(sum(model(images(), mode='loss').values()))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad is not None for p in model.parameters())
    assert {name.split('.')[0] for name in model.state_dict()} == {'student', 'regressor'}
    assert not any(p.requires_grad for p in model.teacher.parameters())


def test_each_network_gets_the_images_that_it_wants(tiny_unet):
    model = build(tiny_unet).train()
    seen = {}
    for name, module in (('student', model.student), ('teacher', model.teacher)):
        module.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0]}))
    pixels = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8)
    # What OpenCV reads.
    batch = dict(inputs=list(pixels.flip(1)))
    model.errors(model.data_preprocessor(batch)['inputs'])
    torch.testing.assert_close(seen['teacher'], pixels / 127.5 - 1)
    mean, std = ([*of] for of in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
    expected = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(seen['student'], expected, rtol=1e-4, atol=1e-4)


def test_an_error_of_one_is_that_of_predicting_none(tiny_unet):
    model = build(tiny_unet, dict(timestep=(50, 300))).eval()
    for output in model.regressor.outputs:
        nn.init.zeros_(output[-1].weight)
        nn.init.zeros_(output[-1].bias)
    with torch.no_grad():
        results = model(images(), mode='predict')
    names = ['t50_b5', 't50_b6', 't300_b5', 't300_b6']
    assert [[*result] for result in results] == [names] * 4
    assert [*results[0].values()] == pytest.approx([1] * 4, rel=1e-3)


@pytest.mark.parametrize('timestep', [{5: 300, 6: 50}, 'learned'])
def test_other_timesteps_of_the_teacher(timestep, tiny_unet):
    model = build(tiny_unet, dict(timestep=timestep)).train()
    losses = model(images(), mode='loss')
    names = ('t300_b5', 't50_b6') if timestep != 'learned' else ('tlearned_b5', 'tlearned_b6')
    assert losses.keys() == {f'loss_{name}' for name in names}
    sum(losses.values()).backward()
    assert not any(p.requires_grad for p in model.teacher.parameters())


@pytest.mark.parametrize('out_strides', [(2, 4, 8, 8), (16,), (32, 8), (1, 64)])
def test_a_level_of_the_nearest_stride_predicts(out_strides):
    strides, channels = (4, 8, 16, 32), (8, 16, 24, 32)
    regressor = FeatureRegressor(channels, strides, (5,) * len(out_strides), out_strides, 8)
    maps = [torch.randn(2, c, 64 // s, 64 // s) for c, s in zip(channels, strides, strict=True)]
    sizes = [(64 // s, 64 // s) for s in out_strides]
    predictions = regressor(maps, sizes)
    assert [p.shape for p in predictions] == [(2, 5, *size) for size in sizes]
    sum(p.square().sum() for p in predictions).backward()
    # What DDP needs, also where fine levels predict nothing.
    assert all(p.grad is not None for p in regressor.parameters())
    used = [regressor.finest + level for level in regressor.levels]
    assert [strides[i] for i in used] == [min(max(s, 4), 32) for s in out_strides]


def save_student(model, folder, dtype='float32'):
    hook = SavePartHook('student', 'student.pth', dtype=dtype)
    checkpoint = {'state_dict': model.state_dict(), 'meta': {'iter': 2}}
    hook.before_save_checkpoint(SimpleNamespace(work_dir=folder), checkpoint)
    return folder / 'student.pth'


STOCK = {
    'mmseg': ('upernet_r50.py', dict(norm_cfg=dict(type='BN'))),
    'mmdet': ('mask-rcnn_r50_fpn.py', {}),
}


@pytest.mark.parametrize('package', STOCK)
def test_a_students_checkpoint_starts_a_stock_config(package, tiny_unet, tmp_path):
    channels = (64, 128, 256, 512)
    model = build(
        tiny_unet, student=RESNET, student_channels=channels, student_strides=(4, 8, 16, 32)
    ).train()
    # Also what batch norm counts, which no average or half precision may change.
    model.features(images(side=32))
    path = save_student(model, tmp_path)
    name, changes = STOCK[package]
    folder = Path(import_module(package).__path__[0]) / '.mim/configs/_base_/models'
    stock = Config.fromfile(folder / name).model.backbone
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    # Plain, where a stock config of MMSegmentation has a deep stem.
    stock.update(type='ResNet', depth=18, init_cfg=init_cfg, **changes)
    with DefaultScope.overwrite_default_scope(package):
        import_module(f'{package}.models')
        built = MODELS.build(stock)
    built.init_weights()
    stored = torch.load(path, weights_only=True)
    weights = built.state_dict()
    assert stored.keys() == weights.keys()
    assert all(torch.equal(value, stored[key]) for key, value in weights.items())
    assert stored['bn1.num_batches_tracked'] == 1


def test_half_precision_keeps_integers(tiny_unet, tmp_path):
    model = build(tiny_unet)
    model.student.register_buffer('count', torch.tensor(70001))
    stored = torch.load(save_student(model, tmp_path, 'float16'), weights_only=True)
    assert stored['first.weight'].dtype == torch.float16
    assert stored['count'] == 70001


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(student_channels=(8,)), r'student_channels=\(8,\) and student_strides=\(2, 4\) must'),
        (dict(student_strides=(4, 2)), "must name the student's maps, the finest first"),
        (dict(pyramid_channels=0), 'pyramid_channels must be an int of at least 1, got 0'),
        (dict(teacher=dict(init_cfg=None)), 'a teacher with random weights has nothing to teach'),
        (dict(student_channels=(16, 8)), r'student_channels=\(16, 8\), but the student gives maps'),
    ],
)
def test_bad_settings(changes, message, tiny_unet):
    with pytest.raises(ValueError, match=message):
        build(tiny_unet, **changes)(images(), mode='loss')
