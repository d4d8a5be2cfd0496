"""Analysis of features: CKA, linear probes, and their commands."""

import csv
import inspect

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmdiff.analysis import (
    MinibatchCKA,
    linear_probe_accuracy,
    trained_probe,
    trained_probe_accuracy,
)
from mmdiff.classification import FeatureStore
from mmdiff.classification.cached_maps import PooledMaps


def direct_cka(x, y):
    """Kornblith et al., *Similarity of Neural Network Representations Revisited*, eq. 4."""
    x, y = x - x.mean(0), y - y.mean(0)
    cross = np.linalg.norm(x.T @ y) ** 2
    return cross / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)


def direct_unbiased_hsic(x, y):
    """Song et al., eq. 5, as it stands there."""
    n = len(x)
    a, b = x @ x.T, y @ y.T
    np.fill_diagonal(a, 0)
    np.fill_diagonal(b, 0)
    one = np.ones(n)
    total = np.trace(a @ b)
    total += (one @ a @ one) * (one @ b @ one) / (n - 1) / (n - 2)
    total -= 2 / (n - 2) * (one @ a @ b @ one)
    return total / n / (n - 3)


def test_cka_of_one_batch_equals_the_formula():
    rng = np.random.default_rng(0)
    x, y = rng.normal(2, 1, (7, 3)), rng.normal(-1, 1, (7, 5))
    cka = MinibatchCKA(2, 1)
    cka.add([x, y], [y])
    hsic = direct_unbiased_hsic
    expected = hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))
    np.testing.assert_allclose(cka.value(), [[expected], [1]])


def test_minibatch_cka_comes_near_the_direct_one():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 4))
    y = x @ rng.normal(size=(4, 6)) + rng.normal(size=(3000, 6))
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    others = [y, 3 * x @ rotation + 1, rng.normal(size=(3000, 5))]
    cka = MinibatchCKA(1, 3)
    for start in range(0, 3000, 100):
        batch = slice(start, start + 100)
        cka.add([x[batch]], [other[batch] for other in others])
    np.testing.assert_allclose(
        cka.value()[0], [direct_cka(x, other) for other in others], atol=0.02
    )
    assert cka.value()[0, 1] == pytest.approx(1)


def test_cka_refuses_small_batches():
    with pytest.raises(ValueError, match='at least 4 images, got 3'):
        MinibatchCKA(1, 1).add([np.ones((3, 2))], [np.ones((3, 2))])


def test_linear_probe():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    features = rng.normal(size=(300, 8)) + 4 * np.eye(8)[labels]
    halves = features[:200], labels[:200], features[200:], labels[200:]
    assert linear_probe_accuracy(*halves) > 95
    noise = rng.normal(size=(300, 8))
    assert linear_probe_accuracy(noise[:200], labels[:200], noise[200:], labels[200:]) < 60


@pytest.mark.parametrize('max_kept', [2**30, 0])
@pytest.mark.parametrize('num_classes', [2, 5])
def test_linear_probe_equals_scikit_learn(num_classes, max_kept, monkeypatch):
    """In parts that are kept or read again, at features whose scales differ."""
    monkeypatch.setattr('mmdiff.utils.slices.MAX_BYTES', 2000)
    monkeypatch.setattr('mmdiff.analysis.linear_probe.MAX_KEPT', max_kept)
    rng = np.random.default_rng(0)
    labels = 3 * rng.integers(0, num_classes, 1200)
    features = rng.normal(size=(1200, 12)).astype(np.float32)
    features[:, :5] += 0.7 * np.eye(13)[labels][:, ::3]
    features = features * rng.uniform(0.1, 9, 12).astype(np.float32) + 3
    before = features.copy()
    sets = features[:200], labels[:200], features[200:], labels[200:]
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    expected = 100 * theirs.fit(*sets[:2]).score(*sets[2:])
    assert 25 < expected < 75
    assert linear_probe_accuracy(*sets) == pytest.approx(expected, abs=0.11)
    assert (features == before).all()


def test_trained_probe():
    rng = np.random.default_rng(0)
    labels = 3 * rng.integers(0, 3, 300)
    features = rng.normal(size=(300, 8)).astype(np.float32)
    noise = features.copy()
    features += 4 * np.eye(8, dtype=np.float32)[labels // 3]
    settings = dict(epochs=14, lr=0.05)
    for values, low, high in ((features, 95, 100), (noise, 10, 60)):
        halves = [values[:200]], labels[:200], values[200:], labels[200:]
        assert low <= trained_probe_accuracy(*halves, **settings) <= high
    # Features as they are: none of them is scaled.
    halves = [1e-6 * features[:200]], labels[:200], 1e-6 * features[200:], labels[200:]
    assert trained_probe_accuracy(*halves, epochs=1) < 60


def test_trained_probe_sees_all_views():
    """The class stands in other columns of the second view."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    views = [rng.normal(size=(400, 4)).astype(np.float32) for _ in range(2)]
    for number, view in enumerate(views):
        view[np.arange(400), 2 * number + labels] += 5
    first, second = (view[:200] for view in views)
    on_second = views[1][200:], labels[200:]
    settings = dict(epochs=14, lr=0.05)
    assert trained_probe_accuracy([first], labels[:200], *on_second, **settings) < 70
    assert trained_probe_accuracy([first, second], labels[:200], *on_second, **settings) > 95


def test_trained_probe_of_features_that_are_read_again(cache, monkeypatch):
    store = FeatureStore(cache / 'train')
    maps = PooledMaps(store, 0, 1, 2)
    arguments = [maps], store.labels, maps, store.labels
    kept = trained_probe_accuracy(*arguments)
    monkeypatch.setattr(trained_probe, 'MAX_KEPT', 0)
    reads = []
    monkeypatch.setattr(
        store, 'read_maps', lambda *args: reads.append(args) or FeatureStore.read_maps(store, *args)
    )
    assert trained_probe_accuracy(*arguments) == kept
    assert len(reads) > 28


def test_trained_probe_is_trained_as_the_papers(root):
    cfg = Config.fromfile(root / 'configs/fine-grained/linear_gd_cub.py')
    defaults = inspect.signature(trained_probe_accuracy).parameters
    (schedule,) = cfg.param_scheduler
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=defaults['lr'].default)
    assert cfg.train_cfg.max_epochs == defaults['epochs'].default
    assert schedule.step_size == trained_probe.STEP_EPOCHS
    assert schedule.gamma == trained_probe.GAMMA
    assert cfg.auto_scale_lr.base_batch_size == trained_probe.BATCH_SIZE


def test_trained_probe_leaves_the_random_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    features, labels = np.eye(4, dtype=np.float32), np.arange(4)
    trained_probe_accuracy([features], labels, features, labels, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def write_cache(folder, names, shapes, images='the same', place=None):
    """Random maps of 60 and 30 images; at ``place`` (timestep, block) the class stands in them."""
    rng = np.random.default_rng(0)
    settings = {'maps': names, 'pool': None, 'images': images}
    for split, count in (('train', 60), ('test', 30)):
        labels = rng.integers(0, 2, count)
        maps = [[rng.random((count, *shape), np.float32) for shape in blocks] for blocks in shapes]
        if place:
            maps[place[0]][place[1]][np.arange(count), labels] += 1
        rows = np.concatenate([m.reshape(count, -1) for blocks in maps for m in blocks], axis=1)
        store = FeatureStore.create(folder / split, settings, shapes, labels, num_views=1)
        store.write(range(count), rows[:, None])
    return folder


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    """Two timesteps of two blocks: the class stands in the second block at the first timestep."""
    names = [['t=10 b=3', 't=10 b=5'], ['t=99 b=3', 't=99 b=5']]
    shapes = [[(3, 4, 4), (2, 4, 4)]] * 2
    return write_cache(tmp_path_factory.mktemp('caches') / 'cache', names, shapes, place=(0, 1))


@pytest.fixture(scope='module')
def other_cache(tmp_path_factory):
    """One map of another backbone at two timesteps: the class stands in the second."""
    names = [['t=10 map 1'], ['t=99 map 1']]
    folder = tmp_path_factory.mktemp('caches') / 'other'
    return write_cache(folder, names, [[(2, 4, 4)]] * 2, place=(1, 0))


def read_csv(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_probe_grid(cache, tmp_path, call_tool, capsys):
    call_tool('tools/analysis_tools/probe_grid.py', cache, tmp_path, '--pools', '1', '2')
    assert 'Best: 100.00 % at b=5, t=10, pool 1' in capsys.readouterr().out
    rows = read_csv(tmp_path / 'probe_grid.csv')
    assert len(rows) == 2 * 2 * 2
    for row in rows:
        informative = (row['block'], row['timestep']) == ('b=5', 't=10')
        assert (float(row['accuracy']) > 90) == informative
    for name in ('probe_grid.png', 'probe_curves.png'):
        assert Image.open(tmp_path / name).size > (100, 100)


def test_probe_grid_with_a_trained_layer_beside_another_backbone(
    cache, other_cache, tmp_path, call_tool, capsys
):
    call_tool(
        'tools/analysis_tools/probe_grid.py', cache, tmp_path, '--beside', other_cache,
        '--probe=trained', '--lr=0.05', '--epochs=10', '--pools=1',
    )  # fmt: skip
    assert 'Best: 100.00 % at b=5, t=10, pool 1' in capsys.readouterr().out
    rows = read_csv(tmp_path / 'probe_grid.csv')
    assert [row['cache'] for row in rows] == 4 * [str(cache)] + 2 * [str(other_cache)]
    assert [(row['block'], row['timestep']) for row in rows[4:]] == [
        ('map 1', 't=10'),
        ('map 1', 't=99'),
    ]
    accuracy = [float(row['accuracy']) for row in rows[4:]]
    assert accuracy[0] < 80 < accuracy[1]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--pools=8'], 'pool must be one of 1, 2, 3, 4 for this cache, got 8'),
        (['--lr=0.1'], '--lr is of --probe trained'),
        (['--probe=trained', '--epochs=0'], '--epochs must be more than 0, got 0'),
    ],
)
def test_probe_grid_refuses(options, message, cache, tmp_path, call_tool, capsys):
    with pytest.raises((ValueError, SystemExit)) as error:
        call_tool('tools/analysis_tools/probe_grid.py', cache, tmp_path, *options)
    assert message in str(error.value) + capsys.readouterr().err


@pytest.mark.parametrize(
    ('side', 'images', 'message'),
    [
        (4, 'others', r'--beside: .*other is of other images than .*cache'),
        (1, 'the same', r'--beside: .*other has none of the pool sizes \[2\]'),
    ],
)
def test_probe_grid_refuses_a_cache_beside_it(side, images, message, cache, tmp_path, call_tool):
    other = write_cache(tmp_path / 'other', [['map 1']], [[(2, side, side)]], images)
    tool = 'tools/analysis_tools/probe_grid.py'
    with pytest.raises(SystemExit, match=message):
        call_tool(tool, cache, tmp_path / 'out', '--pools=2', '--beside', other)


def test_cka_command(cache, tmp_path, call_tool):
    tool = 'tools/analysis_tools/cka.py'
    call_tool(tool, cache, cache, tmp_path, '--batch-size=15')
    with (tmp_path / 'cka.csv').open() as file:
        header, *rows = csv.reader(file)
    assert (
        header[1:] == [row[0] for row in rows] == ['t=10 b=3', 't=10 b=5', 't=99 b=3', 't=99 b=5']
    )
    table = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(np.diag(table), 1)
    np.testing.assert_allclose(table, table.T)
    store = FeatureStore(cache / 'test')
    maps = [store.read_maps(slice(30), t, b).reshape(30, -1) for t in (0, 1) for b in (0, 1)]
    direct = MinibatchCKA(4, 4)
    # Every other image, so that images in the order of their classes are spread over batches.
    for batch in (slice(0, 30, 2), slice(1, 30, 2)):
        direct.add([m[batch] for m in maps], [m[batch] for m in maps])
    np.testing.assert_allclose(table, direct.value(), atol=1e-4)
    assert (tmp_path / 'cka.png').is_file()

    other = write_cache(tmp_path / 'other', [['map 1']], [[(1, 4, 4)]], images='others')
    with pytest.raises(SystemExit, match='is of other images than'):
        call_tool(tool, cache, other, tmp_path)


def test_cka_with_another_backbone(cache, other_cache, tmp_path, call_tool):
    call_tool('tools/analysis_tools/cka.py', cache, other_cache, tmp_path, '--batch-size=10')
    with (tmp_path / 'cka.csv').open() as file:
        header, *rows = csv.reader(file)
    assert header[1:] == ['t=10 map 1', 't=99 map 1']
    assert len(rows) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ('arch', 'blocks'),
    [
        ('adm-64-small', ('9', '12', '14')),
        ('sd-64-small', ('5', '7', '9')),
        ('dit-64-small', '123'),
    ],
)
def test_feature_pca(arch, blocks, tmp_path, run):
    image = tmp_path / 'image.png'
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)).save(image)
    run(
        'python', 'tools/analysis_tools/feature_pca.py', arch, 'random', image,
        tmp_path / 'pca.png', '--timesteps', '1', '500', '--blocks', *blocks,
    )  # fmt: skip
    # A row of noised inputs and one for each block: higher than wide.
    width, height = Image.open(tmp_path / 'pca.png').size
    assert height > 1.5 * width
