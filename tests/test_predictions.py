"""What tools/test.py writes and merges: label maps, .pkl and JSON files, views of each image."""

import json
import pickle
import runpy
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from mmengine.utils import import_modules_from_strings
from PIL import Image
from safetensors.torch import save_file

from mmdiff.engine.pipelines import test_datasets as datasets_of
from mmdiff.engine.predictions import only_format, write_predictions
from mmdiff.engine.test_time_augmentation import augment_test

SEGMENTOR = 'upernet_gd-random_digit-scenes'
DETECTOR = 'mask-rcnn_gd_digit-scenes'
CLASSIFIER = 'linear_gd_digit-scenes'


@pytest.fixture(autouse=True)
def no_scope_of_others():
    """A run sets the default scope for good."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def read(root, name):
    cfg = Config.fromfile(root / 'configs' / f'{name}.py')
    init_default_scope(cfg.default_scope)
    return cfg


@pytest.fixture
def tested(root, digit_scenes, tmp_path, monkeypatch):
    """Run tools/test.py in this process, on random weights and two images."""

    def run_tool(name, *options, data_root=digit_scenes, **settings):
        cfg = read(root, name)
        import_modules_from_strings(**cfg.custom_imports)
        torch.manual_seed(0)
        weights = tmp_path / f'{name}.safetensors'
        state_dict = MODELS.build(cfg.model).state_dict()
        save_file({key: value.contiguous() for key, value in state_dict.items()}, weights)
        settings = {
            'test_dataloader.dataset.data_root': data_root,
            'test_dataloader.dataset.indices': 2,
            'test_dataloader.num_workers': 0,
            'test_dataloader.persistent_workers': False,
            **settings,
        }
        command = ['test.py', cfg.filename, weights, '--work-dir', tmp_path / 'run', *options]
        command += ['--cfg-options', *(f'{key}={value}' for key, value in settings.items())]
        monkeypatch.setattr(sys, 'argv', [*map(str, command)])
        # Most of the time of so short a run.
        monkeypatch.setattr(Config, 'pretty_text', property(repr))
        runpy.run_path(str(root / 'tools/test.py'), run_name='__main__')

    return run_tool


def label_maps(folder):
    paths = sorted(folder.glob('*.png'))
    assert len(paths) == 2
    return np.stack([np.asarray(Image.open(path)) for path in paths])


def test_label_maps_of_one_view_and_of_several(tested, digit_scenes, tmp_path):
    tested(SEGMENTOR, '--out', tmp_path / 'one')
    one = label_maps(tmp_path / 'one')
    # In the files as in the data set's, 0 stands for no label.
    assert one.shape == (2, 64, 64)
    assert one.min() >= 1
    assert len(np.unique(one)) > 1

    tested(SEGMENTOR, '--tta', '--out', tmp_path / 'several')
    several = label_maps(tmp_path / 'several')
    assert 0 < (one != several).mean() < 0.9

    # A benchmark's test set has no labels.
    images = tmp_path / 'unlabelled/images'
    images.mkdir(parents=True)
    (images / 'test').symlink_to(digit_scenes / 'images/test')
    options = ('--tta', '--format-only', '--out', tmp_path / 'sent')
    tested(SEGMENTOR, *options, data_root=tmp_path / 'unlabelled')
    assert np.array_equal(label_maps(tmp_path / 'sent'), several)


@pytest.mark.slow
def test_instances(tested, digit_scenes, tmp_path):
    annotations = 'annotations/instances_test.json'
    evaluator = {'test_evaluator.ann_file': digit_scenes / annotations}
    tested(DETECTOR, '--out', tmp_path / 'found.pkl', **evaluator)
    found = pickle.loads((tmp_path / 'found.pkl').read_bytes())
    assert [sample['ori_shape'] for sample in found] == [(64, 64)] * 2
    assert found[0]['pred_instances']['masks'][0]['size'] == [64, 64]

    unlabelled = json.loads((digit_scenes / annotations).read_text())
    del unlabelled['annotations']
    path = tmp_path / 'image_info.json'
    path.write_text(json.dumps(unlabelled))
    evaluator['test_evaluator.ann_file'] = path
    evaluator['test_dataloader.dataset.ann_file'] = path
    tested(DETECTOR, '--format-only', '--out', tmp_path / 'sent/digits', **evaluator)
    for kind in ('bbox', 'segm'):
        entries = json.loads((tmp_path / f'sent/digits.{kind}.json').read_text())
        assert len(entries) == sum(len(sample['pred_instances']['scores']) for sample in found)
        assert kind == 'bbox' or entries[0]['segmentation']['size'] == [64, 64]


@pytest.mark.slow
def test_scores(tested, classified_scenes, tmp_path):
    tested(CLASSIFIER, '--out', tmp_path / 'found.pkl', data_root=classified_scenes)
    found = pickle.loads((tmp_path / 'found.pkl').read_bytes())
    assert [sample['pred_score'].shape for sample in found] == [(10,)] * 2


@pytest.mark.parametrize(
    'name', ['upernet_gd_ade20k', 'upernet_gd_camvid', 'linear_gd_in1k', 'knn_gd_in1k']
)
def test_views_have_the_sizes_and_sides_that_the_config_names(name, root, tmp_path):
    cfg = read(root, name)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (360, 480, 3), np.uint8)).save(tmp_path / 'image.png')
    Image.fromarray(rng.integers(0, 5, (360, 480), np.uint8)).save(tmp_path / 'labels.png')
    one_view = next(datasets_of(cfg)).pipeline
    augment_test(cfg)
    pipeline = next(datasets_of(cfg)).pipeline
    info = dict(img_path=tmp_path / 'image.png', gt_label=0, seg_fields=[], label_map=None)
    info.update(seg_map_path=tmp_path / 'labels.png', reduce_zero_label='ade' in name)
    packed = [Compose(p)(dict(info)) for p in (one_view, pipeline)]
    expected, views = packed[0], packed[1]['inputs']
    same_size = [view for view in views if view.shape == expected['inputs'].shape]
    assert torch.equal(same_size[0], expected['inputs'])
    assert torch.equal(same_size[1], expected['inputs'].flip(-1))
    if 'upernet' in name:
        assert len(views) == 6
        for sample in packed[1]['data_samples']:
            assert torch.equal(sample.gt_sem_seg.data, expected['data_samples'].gt_sem_seg.data)


@pytest.mark.parametrize(
    ('function', 'name', 'message'),
    [
        (
            lambda cfg: write_predictions(cfg, 'a.pkl'),
            SEGMENTOR,
            '--out: label maps go to a folder',
        ),
        (lambda cfg: write_predictions(cfg, 'folder'), DETECTOR, '--out: predictions go to a .pkl'),
        (lambda cfg: only_format(cfg, None), SEGMENTOR, '--format-only needs --out FOLDER'),
        (lambda cfg: only_format(cfg, None), DETECTOR, '--format-only needs --out PREFIX'),
        (lambda cfg: only_format(cfg, 'a'), CLASSIFIER, 'Accuracy writes no such files'),
        (augment_test, CLASSIFIER, '--tta: the config has no tta_pipeline'),
        (augment_test, DETECTOR, '--tta: the config has no tta_model and no tta_pipeline'),
    ],
)
def test_what_cannot_be_is_refused(function, name, message, root):
    cfg = read(root, name)
    import_modules_from_strings(**cfg.custom_imports)
    with pytest.raises(SystemExit, match=message):
        function(cfg)
