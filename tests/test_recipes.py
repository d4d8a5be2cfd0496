"""The recipes for data of one's own, as they stand in docs, from training to pictures."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from test_tools import miou, schedule

pytestmark = pytest.mark.slow


@pytest.fixture
def recipe(root, tmp_path):
    """Write a page's first recipe, for data in a temporary folder, as a config."""

    def write(page):
        text = (root / 'docs' / page).read_text()
        code = next(c for c in re.findall(r'```python\n(.*?)```', text, re.S) if '_base_' in c)
        config = tmp_path / 'mine.py'
        config.write_text(
            code.replace('/path/to/mmdiff', str(root)).replace('data/mine', str(tmp_path / 'data'))
        )
        return config

    return write


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def alone(*splits):
    return [
        f'{split}_dataloader.{key}'
        for split in splits
        for key in ('num_workers=0', 'persistent_workers=False', 'batch_size=2')
    ]


def test_label_maps(recipe, tmp_path, run):
    rng = np.random.default_rng(0)
    data = tmp_path / 'data'
    for split in ('train', 'val'):
        for number in range(3):
            save(
                data / f'img_dir/{split}/{number}.jpg',
                rng.integers(256, size=(90, 120, 3), dtype=np.uint8),
            )
            save(
                data / f'ann_dir/{split}/{number}.png',
                rng.integers(2, size=(90, 120), dtype=np.uint8),
            )
    config = recipe('segmentation.md')
    run(
        'python', 'tools/train.py', config, '--work-dir', tmp_path / 'run',
        '--cfg-options', *schedule(2), *alone('train', 'val'),
    )  # fmt: skip
    checkpoint = tmp_path / 'run/iter_2.pth'
    trained_with = (tmp_path / 'run/mine.py').read_text()
    printed = run(
        'python', 'tools/test.py', config, checkpoint, '--show-dir', tmp_path / 'shown',
        '--cfg-options', *alone('test'), f'work_dir={tmp_path}/run/test',
    )  # fmt: skip
    assert re.search(r'\|\s+thing\s+\|', printed)
    assert float(miou(printed)) > 0
    assert (tmp_path / 'run/mine.py').read_text() == trained_with
    assert (tmp_path / 'run/test/mine.py').is_file()
    assert len(list((tmp_path / 'shown/vis_data/vis_image').glob('*.png'))) == 3

    demo = ('python', 'tools/image_demo.py', data / 'img_dir/val')
    # One bad file among many, and what macOS leaves behind.
    for name in ('1b.jpg', '._0.jpg'):
        (data / 'img_dir/val' / name).write_bytes(b'hello')
    printed = run(*demo, config, checkpoint, '--out-dir', tmp_path / 'demo', fails=True)
    assert 'Drew 3 pictures' in printed
    assert re.search(r'1 of 4 images could not be read:\n.*val/1b\.jpg is not an image', printed)
    assert 'Traceback' not in printed
    (data / 'img_dir/val/1b.jpg').unlink()
    for number in range(3):
        assert (tmp_path / f'demo/vis/{number}.jpg').is_file()
        labels = np.asarray(Image.open(tmp_path / f'demo/preds/{number}.png'))
        assert labels.shape == (90, 120)
        assert labels.max() < 2

    # The checkpoint of another model draws nothing, and has no score.
    other = 'configs/upernet_gd-small_camvid.py'
    printed = run(*demo, other, checkpoint, '--out-dir', tmp_path / 'other', fails=True)
    assert "does not fit the config's model; misshapen: decode_head.conv_seg.weight" in printed
    assert not (tmp_path / 'other').exists()
    root_of_test = f'test_dataloader.dataset.data_root={data}'
    printed = run(
        'python', 'tools/test.py', other, checkpoint, '--cfg-options', root_of_test, fails=True
    )
    assert "does not fit the config's model" in printed
    assert 'Traceback' not in printed
    run(
        *demo, other, checkpoint, '--out-dir', tmp_path / 'other', '--cfg-options',
        'model.decode_head.num_classes=2', 'model.auxiliary_head.num_classes=2',
    )  # fmt: skip


def test_folders_of_classes(recipe, tmp_path, run):
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for name in ('cat', 'dog', 'horse'):
            for number in range(2):
                image = rng.integers(256, size=(40 + number, 70, 3), dtype=np.uint8)
                save(tmp_path / f'data/{split}/{name}/{name}{number}.jpg', image)
    config = recipe('classification.md')
    train = ('python', 'tools/train.py', config, '--work-dir', tmp_path / 'run')
    options = ('--cfg-options', *schedule(2), *alone('train', 'val'))
    printed = run(*train, *options, fails=True)
    assert 'the data set has 3 classes (cat, dog, horse), but the model has num_class' in printed
    config.write_text(config.read_text().replace('num_classes=12', 'num_classes=3'))
    assert 'accuracy/top1' in run(*train, *options)
    checkpoint = tmp_path / 'run/iter_2.pth'
    run(
        'python', 'tools/test.py', config, checkpoint, '--work-dir', tmp_path / 'test',
        '--show-dir', tmp_path / 'shown', '--cfg-options', *alone('test'),
    )  # fmt: skip
    assert len(list((tmp_path / 'shown').iterdir())) == 6
    run(
        'python', 'tools/image_demo.py', tmp_path / 'data/val/cat', config, checkpoint,
        '--out-dir', tmp_path / 'demo',
    )  # fmt: skip
    assert min(Image.open(tmp_path / 'demo/vis/cat1.png').size) == 480
    prediction = json.loads((tmp_path / 'demo/preds/cat1.json').read_text())
    assert sum(prediction['pred_scores']) == pytest.approx(1, abs=1e-3)
    assert max(prediction['pred_scores']) == pytest.approx(prediction['pred_score'])
