"""Analysis of features: CKA, linear probes, and their commands."""

import csv

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmdiff.analysis import MinibatchCKA, linear_probe_accuracy
from mmdiff.classification import FeatureStore


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


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    """Two timesteps of two blocks: the class stands in the second block at the first timestep."""
    folder = tmp_path_factory.mktemp('cache')
    rng = np.random.default_rng(0)
    settings = {
        'maps': [['t=10 b=3', 't=10 b=5'], ['t=99 b=3', 't=99 b=5']],
        'pool': None,
        'images': 'the same',
    }
    shapes = [[(3, 4, 4), (2, 4, 4)]] * 2
    for split, count in (('train', 60), ('test', 30)):
        labels = rng.integers(0, 2, count)
        maps = [[rng.random((count, *shape), np.float32) for shape in blocks] for blocks in shapes]
        maps[0][1][np.arange(count), labels] += 1
        rows = np.concatenate([m.reshape(count, -1) for blocks in maps for m in blocks], axis=1)
        store = FeatureStore.create(folder / split, settings, shapes, labels, num_views=1)
        store.write(range(count), rows[:, None])
    return folder


@pytest.mark.slow
def test_probe_grid(cache, tmp_path, run):
    command = ('python', 'tools/analysis_tools/probe_grid.py', cache, tmp_path)
    printed = run(*command, '--pools', '1', '2')
    assert 'Best: 100.00 % at b=5, t=10, pool 1' in printed
    rows = list(csv.DictReader((tmp_path / 'probe_grid.csv').open()))
    assert len(rows) == 2 * 2 * 2
    for row in rows:
        informative = (row['block'], row['timestep']) == ('b=5', 't=10')
        assert (float(row['accuracy']) > 90) == informative
    assert Image.open(tmp_path / 'probe_grid.png').size > (100, 100)
    assert 'pool must be one of 1, 2, 3, 4 for this cache, got 8' in run(
        *command, '--pools', '8', fails=True
    )


@pytest.mark.slow
def test_cka_command(cache, tmp_path, run):
    command = ('python', 'tools/analysis_tools/cka.py', cache)
    run(*command, cache, tmp_path, '--batch-size=15')
    header, *rows = csv.reader((tmp_path / 'cka.csv').open())
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

    other = FeatureStore.create(
        tmp_path / 'other/test', {'images': 'others'}, [[(1, 1, 1)]], [0], num_views=1
    )
    other.write([0], np.ones((1, 1, 1), np.float32))
    printed = run(*command, tmp_path / 'other', tmp_path, fails=True)
    assert 'is of other images than' in printed


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
