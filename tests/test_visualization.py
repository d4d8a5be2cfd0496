"""PCA colours and the picture sheet."""

import json
import runpy

import numpy as np
import torch
from PIL import Image
from sklearn.decomposition import PCA

from mmdiff.visualization import draw_feature_sheet, pca_rgb


def test_pca_colours_equal_scikit_learn_up_to_sign_and_scale():
    maps = [torch.randn(8, 5, 7) * torch.arange(1, 9)[:, None, None] for _ in range(2)]
    colours = np.concatenate([image.reshape(-1, 3) for image in pca_rgb(maps)])
    pixels = torch.cat([m.flatten(1).T for m in maps]).numpy()
    scores = PCA(3).fit_transform(pixels)
    inside = ((colours > 0) & (colours < 1)).all(axis=1)
    for i in range(3):
        correlation = np.corrcoef(colours[inside, i], scores[inside, i])[0, 1]
        assert abs(abs(correlation) - 1) < 1e-6


def test_pca_colours_repeat_and_stay_in_range():
    maps = [torch.randn(16, 4, 4), torch.randn(16, 2, 6)]
    first, second = pca_rgb(maps), pca_rgb([m.clone() for m in maps])
    for a, b, m in zip(first, second, maps, strict=True):
        assert a.shape == (*m.shape[1:], 3)
        assert (a == b).all()
        assert a.min() >= 0
        assert a.max() <= 1


def test_constant_features_have_one_colour():
    (image,) = pca_rgb([torch.ones(4, 3, 3)])
    assert np.isfinite(image).all()
    assert (image == image[0, 0]).all()


def test_sheet(tmp_path):
    rows = [[np.zeros((8, 8, 3), np.uint8), np.ones((4, 4, 3))]] * 3
    path = tmp_path / 'new' / 'sheet.png'
    draw_feature_sheet(path, rows, ['a', 'b'])
    width, height = Image.open(path).size
    assert height > width > 100


def curve_log(work_dir, start, lines):
    """A part of a run's log, as MMEngine writes it."""
    path = work_dir / start / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))


def test_curves_of_a_resumed_run(tmp_path, run, root):
    curve_log(tmp_path / 'run', '1', [{'loss': 4.0, 'step': 1}, {'loss': 3.0, 'step': 2}])
    curve_log(tmp_path / 'run', '2', [{'loss': 2.0, 'step': 2}, {'error': 1.0, 'step': 3}])
    namespace = runpy.run_path(str(root / 'tools/analysis_tools/plot_curves.py'))
    scalars = namespace['read_scalars'](tmp_path / 'run')
    assert scalars['loss'] == {1: 4.0, 2: 2.0}
    assert scalars['error'] == {3: 1.0}

    command = ('python', 'tools/analysis_tools/plot_curves.py', tmp_path / 'curves.png')
    run(*command, tmp_path / 'run', '--keys', 'loss', 'error', '--log')
    width, height = Image.open(tmp_path / 'curves.png').size
    assert width > 2 * height
    printed = run(*command, tmp_path / 'run', '--keys', 'accuracy', fails=True)
    assert 'run logged no accuracy, but loss, step, error' in printed
    printed = run(*command, tmp_path, fails=True)
    assert 'has no */vis_data/scalars.json' in printed
