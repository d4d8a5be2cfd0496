"""Classification configs, trained and tested for a few steps."""

import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image
from test_tools import schedule

pytestmark = pytest.mark.slow

CONFIGS = [
    path
    for path in sorted((Path(__file__).parent.parent / 'configs').glob('*_digit-scenes.py'))
    if Config.fromfile(path).default_scope == 'mmpretrain'
]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_trains_and_tests(path, digit_scenes, tmp_path):
    cfg = Config.fromfile(path)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False, batch_size=4)
        cfg[f'{split}_dataloader'].dataset.data_root = str(digit_scenes / 'classification')
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


def test_command_lines(digit_scenes, tmp_path, run):
    config = 'configs/attention_gd_digit-scenes.py'
    options = [
        f'{split}_dataloader.dataset.data_root={digit_scenes}/classification'
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

    image = next((digit_scenes / 'classification/test').rglob('*.jpg'))
    run('python', 'tools/image_demo.py', image, config, checkpoint, '--out-dir', tmp_path / 'demo')
    drawn = Image.open(tmp_path / f'demo/vis/{image.stem}.png')
    assert drawn.size == (64, 64)
