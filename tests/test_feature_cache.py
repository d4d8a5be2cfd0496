"""Cached features: the store, and training on it as on images."""

import copy
import csv
import os
import re
import runpy
import shutil
import signal
import subprocess
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from PIL import Image

from mmdiff.classification import FeatureStore, FeatureStoreError, use_feature_cache
from mmdiff.classification.cache_writer import write_features
from mmdiff.classification.cached_maps import grid_of, open_splits
from mmdiff.classification.feature_cache import flatten, map_names, split_settings, unflatten
from mmdiff.classification.feature_store import only_writer
from mmdiff.engine.cli import load_config
from mmdiff.models import GuidedDiffusionBackbone

CONFIG = 'configs/difformer_gd_digit-scenes.py'
SHAPES = [[(2, 3, 4), (5, 1, 1)], [(2, 3, 4), (5, 1, 1)]]


def new_store(folder, **changes):
    kwargs = dict(settings={'t': [1, 2], 'net': {'a': 1}}, shapes=SHAPES, labels=[3, 1, 2])
    return FeatureStore.create(folder, **(kwargs | dict(num_views=2) | changes))


def test_store_gives_back_what_was_written(tmp_path):
    store = new_store(tmp_path / 'store')
    rows = np.random.default_rng(0).random((3, 2, 58), np.float32)
    assert store.missing().tolist() == [0, 1, 2]
    store.write([2, 0], rows[[2, 0]])
    assert FeatureStore(tmp_path / 'store').missing().tolist() == [1]
    store = new_store(tmp_path / 'store')
    store.write(store.missing(), rows[[1]])
    store = FeatureStore(tmp_path / 'store')
    store.check_complete()
    assert len(store) == 3
    assert store.labels.tolist() == [3, 1, 2]
    for index in range(3):
        for view in range(2):
            assert (store.read(index, view) == rows[index, view]).all()


def test_maps_of_one_block(tmp_path):
    store = new_store(tmp_path / 'store')
    rows = np.random.default_rng(0).random((3, 2, 58), np.float32)
    store.write([0, 1, 2], rows)
    expected = unflatten(torch.from_numpy(rows[:, 0]), SHAPES)
    for timestep in range(2):
        for block in range(2):
            whole = expected[timestep][block].numpy()
            assert (store.read_maps(slice(9), timestep, block) == whole).all()
            assert (store.read_maps(slice(1, 8, 3), timestep, block) == whole[1:8:3]).all()


def test_a_row_that_is_half_written_is_missing(tmp_path):
    store = new_store(tmp_path / 'store')

    class Killed(Exception):
        pass

    write_rows = store._write_rows

    def killed_after_the_first(*args):
        write_rows(*args)
        raise Killed

    # At the moment when all depends on the order of the data and the mark.
    store._write_rows = killed_after_the_first
    with pytest.raises(Killed):
        store.write([1], np.full((1, 2, 58), 7, np.float32))
    again = FeatureStore(tmp_path / 'store')
    assert again.missing().tolist() == [0, 1, 2]
    with pytest.raises(FeatureStoreError, match='lacks the features of 3 of 3 images'):
        again.check_complete()


def test_a_store_without_manifest_is_none(tmp_path):
    store = new_store(tmp_path / 'store')
    store.write([0, 1, 2], np.ones((3, 2, 58), np.float32))
    (tmp_path / 'store/manifest.json').unlink()
    with pytest.raises(FeatureStoreError, match='has no feature store'):
        FeatureStore(tmp_path / 'store')
    assert new_store(tmp_path / 'store').missing().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(settings={'t': [1, 3], 'net': {'a': 1}}),
            r'settings\.t: has \[1, 2\], asked for \[1, 3\]',
        ),
        (
            dict(settings={'t': [1, 2], 'net': {'b': 1}}),
            r'net\.a: has 1, asked for None; settings\.net\.b: has None, asked for 1',
        ),
        (dict(num_views=1), 'num_views: has 2, asked for 1'),
        (dict(labels=[1]), 'num_images: has 3, asked for 1'),
        (dict(dtype='float16'), "dtype: has 'float32', asked for 'float16'"),
    ],
)
def test_other_settings_are_named(change, message, tmp_path):
    new_store(tmp_path / 'store')
    with pytest.raises(FeatureStoreError, match=message):
        new_store(tmp_path / 'store', **change)


@pytest.mark.parametrize('name', ['features.bin', 'done.bin', 'labels.npy'])
def test_a_damaged_file_is_refused(name, tmp_path):
    store = new_store(tmp_path / 'store')
    store.write([0, 1, 2], np.ones((3, 2, 58), np.float32))
    if name == 'labels.npy':
        np.save(tmp_path / 'store' / name, [1])
    else:
        os.truncate(tmp_path / 'store' / name, 2)
    with pytest.raises(FeatureStoreError, match=f'{name} is damaged'):
        FeatureStore(tmp_path / 'store')


def test_another_version_is_refused(tmp_path):
    new_store(tmp_path / 'store')
    path = tmp_path / 'store/manifest.json'
    path.write_text(path.read_text().replace('"version": 2', '"version": 99'))
    with pytest.raises(FeatureStoreError, match='has version 99, this code reads 2'):
        FeatureStore(tmp_path / 'store')


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        (np.ones((1, 1, 58)), r'must have shape \(1, 2, 58\), got \(1, 1, 58\)'),
        (np.full((1, 2, 58), np.nan), 'not finite in float16'),
        (np.full((1, 2, 58), 1e5), 'not finite in float16'),
    ],
)
def test_bad_rows_are_refused(rows, message, tmp_path):
    store = new_store(tmp_path / 'store', dtype='float16')
    with pytest.raises(ValueError, match=message):
        store.write([0], rows)
    assert store.missing().tolist() == [0, 1, 2]


def test_flatten_and_back():
    features = [[torch.randn(3, *shape) for shape in blocks] for blocks in SHAPES]
    for blocks, again in zip(features, unflatten(flatten(features), SHAPES), strict=True):
        for a, b in zip(blocks, again, strict=True):
            assert torch.equal(a, b)


def test_names_of_maps():
    backbone = GuidedDiffusionBackbone('adm-64-small', timestep=(5, 9), blocks=3)
    assert map_names(backbone, [[0], [0]]) == [['t=5 b=3'], ['t=9 b=3']]
    assert map_names(torch.nn.Identity(), [[0, 0]]) == [['map 1', 'map 2']]
    backbone = GuidedDiffusionBackbone('adm-64-small', timestep={3: 5, 4: 9}, blocks=(4, 3))
    names = map_names(backbone, [[0, 0]])
    assert names == [['t=9 b=4', 't=5 b=3']]
    # No grid.
    assert grid_of(SimpleNamespace(settings={'maps': names})) == (names[0], [''])


def shrink(cfg, scenes, frozen='all'):
    """Five iterations at a constant rate, from weights of the seed, with noise that repeats."""
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(scenes)
        cfg[f'{split}_dataloader'].update(num_workers=0, persistent_workers=False, batch_size=8)
    cfg.model.backbone.update(frozen=frozen, noise='fixed', init_cfg=None)
    cfg.merge_from_dict(
        {
            'train_cfg.max_iters': 5,
            'train_cfg.val_interval': 5,
            'param_scheduler': [dict(type='ConstantLR', factor=1.0, by_epoch=False)],
        }
    )


def config(root, scenes, frozen='all'):
    cfg = load_config(root / CONFIG)
    shrink(cfg, scenes, frozen)
    return cfg


@pytest.fixture(scope='module')
def flipping_config(root, classified_scenes, tmp_path_factory):
    """A frozen DifFormer's config, as a file, whose training flips."""
    cfg = config(root, classified_scenes)
    cfg.train_dataloader.dataset.pipeline.insert(-1, dict(type='RandomFlip', prob=0.5))
    path = tmp_path_factory.mktemp('config') / 'flipping.py'
    cfg.dump(path)
    return path


@pytest.fixture(scope='module')
def cache(flipping_config, tmp_path_factory, run):
    out = tmp_path_factory.mktemp('cache') / 'features'
    run('python', 'tools/cache_features.py', flipping_config, out, '--batch-size=5')
    return out


class Losses(Hook):
    def __init__(self):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(outputs['loss'].item())


def train(cfg, work_dir):
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = work_dir.name
    hook = Losses()
    runner = Runner.from_cfg(cfg)
    runner.register_hook(hook)
    runner.train()
    return hook.losses, runner


@pytest.mark.slow
def test_training_on_the_cache_equals_training_on_images(root, classified_scenes, cache, tmp_path):
    through_backbone, trained = train(config(root, classified_scenes), tmp_path / 'images')
    cfg = config(root, classified_scenes)
    use_feature_cache(cfg, cache)
    from_cache, cached = train(cfg, tmp_path / 'cached')
    assert len(from_cache) == 5
    np.testing.assert_allclose(from_cache, through_backbone, rtol=1e-4)
    # The checkpoint is a whole classifier's, for images.
    assert trained.model.state_dict().keys() == cached.model.state_dict().keys()
    for key, value in trained.model.state_dict().items():
        # On average: where a gradient is nearly zero, Adam turns its rounding into a step.
        assert (cached.model.state_dict()[key] - value).float().abs().mean() < 1e-5, key
    accuracy = [r.message_hub.get_scalar('val/accuracy/top1').current() for r in (trained, cached)]
    assert accuracy[0] == accuracy[1]


@pytest.mark.slow
def test_flipped_views(flipping_config, cache):
    from mmengine.dataset import default_collate
    from mmengine.registry import MODELS
    from mmengine.runner import set_random_seed

    cfg = load_config(flipping_config)
    init_default_scope('mmpretrain')
    set_random_seed(cfg.randomness.seed)
    model = MODELS.build(copy.deepcopy(cfg.model)).eval()
    store = FeatureStore(cache / 'train')
    assert store.num_views == 2
    assert FeatureStore(cache / 'test').num_views == 1
    for view, prob in ((0, 0.0), (1, 1.0)):
        cfg.train_dataloader.dataset.pipeline[-2].prob = prob
        images = DATASETS.build(cfg.train_dataloader.dataset)
        batch = model.data_preprocessor(default_collate([images[0], images[5]]), False)
        with torch.no_grad():
            rows = flatten(model.backbone(batch['inputs']))
        for row, index in zip(rows, (0, 5), strict=True):
            torch.testing.assert_close(
                torch.from_numpy(store.read(index, view)), row, rtol=1e-4, atol=1e-4
            )

    use_feature_cache(cfg, cache)
    data = DATASETS.build(cfg.train_dataloader.dataset)
    assert (data[0]['inputs'].numpy() == store.read(0, 1)).all()


@pytest.mark.slow
def test_a_killed_run_goes_on_in_two_processes(
    flipping_config, cache, root, tmp_path, environment, run
):
    out = tmp_path / 'features'
    arguments = (str(flipping_config), str(out), '--batch-size=5')
    process = subprocess.Popen(
        ['python', 'tools/cache_features.py', *arguments],
        cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not (out / 'train/done.bin').exists() or sum((out / 'train/done.bin').read_bytes()) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    store = FeatureStore(out / 'train')
    missing = store.missing()
    assert 0 < len(missing) < 80
    # What was done is not done again.
    (first, *_) = set(range(80)) - set(missing)
    saved = np.stack([store.read(first, view) for view in (0, 1)])[None]
    store.write([first], np.full_like(saved, 7))
    run('bash', 'tools/dist_run.sh', 'cache_features.py', 2, *arguments)
    assert (store.read(first, 1) == 7).all()
    store.write([first], saved)
    for path in cache.glob('*/*'):
        assert (out / path.relative_to(cache)).read_bytes() == path.read_bytes(), path


@pytest.mark.slow
def test_a_cache_of_other_settings_or_weights_is_refused(root, classified_scenes, cache, tmp_path):
    cfg = config(root, classified_scenes)
    cfg.model.backbone.timestep = (150, 300, 400)
    use_feature_cache(cfg, cache)
    with pytest.raises(
        FeatureStoreError, match=r'timestep: has \[150, 300, 500\], asked for \[150, 300, 400\]'
    ):
        train(cfg, tmp_path / 'timestep')

    cfg = config(root, classified_scenes)
    cfg.randomness.seed = 1
    use_feature_cache(cfg, cache)
    with pytest.raises(FeatureStoreError, match=r'made with other weights .* randomness\.seed'):
        train(cfg, tmp_path / 'weights')

    cfg = config(root, classified_scenes)
    cfg.train_dataloader.dataset.data_prefix = 'test'
    use_feature_cache(cfg, cache)
    with pytest.raises(FeatureStoreError, match='images: has'):
        train(cfg, tmp_path / 'images')

    changed = tmp_path / 'classification'
    shutil.copytree(classified_scenes, changed)
    same = config(root, changed)
    use_feature_cache(same, cache)
    init_default_scope('mmpretrain')
    assert len(DATASETS.build(same.train_dataloader.dataset)) == 80
    image = next((changed / 'training').rglob('*.jpg'))
    image.write_bytes(image.read_bytes() + b'0')
    with pytest.raises(FeatureStoreError, match='images: has'):
        DATASETS.build(same.train_dataloader.dataset)

    cfg = config(root, classified_scenes, frozen=9)
    use_feature_cache(cfg, cache)
    with pytest.raises(ValueError, match='needs a frozen backbone'):
        train(cfg, tmp_path / 'frozen')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(type='RandomResizedCrop', scale=64), 'may hold RandomFlip and .*, got RandomResized'),
        (dict(type='mmdiff.ResizeShortEdge', scale=(64, 80)), r'got .* with scale=\(64, 80\)'),
        (dict(type='RandomFlip', prob=0.5, direction='vertical'), 'RandomFlip to be horizontal'),
    ],
)
def test_random_pipelines_are_refused(change, message, root):
    cfg = Config.fromfile(root / CONFIG)
    cfg.train_dataloader.dataset.pipeline.insert(1, change)
    with pytest.raises(ValueError, match=message):
        split_settings(cfg, 'train')


def test_a_flip_before_the_crop_is_refused(root):
    cfg = Config.fromfile(root / CONFIG)
    pipeline = cfg.train_dataloader.dataset.pipeline
    pipeline[1:1] = [dict(type='RandomFlip', prob=0.5), dict(type='CenterCrop', crop_size=32)]
    with pytest.raises(ValueError, match='right before PackInputs'):
        split_settings(cfg, 'train')


def test_mixing_images_is_refused(root):
    cfg = Config.fromfile(root / CONFIG)
    cfg.model.train_cfg = dict(augments=dict(type='Mixup', alpha=0.2))
    with pytest.raises(ValueError, match='cannot mix images before the backbone'):
        split_settings(cfg, 'train')


def test_wrapped_data_sets_are_refused(root):
    cfg = Config.fromfile(root / CONFIG)
    cfg.train_dataloader.dataset = ConfigDict(type='RepeatDataset', times=2)
    with pytest.raises(ValueError, match='with a pipeline, got RepeatDataset'):
        split_settings(cfg, 'train')


def test_data_preprocessor_at_the_top_of_the_config(root):
    """Where MMPretrain's own configs have it."""
    cfg = Config.fromfile(root / CONFIG)
    expected, *_ = split_settings(cfg, 'train')
    cfg.data_preprocessor = cfg.model.pop('data_preprocessor')
    cfg.data_preprocessor.num_classes = 10
    found, *_ = split_settings(cfg, 'train')
    assert found == expected


@pytest.mark.slow
def test_command_lines(flipping_config, cache, tmp_path, run):
    """From the cache to a classifier that is tested on images."""
    train = ('python', 'tools/train.py', flipping_config, '--work-dir', tmp_path)
    run(*train, '--feature-cache', cache)
    checkpoint = (tmp_path / 'last_checkpoint').read_text()
    printed = run('python', 'tools/test.py', flipping_config, checkpoint, '--work-dir', tmp_path)
    assert 'accuracy/top1: ' in printed
    assert 'unexpected key' not in printed
    assert 'missing keys' not in printed
    assert 'has no feature store' in run(*train, '--feature-cache', tmp_path, fails=True)
    run('python', 'tools/knn.py', cache, tmp_path, '--k', '5')
    rows = list(csv.DictReader((tmp_path / 'knn.csv').open()))
    grid = [(b, t) for b in ('b=9', 'b=10', 'b=12') for t in ('t=150', 't=300', 't=500')]
    assert [(row['block'], row['timestep']) for row in rows] == grid
    assert all(float(row['top-1']) <= float(row['top-5']) for row in rows)


def run_tool(root, monkeypatch, *arguments):
    """In this process, as a user runs it."""
    monkeypatch.setattr('sys.argv', ['cache_features.py', *map(str, arguments)])
    runpy.run_path(str(root / 'tools/cache_features.py'), run_name='__main__')


@pytest.fixture
def few_images(root, tmp_path):
    """Two images of two classes in three splits, and a config for them."""
    cfg = load_config(root / 'configs/linear_gd_digit-scenes.py')
    shrink(cfg, tmp_path / 'images')
    for split in ('training', 'validation', 'test'):
        for name in ('cat', 'dog'):
            folder = tmp_path / 'images' / split / name
            folder.mkdir(parents=True)
            for number in range(2):
                noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
                Image.fromarray(noise).save(folder / f'{number}.png')
    cfg.dump(tmp_path / 'few.py')
    return tmp_path


def test_images_that_cannot_be_read_are_named_at_the_end(root, few_images, monkeypatch, capsys):
    arguments = (few_images / 'few.py', few_images / 'cache', '--pool=1', '--num-workers=0')
    for name in ('training/cat/0', 'validation/dog/1'):
        (few_images / f'images/{name}.png').write_bytes(b'hello')
    with pytest.raises(SystemExit, match='1'):
        run_tool(root, monkeypatch, *arguments)
    message = r'(?s)but 2 images.*training/cat/0\.png.*ion/dog/1\.png'
    assert re.search(message, capsys.readouterr().err)
    missing = {
        split: FeatureStore(few_images / 'cache' / split).missing().tolist()
        for split in ('train', 'val', 'test')
    }
    assert missing == {'train': [0], 'val': [3], 'test': []}
    with pytest.raises(FeatureStoreError, match='lacks the features of 1 of 4 images'):
        open_splits(few_images / 'cache', ('train', 'test'))


def test_a_second_run_at_the_same_time_is_refused(root, few_images, monkeypatch):
    monkeypatch.setattr('mmdiff.classification.feature_store.SECONDS_FOR_LOCK', 0)
    arguments = (few_images / 'few.py', few_images / 'cache', '--pool=1', '--num-workers=0')
    with (
        only_writer(few_images / 'cache'),
        pytest.raises(SystemExit, match=r'another run of tools/cache_features\.py is writing to'),
    ):
        run_tool(root, monkeypatch, *arguments)
    with only_writer(few_images / 'cache'):
        pass


class Unreadable(list):
    """Ten images of 1 x 1, but for the sixth."""

    def __init__(self):
        images = torch.rand(10, 3, 1, 1, generator=torch.Generator().manual_seed(0))
        super().__init__({'inputs': image} for image in images)

    def __getitem__(self, index):
        if index == 5:
            raise OSError('the sixth image')
        return super().__getitem__(index)


def write_in_processes(folder, world_size, monkeypatch, killed_with=()):
    """Write a store as processes do, one after another; return its bytes and the errors."""
    # What comes out depends on the batch, more than the rounding of a backbone does.
    model = SimpleNamespace(
        data_preprocessor=lambda samples, training: samples,
        backbone=lambda images: (images + images.sum(dim=0),),
    )
    settings, shapes = {'pool': None}, [[(3, 1, 1)]]
    store = FeatureStore.create(folder, settings, shapes, labels=range(10), num_views=1)
    if killed_with:
        done, rows = killed_with
        store.write(done, rows[done])
    missing, errors = store.missing(), []
    for rank in range(world_size):
        monkeypatch.setattr(
            'mmdiff.classification.cache_writer.get_dist_info', lambda r=rank: (r, world_size)
        )
        errors.append(write_features(store, Unreadable(), model, 4, 0, 'test', missing))
    return (folder / 'features.bin').read_bytes(), store.missing().tolist(), errors


def test_a_store_does_not_depend_on_the_processes_that_wrote_it(tmp_path, monkeypatch):
    one, missing, errors = write_in_processes(tmp_path / 'one', 1, monkeypatch)
    assert missing == [5]
    assert errors == [['the sixth image']]
    rows = np.frombuffer(one, np.float32).reshape(10, 1, 3)
    # The last batch is filled up with its first image.
    images = torch.stack([Unreadable()[i]['inputs'] for i in (8, 9, 8, 8)]).flatten(1)
    np.testing.assert_allclose(rows[8:, 0], (images + images.sum(dim=0))[:2], rtol=1e-6)
    for world_size in (2, 3, 4):
        several, missing, errors = write_in_processes(
            tmp_path / f'{world_size}', world_size, monkeypatch
        )
        assert several == one
        assert missing == [5]
        assert errors == [[], ['the sixth image'], [], []][:world_size]
    for done in ([0], [1, 6, 7], [2, 3, 9]):
        resumed, missing, _ = write_in_processes(tmp_path / f'{done}', 3, monkeypatch, (done, rows))
        assert resumed == one
        assert missing == [5]


def test_splits_of_other_classes_are_not_compared(root, few_images, monkeypatch):
    arguments = (few_images / 'few.py', few_images / 'cache', '--pool=1', '--num-workers=0')
    (few_images / 'images/test/dog').rename(few_images / 'images/test/Dog')
    with pytest.raises(SystemExit, match=r'of train and test differ, .* only test has Dog'):
        run_tool(root, monkeypatch, *arguments)
    (few_images / 'images/test/Dog').rename(few_images / 'images/test/dog')
    run_tool(root, monkeypatch, *arguments)
    open_splits(few_images / 'cache', ('train', 'test'))
    # Of caches from elsewhere.
    manifest = few_images / 'cache/test/manifest.json'
    manifest.write_text(manifest.read_text().replace('"dog"', '"Dog"'))
    with pytest.raises(FeatureStoreError, match=r'cache/test differ, .* only .*test has Dog'):
        open_splits(few_images / 'cache', ('train', 'test'))
    with pytest.raises(FeatureStoreError, match=r'cache/test differ, .* only .*test has Dog'):
        use_feature_cache(load_config(few_images / 'few.py'), few_images / 'cache')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(type='mmdiff.DifFeedBackbone'), 'cannot hold the features of DifFeed'),
        (dict(eval_noise='random'), "eval_noise of 'fixed', 'none' or 'clean'"),
        (dict(timestep='learned'), "at model.backbone.timestep='learned': it is trained"),
    ],
)
@pytest.mark.parametrize('is_branch', [False, True])
def test_features_that_change_are_refused(change, message, is_branch, root):
    cfg = Config.fromfile(root / CONFIG)
    cfg.model.backbone.update(change)
    if is_branch:
        cfg.model.backbone = dict(
            type='mmdiff.FusedBackbone', branches=[dict(backbone=cfg.model.backbone)]
        )
    with pytest.raises(ValueError, match=message):
        split_settings(cfg, 'train')


@pytest.mark.slow
def test_stores_that_do_not_belong_together_are_refused(root, classified_scenes, cache, tmp_path):
    copy_of_cache = tmp_path / 'features'
    shutil.copytree(cache, copy_of_cache)
    manifest = copy_of_cache / 'val/manifest.json'
    weights = FeatureStore(cache / 'val').settings['weights']
    manifest.write_text(manifest.read_text().replace(weights, 'others'))
    with pytest.raises(FeatureStoreError, match='were made with different weights'):
        use_feature_cache(config(root, classified_scenes), copy_of_cache)

    cfg = config(root, classified_scenes)
    use_feature_cache(cfg, cache)
    cfg.test_dataloader.dataset.flip_prob = 0.5
    init_default_scope('mmpretrain')
    with pytest.raises(FeatureStoreError, match='has no flipped views'):
        DATASETS.build(cfg.test_dataloader.dataset)


@pytest.mark.slow
def test_pooled_maps(root, classified_scenes, tmp_path, run, call_tool):
    """A pooled cache trains the head of that pool size as whole maps do, and no other."""
    # The statistics of standardised features are those of what is cached, too.
    cfg = load_config(root / 'configs/linear_gd-standardized_digit-scenes.py')
    shrink(cfg, classified_scenes)
    # Validation images twice: computed once.
    cfg.test_dataloader = cfg.val_dataloader
    path = tmp_path / 'pooled.py'
    cfg.dump(path)
    command = ('python', 'tools/cache_features.py', path, tmp_path / 'features')
    run(*command, '--pool=4')
    assert (tmp_path / 'features/test').resolve() == (tmp_path / 'features/val').resolve()
    assert FeatureStore(tmp_path / 'features/train').shapes == [[[64, 4, 4]]]
    knn = ('python', 'tools/knn.py', tmp_path / 'features', tmp_path / 'knn', '--k', '3')
    assert 'at b=12, t=500, k=3' in run(*knn)
    assert 'at b=12, t=500, k=3' in run(*knn, '--pool=2')
    with pytest.raises(ValueError, match='pool must be one of 1, 2, 4 for this cache, got 3'):
        call_tool(*knn[1:], '--pool=3')
    through_backbone, _ = train(copy.deepcopy(cfg), tmp_path / 'images')
    use_feature_cache(cfg, tmp_path / 'features')
    from_cache, _ = train(copy.deepcopy(cfg), tmp_path / 'cached')
    np.testing.assert_allclose(from_cache, through_backbone, rtol=1e-4)
    cfg.model.head.pool_size = 2
    with pytest.raises(FeatureStoreError, match=r'pooled to 4x4, .*LinearHead with pool_size=2'):
        train(cfg, tmp_path / 'other')
    with pytest.raises(SystemExit, match='pool: has 4, asked for None'):
        call_tool(*command[1:])
    with pytest.raises(ValueError, match='a side that divides theirs, 16x16, got 3'):
        call_tool(*command[1:-1], tmp_path / 'other', '--pool=3')


@pytest.mark.slow
@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='mmdiff.StableDiffusionBackbone', arch='sd-64-small', blocks=(9,)),
        dict(type='mmdiff.DiffusionTransformerBackbone', arch='dit-64-small', blocks=(2,)),
    ],
    ids=['stable diffusion', 'diffusion transformer'],
)
def test_other_families(backbone, root, classified_scenes, tmp_path, run):
    """What is cached is what the backbone gives; and it can be looked at."""
    from mmengine.dataset import default_collate
    from mmengine.registry import MODELS
    from mmengine.runner import set_random_seed

    cfg = load_config(root / 'configs/linear_gd_digit-scenes.py')
    cfg.model.backbone = ConfigDict(**backbone, timestep=10, vae_channels=(32, 32, 32, 32))
    cfg.model.head.update(in_channels=128, pool_size=2)
    shrink(cfg, classified_scenes)
    cfg.dump(tmp_path / 'config.py')
    cache = tmp_path / 'features'
    run('python', 'tools/cache_features.py', tmp_path / 'config.py', cache)
    init_default_scope('mmpretrain')
    set_random_seed(cfg.randomness.seed)
    model = MODELS.build(cfg.model).eval()
    images = DATASETS.build(cfg.test_dataloader.dataset)
    batch = model.data_preprocessor(default_collate([images[0], images[5]]), False)
    with torch.no_grad():
        rows = flatten([model.backbone(batch['inputs'])])
    for row, index in zip(rows, (0, 5), strict=True):
        found = torch.from_numpy(FeatureStore(cache / 'test').read(index))
        torch.testing.assert_close(found, row, rtol=1e-4, atol=1e-4)
    name = f't=10 b={backbone["blocks"][0]}'
    assert FeatureStore(cache / 'test').settings['maps'] == [[name]]
    assert 't=10' in run('python', 'tools/knn.py', cache, tmp_path / 'knn', '--k', '3')
    tools = 'tools/analysis_tools'
    run('python', f'{tools}/cka.py', cache, cache, tmp_path / 'cka', '--batch-size=8')
    assert (tmp_path / 'cka/cka.csv').read_text().splitlines()[0] == f',{name}'
