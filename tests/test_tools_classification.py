"""Classification configs, trained and tested for a few steps."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from guided_diffusion.script_util import create_gaussian_diffusion
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image
from test_diffusion_encoder import reference_encoder
from test_tools import schedule

from mmdiff.diffusion.adm import get_encoder_architecture

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
CONFIGS = [
    path
    for path in sorted((ROOT / 'configs').glob('*_digit-scenes.py'))
    if Config.fromfile(path).model.get('head')
]
RELEASED = sorted((ROOT / 'configs/released').glob('*.py'))


@pytest.fixture(scope='module')
def imagenet(tmp_path_factory):
    """A fake ImageNet of three classes."""
    data = tmp_path_factory.mktemp('data') / 'imagenet'
    rng = np.random.default_rng(0)
    for split, count in (('train', 8), ('val', 2)):
        for name in ('n01', 'n02', 'n03'):
            (data / split / name).mkdir(parents=True)
            for number in range(count):
                image = Image.fromarray(rng.integers(0, 256, (70, 90, 3), np.uint8))
                image.save(data / split / name / f'{name}_{number}.JPEG')
    return data


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_trains_and_tests(path, classified_scenes, tmp_path):
    cfg = Config.fromfile(path)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False, batch_size=4)
        cfg[f'{split}_dataloader'].dataset.data_root = str(classified_scenes)
    cfg.merge_from_dict(
        {
            'work_dir': str(tmp_path),
            'experiment_name': f'{path.stem}-test',
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'default_hooks.logger.interval': 1,
        }
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    scalars = runner.message_hub.log_scalars
    assert np.isfinite(scalars['train/loss'].current())
    assert 0 <= scalars['val/accuracy/top1'].current() <= 100
    assert 0 <= runner.test()['accuracy/top1'] <= 100


@pytest.mark.parametrize('path', RELEASED, ids=lambda path: path.stem)
def test_released_recipe_trains(path, imagenet, tmp_path):
    """On the small U-Net and the head of the digit scenes."""
    cfg = Config.fromfile(path)
    small = Config.fromfile(ROOT / f'configs/{path.stem.split("-")[0]}_digit-scenes.py').model
    cfg.model.head = dict(small.head, num_classes=3)
    cfg.model.backbone.update(arch=small.backbone.arch, blocks=small.backbone.blocks, init_cfg=None)
    dataset = cfg.train_dataloader.dataset
    dataset.update(type='mmdiff.CustomDataset', data_root=str(imagenet), data_prefix='train')
    del dataset['split']
    dataset.pipeline[1].scale, dataset.pipeline[2].crop_size = (64, 80), 64
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=2)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    cfg.default_hooks.checkpoint.save_best = None
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=1)
    cfg.work_dir, cfg.experiment_name = str(tmp_path), f'{path.stem}-test'
    runner = Runner.from_cfg(cfg)
    before = {name: p.clone() for name, p in runner.model.named_parameters()}
    runner.train()
    assert np.isfinite(runner.message_hub.log_scalars['train/loss'].current())
    changed = {
        name.split('.')[1] if name.startswith('backbone') else 'head'
        for name, p in runner.model.named_parameters()
        if not torch.equal(p, before[name])
    }
    expected = {'head'}
    expected |= {'feedback'} if 'diffeed' in path.stem else set()
    expected |= {'unet'} if 'finetuned' in path.stem else set()
    assert changed == expected


def test_command_lines(classified_scenes, tmp_path, run):
    config = 'configs/attention_gd_digit-scenes.py'
    options = [
        f'{split}_dataloader.dataset.data_root={classified_scenes}'
        for split in ('train', 'val', 'test')
    ]
    run(
        'python', 'tools/train.py', config, '--work-dir', tmp_path,
        '--cfg-options', *options, *schedule(2), 'train_dataloader.batch_size=2',
    )  # fmt: skip
    checkpoint = (tmp_path / 'last_checkpoint').read_text()
    printed = run(
        'python', 'tools/test.py', config, checkpoint, '--work-dir', tmp_path,
        '--show-dir', tmp_path / 'shown', '--cfg-options', *options,
    )  # fmt: skip
    assert re.search(r'accuracy/top1: [\d.]+', printed)

    image = next((classified_scenes / 'test').rglob('*.jpg'))
    run('python', 'tools/image_demo.py', image, config, checkpoint, '--out-dir', tmp_path / 'demo')
    drawn = Image.open(tmp_path / f'demo/vis/{image.stem}.png')
    assert drawn.size == (480, 480)


def test_published_classifier_is_scored_without_training(classified_scenes, root, tmp_path, run):
    """As guided-diffusion's own model scores the images."""
    config = 'configs/u-net-encoder_digit-scenes.py'
    model = reference_encoder(
        get_encoder_architecture(Config.fromfile(root / config).model.backbone.arch)
    )
    # Random weights see one class alone but for this.
    model.out[2].c_proj.weight.data *= 30
    weights = tmp_path / 'classifier.pt'
    torch.save(model.state_dict(), weights)

    diffusion = create_gaussian_diffusion()
    paths = sorted((classified_scenes / 'test').rglob('*.jpg'))
    classes = sorted({path.parent.name for path in paths})
    ranks, first = [], set()
    for path in paths:
        x_0 = torch.tensor(np.array(Image.open(path).convert('RGB'))).permute(2, 0, 1)[None]
        t = torch.tensor([90])
        x_t = diffusion.q_sample(x_0 / 127.5 - 1, t, noise=torch.zeros(x_0.shape))
        with torch.no_grad():
            order = model(x_t, t)[0].argsort(descending=True).tolist()
        ranks.append(order.index(classes.index(path.parent.name)))
        first.add(order[0])
    assert len(ranks) == 80
    assert len(first) > 3
    expected = [100 * np.mean([rank < k for rank in ranks]) for k in (1, 2, 5)]

    data = f'test_dataloader.dataset.data_root={classified_scenes}'
    options = [data, 'test_evaluator.topk=(1,2,5)']
    options += ['model.backbone.timestep=90', 'model.backbone.eval_noise=none']
    init_cfg = [
        f'model.{part}.init_cfg.{setting}'
        for part in ('backbone', 'head')
        for setting in ('type=Pretrained', f'checkpoint={weights}')
    ]
    test = (config, '--work-dir', tmp_path / 'run')
    printed = run(
        'bash', 'tools/dist_test.sh', config, 2, *test[1:], '--cfg-options', *options, *init_cfg
    )
    for k, accuracy in zip((1, 2, 5), expected, strict=True):
        assert f'accuracy/top{k}: {accuracy:.4f}' in printed

    for settings, message in (
        ([], 'checkpoint: none given, and model.backbone, model.head would have random weights'),
        (
            [*init_cfg[:3], 'model.head.init_cfg.checkpoint=no.pt'],
            'init_cfg: checkpoint file no.pt does not exist',
        ),
    ):
        printed = run(
            'python', 'tools/test.py', *test, '--cfg-options', data, *settings, fails=True
        )
        assert message in printed
        assert 'Traceback' not in printed


def test_few_labels_from_the_list_to_the_test(imagenet, tmp_path, run):
    """A schedule in epochs, on a fake ImageNet of three classes, stopped and resumed."""
    data = imagenet
    script = 'tools/dataset_converters/image_list.py'
    run('python', script, data / 'train', data / 'meta/train_1percent.txt', '--fraction=0.5')
    run('python', script, data / 'val', data / 'meta/val.txt')
    config = 'configs/few-labels/linear_gd_in1k-1pct.py'
    options = [
        'model.backbone.arch=adm-64-small',
        'model.backbone.blocks=(12,)',
        'model.backbone.init_cfg=None',
        'model.head.in_channels=64',
        'train_cfg.val_interval=1',
    ]
    for split in ('train', 'val', 'test'):
        options += [
            f'{split}_dataloader.dataset.data_root={data}',
            f'{split}_dataloader.dataset.pipeline.1.scale=64',
            f'{split}_dataloader.dataset.pipeline.2.crop_size=64',
            f'{split}_dataloader.num_workers=0',
            f'{split}_dataloader.persistent_workers=False',
        ]
    command = ('python', 'tools/train.py', config, '--work-dir', tmp_path / 'run')
    run(*command, '--cfg-options', *options, 'train_cfg.max_epochs=1')
    assert (tmp_path / 'run/last_checkpoint').read_text().endswith('epoch_1.pth')
    printed = run(*command, '--resume', '--cfg-options', *options, 'train_cfg.max_epochs=2')
    # 12 of 24 images, 4 at a time.
    assert 'resumed epoch: 1, iter: 3' in printed
    checkpoint = (tmp_path / 'run/last_checkpoint').read_text()
    assert checkpoint.endswith('epoch_2.pth')
    printed = run(
        'python', 'tools/test.py', config, checkpoint, '--work-dir', tmp_path / 'run',
        '--cfg-options', *options,
    )  # fmt: skip
    assert re.search(r'accuracy/top1: [\d.]+ +accuracy/top5: [\d.]+', printed)
