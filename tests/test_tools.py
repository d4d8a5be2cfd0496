"""The command lines, run as a user runs them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytestmark = pytest.mark.slow

SMALL_MODEL = [
    'model.backbone.arch=adm-64-small',
    'model.backbone.blocks=(14,12,10,9)',
    'model.backbone.init_cfg=None',
    'model.neck.in_channels=(32,64,128,128)',
    'model.neck.in_strides=(2,4,8,8)',
    'model.neck.out_channels=32',
    'model.decode_head.in_channels=[32,32,32,32]',
    'model.decode_head.channels=32',
    'model.auxiliary_head.in_channels=32',
    'model.auxiliary_head.channels=32',
]
SMALL_CROP = [
    'model.data_preprocessor.size=(64,64)',
    'train_dataloader.dataset.pipeline.2.scale=(128,64)',
    'train_dataloader.dataset.pipeline.3.crop_size=(64,64)',
    'val_dataloader.dataset.pipeline.1.scale=(128,64)',
    'test_dataloader.dataset.pipeline.1.scale=(128,64)',
    'model.test_cfg.crop_size=(64,64)',
    'model.test_cfg.stride=(42,42)',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False',
]


def schedule(iterations):
    return [
        f'train_cfg.max_iters={iterations}',
        f'train_cfg.val_interval={iterations}',
        'default_hooks.checkpoint.interval=2',
        'default_hooks.logger.interval=1',
    ]


@pytest.fixture(scope='module')
def ade20k(tmp_path_factory) -> Path:
    """A few images in ADE20K's layout, 0 in a label map meaning "other"."""
    root = tmp_path_factory.mktemp('ADEChallengeData2016')
    rng = np.random.default_rng(0)
    for split, count in (('training', 6), ('validation', 4)):
        for kind in ('images', 'annotations'):
            (root / kind / split).mkdir(parents=True)
        for number in range(count):
            size = (rng.integers(40, 90), rng.integers(60, 120))
            image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            labels = np.kron(rng.integers(0, 151, (4, 4)), np.ones((30, 30)))
            name = f'ADE_{number:08d}'
            Image.fromarray(image).save(root / 'images' / split / f'{name}.jpg')
            labels = labels[: size[0], : size[1]].astype(np.uint8)
            Image.fromarray(labels).save(root / 'annotations' / split / f'{name}.png')
    return root


def small_ade20k(data_root):
    """Any ADE20K config, on a small U-Net and small crops."""
    splits = ('train', 'val', 'test')
    data = [f'{split}_dataloader.dataset.data_root={data_root}' for split in splits]
    return [*data, *SMALL_MODEL, *SMALL_CROP]


def miou(printed):
    return re.findall(r'mIoU: ([\d.]+)', printed)[-1]


def test_distributed_training_resumes_and_the_test_score_repeats(ade20k, tmp_path, run):
    config = 'configs/upernet_gd_ade20k.py'
    options = small_ade20k(ade20k)
    train = ('tools/dist_train.sh', config, 2, '--work-dir', tmp_path)
    printed = run('bash', *train, '--cfg-options', *options, *schedule(2))
    assert 'Iter(train) [2/2]' in printed
    assert 'processes talk through gloo' in printed
    first = torch.load(tmp_path / 'iter_2.pth', weights_only=False)

    printed = run('bash', *train, '--resume', '--cfg-options', *options, *schedule(4))
    assert 'Iter(train) [1/4]' not in printed
    assert 'Iter(train) [3/4]' in printed
    checkpoint = tmp_path / 'iter_4.pth'
    second = torch.load(checkpoint, weights_only=False)
    key = 'backbone.unet.input_blocks.0.0.weight'
    assert not torch.equal(first['state_dict'][key], second['state_dict'][key])

    test = ('tools/test.py', config, checkpoint, '--work-dir', tmp_path / 'test')
    scores = {
        miou(run('python', *test, '--cfg-options', *options)),
        miou(run('python', *test, '--cfg-options', *options, 'test_dataloader.batch_size=1')),
        miou(
            run(
                'bash', 'tools/dist_test.sh', config, checkpoint, 2,
                '--work-dir', tmp_path / 'dist', '--cfg-options', *options,
            )
        ),
    }  # fmt: skip
    assert len(scores) == 1

    run('python', *test, '--show-dir', tmp_path / 'shown', '--cfg-options', *options)
    assert len(list((tmp_path / 'shown').rglob('*.png'))) == 4


@pytest.mark.parametrize('variant', ['diffeed', 'diffeed-frozen'])
def test_distributed_diffeed_waits_for_no_gradient(variant, ade20k, tmp_path, run):
    """DDP without ``find_unused_parameters`` stops in the iteration after a missing gradient."""
    printed = run(
        'bash', 'tools/dist_train.sh', f'configs/upernet_{variant}_ade20k.py', 2,
        '--work-dir', tmp_path, '--cfg-options', *small_ade20k(ade20k), *schedule(3),
    )  # fmt: skip
    assert 'Iter(train) [3/3]' in printed
    assert 'processes talk through gloo' in printed
    assert 'find_unused_parameters=True' not in printed


def test_digit_scenes_from_training_to_pictures(root, digit_scenes, tmp_path, run):
    """The commands of docs/results.md, on few scenes."""
    config = 'configs/upernet_gd_digit-scenes.py'
    options = [
        f'{split}_dataloader.dataset.data_root={digit_scenes}' for split in ('train', 'val', 'test')
    ]
    run(
        'python', 'tools/train.py', config, '--work-dir', tmp_path,
        '--cfg-options', *options, *schedule(2), 'train_dataloader.batch_size=2',
    )  # fmt: skip
    checkpoint = (tmp_path / 'last_checkpoint').read_text()
    printed = run(
        'python', 'tools/test.py', config, checkpoint, '--work-dir', tmp_path,
        '--cfg-options', *options,
    )  # fmt: skip
    table = printed[re.search(r'^\+-', printed, re.M).start() :]
    rows = re.findall(r'^\|\s*(\w+)\s*\|', table, re.M)
    assert rows == ['Class', 'background', *'0123456789']
    assert 'mIoU' in printed

    # The sheet reads the data set from the config alone.
    own_config = tmp_path / 'own.py'
    own_config.write_text(
        f"_base_ = ['{root / config}']\ntest_dataloader = dict(dataset=dict("
        f"data_root='{digit_scenes}'))\n"
    )
    sheet = tmp_path / 'sheet.png'
    run('python', 'tools/analysis_tools/feature_sheet.py', own_config, checkpoint, sheet, '--num=2')
    width, height = Image.open(sheet).size
    assert width > 2 * height

    # A folder of images of one's own.
    printed = run(
        'python', 'tools/image_demo.py', digit_scenes / 'images/test', config, checkpoint,
        '--out-dir', tmp_path / 'demo',
    )  # fmt: skip
    assert 'Drew 8 pictures' in printed
    assert len(list((tmp_path / 'demo/vis').glob('*.jpg'))) == 8


ENCODER = """
_base_ = ['{base}']
arch = dict(
    image_size=64, model_channels=32, channel_mult=(1, 2, 4), num_res_blocks=1,
    attention_resolutions=(16,), num_head_channels=32,
)
model = dict(
    backbone=dict(
        _delete_=True, type='mmdiff.GuidedDiffusionEncoderBackbone', arch=arch, blocks=(2, 4, 6, 7)
    ),
    neck=dict(in_channels=(32, 64, 128, 128), in_strides=(1, 2, 4, 4)),
)
"""


@pytest.mark.parametrize(
    'config',
    ['stable-diffusion/upernet_sd-small', 'dit/upernet_dit-small', 'guided diffusion encoder'],
)
def test_other_families_train_resume_and_test(config, root, digit_scenes, tmp_path, run):
    path = root / 'configs' / f'{config}_digit-scenes.py'
    if not path.is_file():
        path = tmp_path / 'own.py'
        path.write_text(ENCODER.format(base=root / 'configs/upernet_gd_digit-scenes.py'))
    options = [
        f'{split}_dataloader.dataset.data_root={digit_scenes}' for split in ('train', 'val', 'test')
    ]
    train = ('python', 'tools/train.py', path, '--work-dir', tmp_path / 'run')
    options += ['train_dataloader.batch_size=2', 'train_dataloader.num_workers=0']
    options += ['train_dataloader.persistent_workers=False']
    run(*train, '--cfg-options', *options, *schedule(2))
    printed = run(*train, '--resume', '--cfg-options', *options, *schedule(4))
    assert 'Iter(train) [1/4]' not in printed
    assert 'Iter(train) [4/4]' in printed
    weights = [
        torch.load(tmp_path / f'run/iter_{n}.pth', weights_only=False)['state_dict'] for n in (2, 4)
    ]
    changed = {key for key in weights[0] if not torch.equal(weights[0][key], weights[1][key])}
    assert any(key.startswith(('backbone.unet.', 'backbone.transformer.')) for key in changed)
    assert not any(key.startswith('backbone.vae.') for key in changed)
    test = ('python', 'tools/test.py', path, tmp_path / 'run/iter_4.pth')
    printed = run(*test, '--work-dir', tmp_path / 'test', '--cfg-options', *options)
    assert 0 <= float(miou(printed)) <= 100


def test_unknown_options_and_files_are_refused(digit_scenes, tmp_path, run):
    assert 'usage' in run('python', 'tools/train.py', fails=True)
    assert 'Usage' in run('bash', 'tools/dist_train.sh', fails=True)
    demo = ('python', 'tools/image_demo.py')
    config = 'configs/upernet_gd_digit-scenes.py'
    assert 'is no file and no folder' in run(*demo, tmp_path / 'no', config, 'no.pth', fails=True)
    assert 'has no file that ends with .jpg' in run(*demo, tmp_path, config, 'no.pth', fails=True)
    images = tmp_path / 'images'
    images.mkdir()
    for name in ('a.jpg', 'a.png'):
        Image.new('RGB', (8, 8)).save(images / name)
    assert 'has 2 images named a,' in run(*demo, images, config, 'no.pth', fails=True)
    printed = run('python', 'tools/train.py', tmp_path / 'no.py', fails=True)
    assert 'config: there is no file' in printed
    printed = run(
        'python', 'tools/train.py', 'configs/upernet_gd_ade20k.py',
        '--cfg-options', f'train_dataloader.dataset.data_root={tmp_path}/ade', fails=True,
    )  # fmt: skip
    assert f'train_dataloader.dataset.data_root: there is no folder {tmp_path}/ade' in printed
    options = [
        f'{split}_dataloader.dataset.data_root={root}'
        for split, root in (('train', tmp_path), ('val', 'no'), ('test', 'no'))
    ]
    printed = run('python', 'tools/train.py', config, '--cfg-options', *options, fails=True)
    assert 'val_dataloader.dataset.data_root: there is no folder no' in printed
    test = ('python', 'tools/test.py', config, 'no.pth')
    printed = run(*test, '--cfg-options', *options, fails=True)
    assert 'test_dataloader.dataset.data_root: there is no folder no' in printed
    # Beside the training's, which has a copy of its config.
    assert 'work_dirs/CONFIG_NAME/test' in run(*test, '--help')
    printed = run('python', 'tools/train.py', config, '--amp', fails=True)
    assert '--amp needs a GPU' in printed
    data = f'test_dataloader.dataset.data_root={digit_scenes}'
    printed = run(*test, '--cfg-options', data, fails=True)
    assert 'checkpoint: checkpoint file no.pth does not exist' in printed
    assert 'Traceback' not in printed


def test_camvid_sample(shared_data, tmp_path, run):
    """Real street scenes, as an example of a data set of one's own."""
    options = [
        f'{split}_dataloader.dataset.data_root={shared_data / "camvid"}'
        for split in ('train', 'val', 'test')
    ]
    printed = run(
        'python', 'tools/train.py', 'configs/upernet_gd-small_camvid.py', '--work-dir', tmp_path,
        '--cfg-options', *options, *schedule(2), 'val_dataloader.dataset.indices=3',
    )  # fmt: skip
    assert 'bicyclist' in printed
    assert float(miou(printed)) >= 0
