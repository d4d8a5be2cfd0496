"""The command lines on detection configs, run as a user runs them."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image
from test_detection import write_coco
from test_tools import schedule

pytestmark = pytest.mark.slow

CONFIGS = sorted((Path(__file__).parent.parent / 'configs').glob('mask-rcnn_*_coco.py'))
ONE_BLOCK = {'blocks': (10,), 'in_channels': (128,), 'in_strides': (8,)}
FOUR_BLOCKS = {
    'blocks': (14, 12, 10, 9),
    'in_channels': (32, 64, 128, 128),
    'in_strides': (2, 4, 8, 8),
}
# Of a simple feature pyramid on ONE_BLOCK.
STRIDES = [2, 4, 8, 16]


@pytest.fixture(scope='module')
def coco(tmp_path_factory) -> Path:
    """A few images in COCO's layout, with all its classes."""
    from mmdet.datasets import CocoDataset

    root = tmp_path_factory.mktemp('coco')
    rng = np.random.default_rng(0)
    (root / 'annotations').mkdir()
    for split, count in (('train2017', 6), ('val2017', 4)):
        images = []
        for _ in range(count):
            height, width = rng.integers(40, 100, 2)
            boxes = [((5 + 9 * i, 6, 20, 25), int(rng.integers(1, 81))) for i in range(2)]
            images.append((rng.integers(0, 256, (height, width, 3), dtype=np.uint8), boxes))
        folder = write_coco(root / f'{split}.parts', images, CocoDataset.METAINFO['classes'])
        (folder / 'images').rename(root / split)
        (folder / 'annotations.json').rename(root / f'annotations/instances_{split}.json')
    return root


def small_coco(cfg, data_root) -> dict:
    """What makes a COCO config small: U-Net, images, workers; and where its data is."""
    options = {
        'model.data_preprocessor.pad_size_divisor': 64,
        'train_dataloader.batch_size': 1,
    }
    for index, transform in enumerate(cfg.train_dataloader.dataset.pipeline):
        for key in {'scale', 'crop_size'} & set(transform):
            options[f'train_dataloader.dataset.pipeline.{index}.{key}'] = (64, 64)
    for split in ('train', 'val', 'test'):
        options |= {
            f'{split}_dataloader.dataset.data_root': str(data_root),
            f'{split}_dataloader.num_workers': 0,
            f'{split}_dataloader.persistent_workers': False,
        }
    for split in ('val', 'test'):
        options |= {
            f'{split}_dataloader.dataset.pipeline.1.scale': (64, 64),
            f'{split}_evaluator.ann_file': f'{data_root}/annotations/instances_val2017.json',
        }
    options['model.backbone.init_cfg'] = None
    # An untrained model is sure of nothing, and without a result there is no metric.
    options['model.test_cfg.rcnn.score_thr'] = 0.0
    # Few regions, as the heads that they go through are large.
    options |= {
        'model.train_cfg.rpn_proposal.max_per_img': 40,
        'model.train_cfg.rcnn.sampler.num': 32,
        'model.test_cfg.rpn.max_per_img': 40,
    }
    if cfg.model.backbone.type.startswith('mmdiff.'):
        blocks = FOUR_BLOCKS if len(cfg.model.backbone.blocks) == 4 else ONE_BLOCK
        options |= {
            'model.backbone.arch': 'adm-64-small',
            'model.backbone.blocks': blocks['blocks'],
        }
        if cfg.model.neck.type == 'mmdiff.SimpleFeaturePyramid':
            options |= {
                'model.neck.in_channels': blocks['in_channels'][0],
                'model.rpn_head.anchor_generator.strides': [*STRIDES, 32],
                'model.roi_head.bbox_roi_extractor.featmap_strides': STRIDES,
                'model.roi_head.mask_roi_extractor.featmap_strides': STRIDES,
            }
        else:
            options |= {
                'model.neck.in_channels': blocks['in_channels'],
                'model.neck.in_strides': blocks['in_strides'],
            }
    return options


def as_arguments(options):
    return [f'{key}={value}'.replace(' ', '') for key, value in options.items()]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_coco_config_trains_and_tests_a_step(path, coco, tmp_path):
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(small_coco(cfg, coco))
    cfg.merge_from_dict(
        {
            'work_dir': str(tmp_path),
            'experiment_name': f'{path.stem}-test',
            'train_cfg.max_iters': 1,
            'train_cfg.val_interval': 1,
            'default_hooks.logger.interval': 1,
        }
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    scalars = runner.message_hub.log_scalars
    losses = [name for name in scalars if name.startswith('train/loss_')]
    assert {name.split('_', 1)[1] for name in losses} == {
        'rpn_cls', 'rpn_bbox', 'cls', 'bbox', 'mask',
    }  # fmt: skip
    assert all(np.isfinite(scalars[name].current()) for name in losses)
    for metric in ('bbox_mAP', 'segm_mAP'):
        assert 0 <= scalars[f'val/coco/{metric}'].current() <= 1
    assert (tmp_path / 'iter_1.pth').is_file()


def kill(text):
    """SIGKILL to every process that has ``text`` in its command line."""
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            if text in (folder / 'cmdline').read_text():
                os.kill(int(folder.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue


def test_distributed_training_resumes_after_a_kill(root, coco, tmp_path, run, environment):
    config = 'configs/mask-rcnn_diffeed_coco.py'
    options = as_arguments(small_coco(Config.fromfile(root / config), coco))
    train = ['bash', 'tools/dist_train.sh', config, '2', '--work-dir', str(tmp_path)]
    with (tmp_path / 'printed').open('w') as printed:
        process = subprocess.Popen(
            [*train, '--cfg-options', *options, *schedule(1000)],
            cwd=root, env=environment, stdout=printed, stderr=subprocess.STDOUT,
        )  # fmt: skip
        deadline = time.monotonic() + 300
        while not (tmp_path / 'iter_4.pth').exists():
            assert process.poll() is None, (tmp_path / 'printed').read_text()[-5000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        kill(str(tmp_path))
        process.wait()

    last = Path((tmp_path / 'last_checkpoint').read_text())
    done = int(re.fullmatch(r'iter_(\d+)', last.stem)[1])
    before = torch.load(last, weights_only=False)['state_dict']
    text = run(*train, '--resume', '--cfg-options', *options, *schedule(done + 2))
    assert f'Iter(train) [{done + 1}/{done + 2}]' in text
    assert f'Iter(train) [{done}/{done + 2}]' not in text
    after = torch.load(tmp_path / f'iter_{done + 2}.pth', weights_only=False)['state_dict']
    for key in ('backbone.unet.input_blocks.0.0.weight', 'roi_head.mask_head.conv_logits.bias'):
        assert not torch.equal(before[key], after[key])


def test_digit_scenes_from_training_to_pictures(root, digit_scenes, tmp_path, run):
    """The commands of docs/results.md, on few scenes."""
    config = 'configs/mask-rcnn_gd_digit-scenes.py'
    own_config = tmp_path / 'own.py'
    files = {'train': 'training', 'val': 'validation', 'test': 'test'}
    own_config.write_text(
        f"_base_ = ['{root / config}']\n"
        + ''.join(
            f"{split}_dataloader = dict(dataset=dict(data_root='{digit_scenes}'))\n"
            for split in files
        )
        + ''.join(
            f"{split}_evaluator = dict(\n    ann_file='{digit_scenes}/annotations/"
            f"instances_{files[split]}.json'\n)\n"
            for split in ('val', 'test')
        )
    )
    run(
        'python', 'tools/train.py', own_config, '--work-dir', tmp_path,
        '--cfg-options', *schedule(2), 'train_dataloader.batch_size=2',
    )  # fmt: skip
    checkpoint = (tmp_path / 'last_checkpoint').read_text()
    shown = tmp_path / 'shown'
    printed = run(
        'python', 'tools/test.py', own_config, checkpoint, '--work-dir', tmp_path,
        '--show-dir', os.path.relpath(shown, root),
    )  # fmt: skip
    assert len(list(shown.rglob('*.*g'))) == 8
    assert re.search(r'coco/bbox_mAP: [\d.]+', printed)
    assert re.search(r'coco/segm_mAP: [\d.]+', printed)

    sheet = tmp_path / 'sheet.png'
    run(
        'python', 'tools/analysis_tools/feature_sheet.py', own_config, checkpoint, sheet,
        '--num=2', '--score-thr=0',
    )  # fmt: skip
    width, height = Image.open(sheet).size
    assert width > 2 * height

    image = digit_scenes / 'images/test/000000.jpg'
    run(
        'python', 'tools/image_demo.py', image, own_config, checkpoint,
        '--out-dir', tmp_path / 'demo', '--score-thr=0',
    )  # fmt: skip
    drawn = np.asarray(Image.open(tmp_path / 'demo/vis/000000.jpg'), float)
    assert drawn.shape == (64, 64, 3)
    assert np.abs(drawn - np.asarray(Image.open(image), float)).max() > 50
    assert (tmp_path / 'demo/preds/000000.json').is_file()
