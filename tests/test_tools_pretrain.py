"""Training a diffusion model, and drawing from it, as a user does."""

import re

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmdiff.diffusion import read_checkpoint

pytestmark = pytest.mark.slow

CONFIG = 'configs/pretrain_adm-64-small_digit-scenes.py'


def options(digit_scenes, iterations):
    return [
        f'{split}_dataloader.{key}'
        for split in ('train', 'val')
        for key in (
            f'dataset.data_root={digit_scenes}/images',
            'batch_size=4',
            'num_workers=0',
            'persistent_workers=False',
        )
    ] + [
        f'train_cfg.max_iters={iterations}',
        'train_cfg.val_interval=2',
        'default_hooks.checkpoint.interval=2',
        'default_hooks.logger.interval=1',
        'custom_hooks.3.num_steps=2',
        'custom_hooks.3.num_images=5',
    ]


def test_pretrain_resume_and_sample(root, digit_scenes, tmp_path, run):
    work_dir = tmp_path / 'run'
    command = ('python', 'tools/pretrain.py', CONFIG, '--work-dir', work_dir)
    printed = run(*command, '--cfg-options', *options(digit_scenes, 2))
    assert f'The U-Net: {work_dir}/unet.pt' in printed
    assert re.search(r'noise_error/mean: 0\.\d+|noise_error/mean: 1\.0\d+', printed)
    first = read_checkpoint(work_dir / 'unet.pt')
    run(*command, '--resume', '--cfg-options', *options(digit_scenes, 4))
    assert (work_dir / 'last_checkpoint').read_text().endswith('iter_4.pth')
    second = read_checkpoint(work_dir / 'unet.pt')
    assert not torch.equal(first['out.2.bias'], second['out.2.bias'])
    # Raw and averaged weights, data, noise and timesteps go on where they were.
    run(*command[:-1], tmp_path / 'whole', '--cfg-options', *options(digit_scenes, 4))
    undisturbed = read_checkpoint(tmp_path / 'whole/unet.pt')
    assert all(torch.equal(value, undisturbed[key]) for key, value in second.items())
    # The averaged weights, which the whole checkpoint has as its model's.
    whole = torch.load(work_dir / 'iter_4.pth', weights_only=False)
    averaged, raw = whole['state_dict'], whole['ema_state_dict']
    for key, value in second.items():
        assert torch.equal(value, averaged[f'unet.{key}'].half())
    assert not torch.equal(averaged['unet.out.2.bias'], raw['module.unet.out.2.bias'])
    assert sorted(path.name for path in (work_dir / 'samples').iterdir()) == [
        'iter_2.png',
        'iter_4.png',
    ]

    picture = tmp_path / 'samples.png'
    arch = Config.fromfile(root / CONFIG).model.arch
    run('python', 'tools/sample.py', arch, work_dir / 'unet.pt', picture, '--num=5', '--steps=2')
    # 3 x 2 images of 64 pixels, 2 between.
    assert Image.open(picture).size == (3 * 66 + 2, 2 * 66 + 2)
    printed = run('python', 'tools/sample.py', 'adm-64', work_dir / 'unet.pt', picture, fails=True)
    assert 'adm-64 is class-conditional' in printed


def test_distributed_pretraining(digit_scenes, tmp_path, run):
    printed = run(
        'python', '-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_port=29511',
        'tools/pretrain.py', CONFIG, '--launcher', 'pytorch', '--work-dir', tmp_path,
        '--cfg-options', *options(digit_scenes, 2),
    )  # fmt: skip
    assert 'Iter(train) [2/2]' in printed
    assert 'out.2.bias' in read_checkpoint(tmp_path / 'unet.pt')
    assert [path.name for path in (tmp_path / 'samples').iterdir()] == ['iter_2.png']


def test_what_does_not_work_is_refused(tmp_path, run):
    config = tmp_path / 'sharded.py'
    config.write_text(
        "_base_ = ['mmdiff::_base_/../" + CONFIG.removeprefix('configs/') + "',"
        " 'mmdiff::_base_/fsdp.py']\n"
    )
    printed = run('python', 'tools/pretrain.py', config, fails=True)
    assert "runner_type='FlexibleRunner' in" in printed
    assert 'Traceback' not in printed
    if not torch.cuda.is_available():
        printed = run('python', 'tools/pretrain.py', CONFIG, '--amp', fails=True)
        assert '--cfg-options model.amp_dtype=bfloat16' in printed
