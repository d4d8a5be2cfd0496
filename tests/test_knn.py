"""k-nearest-neighbour classification, against a plain search."""

import csv

import numpy as np
import pytest

from mmdiff.classification import FeatureStore
from mmdiff.classification.cached_maps import PooledMaps
from mmdiff.classification.knn import knn_scores


def brute_force(train, labels, test, k, num_classes, temperature):
    scores = np.zeros((len(test), num_classes))
    for row, x in enumerate(test):
        similarity = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for y in train]
        for index in sorted(range(len(train)), key=lambda i: -similarity[i])[:k]:
            scores[row, labels[index]] += np.exp(similarity[index] / temperature)
    return scores


@pytest.mark.parametrize(
    ('temperature', 'bytes_at_once'), [(0.07, 2**20), (1.0, 2**20), (1.0, 500)]
)
def test_equals_a_plain_search(temperature, bytes_at_once, monkeypatch):
    monkeypatch.setattr('mmdiff.utils.slices.MAX_BYTES', bytes_at_once)
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(60, 8)), rng.normal(size=(11, 8))
    labels = rng.integers(0, 4, 60)
    scores = knn_scores(train, labels, test, [1, 5, 60], 4, temperature)
    for k in (1, 5, 60):
        expected = brute_force(train, labels, test, k, 4, temperature)
        # Scores are up to a factor for each image.
        ours = scores[k] / scores[k].sum(1, keepdims=True)
        np.testing.assert_allclose(ours, expected / expected.sum(1, keepdims=True), rtol=1e-6)
        assert ((scores[k] > 0) == (expected > 0)).all()


@pytest.mark.parametrize('k', [0, 61])
def test_bad_k(k):
    features = np.ones((60, 2))
    with pytest.raises(ValueError, match=f'k must be from 1 to 60 training images, got {k}'):
        knn_scores(features, np.zeros(60, int), features, [k], 1)


def test_pooled_maps_are_read_in_parts(tmp_path, monkeypatch):
    settings = {'maps': [['t=9 b=3', 't=9 b=4']], 'pool': None}
    shapes = [[(2, 4, 4), (3, 4, 4)]]
    store = FeatureStore.create(tmp_path, settings, shapes, range(7), num_views=1)
    rows = np.random.default_rng(0).random((7, 1, 80), np.float32)
    store.write(range(7), rows)
    monkeypatch.setattr('mmdiff.classification.cached_maps.IMAGES_AT_ONCE', 2)
    maps = PooledMaps(store, 0, 1, 2)
    expected = rows[:, 0, 32:].reshape(7, 3, 2, 2, 2, 2).mean(axis=(3, 5)).reshape(7, 12)
    assert maps.shape == expected.shape
    np.testing.assert_allclose(maps[1:6], expected[1:6], rtol=1e-6)
    np.testing.assert_allclose(maps[4:99], expected[4:], rtol=1e-6)


@pytest.mark.slow
def test_command_line(tmp_path, run):
    """Two classes whose maps point in different directions, but for one test image."""
    settings = {'maps': [['t=9 b=3']], 'pool': None}
    rng = np.random.default_rng(0)
    for split, labels in (('train', [0, 1] * 10), ('test', [0, 1, 1, 1])):
        store = FeatureStore.create(tmp_path / split, settings, [[(2, 4, 4)]], labels, num_views=1)
        maps = rng.random((len(labels), 2, 4, 4), np.float32) * 0.1
        drawn = np.array(labels)
        if split == 'test':
            drawn[3] = 0
        maps[np.arange(len(labels)), drawn] += 1
        store.write(range(len(labels)), maps.reshape(len(labels), 1, -1))
    command = ('python', 'tools/knn.py', tmp_path, tmp_path / 'out')
    assert 'Best: 75.00 % at b=3, t=9, k=3' in run(*command, '--k', '3', '20')
    rows = list(csv.DictReader((tmp_path / 'out/knn.csv').open()))
    assert [(row['k'], row['top-1']) for row in rows] == [('3', '75.00'), ('20', '75.00')]
    assert {row['block'] + row['timestep'] for row in rows} == {'b=3t=9'}
    assert (tmp_path / 'out/knn.png').is_file()
    printed = run(*command, '--split=val', fails=True)
    assert 'has no feature store' in printed
    printed = run(*command, '--pool=5', fails=True)
    assert 'pool must be one of 1, 2, 3, 4 for this cache, got 5' in printed

    store = FeatureStore.create(
        tmp_path / 'val', {**settings, 'backbone': {'t': 500}}, [[(2, 4, 4)]], [0], num_views=1
    )
    store.write([0], np.ones((1, 1, 32), np.float32))
    printed = run(*command, '--split=val', '--k', '3', fails=True)
    assert 'backbone.t: has 500, asked for None' in printed
