"""PCA colours and the picture sheet."""

import csv
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from sklearn.decomposition import PCA

from mmdiff.utils import read_scalars
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


def test_curves_of_a_resumed_run(tmp_path, call_tool):
    curve_log(tmp_path / 'run', '1', [{'loss': 4.0, 'step': 1}, {'loss': 3.0, 'step': 2}])
    curve_log(tmp_path / 'run', '2', [{'loss': 2.0, 'step': 2}, {'error': 1.0, 'step': 3}])
    scalars = read_scalars(tmp_path / 'run')
    assert scalars['loss'] == {1: 4.0, 2: 2.0}
    assert scalars['error'] == {3: 1.0}

    tool, picture = 'tools/analysis_tools/plot_curves.py', tmp_path / 'curves.png'
    call_tool(tool, picture, tmp_path / 'run', '--keys', 'loss', 'error', '--log')
    width, height = Image.open(picture).size
    assert width > 2 * height
    with pytest.raises(SystemExit, match='run logged no accuracy, but loss, step, error'):
        call_tool(tool, picture, tmp_path / 'run', '--keys', 'accuracy')
    with pytest.raises(SystemExit, match=r'has no \*/vis_data/scalars\.json'):
        call_tool(tool, picture, tmp_path)


def classification_run(work_dir, root, config, scores):
    """What a run of a config leaves of its scores, {step: accuracy}."""
    curve_log(work_dir, '1', [{'accuracy/top1': v, 'step': t} for t, v in scores.items()])
    Config.fromfile(root / config).dump(work_dir / '1/vis_data/config.py')
    return work_dir


def test_heads_over_their_parameters(tmp_path, root, call_tool):
    runs = [
        classification_run(tmp_path / name, root, f'configs/imagenet-50/{name}.py', {7: 50, 28: v})
        for name, v in (
            ('linear-4k_gd_in50', 89.41),
            ('attention-1k-1_gd_in50', 91.67),
            ('linear-1k_gd_in50', 87.2),
        )
    ]
    call_tool('tools/analysis_tools/plot_heads.py', tmp_path / 'out', *runs)
    with (tmp_path / 'out/heads.csv').open() as file:
        header, *rows = csv.reader(file)
    assert header == ['run', 'head', 'parameters', 'accuracy/top1']
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ('attention-1k-1_gd_in50', 'Attention', '91.67'),
        ('linear-1k_gd_in50', 'Linear', '87.20'),
        ('linear-4k_gd_in50', 'Linear', '89.41'),
    ]
    assert [int(row[2]) for row in rows[1:]] == [50 * (1024 + 1), 50 * (4096 + 1)]
    assert Image.open(tmp_path / 'out/heads.png').size > (100, 100)


def test_a_diffusion_model_over_the_images_it_saw(tmp_path, root, call_tool, monkeypatch):
    run, scores, picture = tmp_path / 'run', tmp_path / 'scores.csv', tmp_path / 'curve.png'
    curve_log(run, '1', [{'noise_error/mean': 0.04, 'step': 10}, {'loss': 1.0, 'step': 12}])
    config = Config.fromfile(root / 'configs/natural-images/pretrain_adm-32-small_cifar10.py')
    config.dump(run / '1/vis_data/config.py')
    scores.write_text(
        'row,labels,seed,accuracy/top1\n'
        'iteration 0,all,0,30\niteration 10,all,0,50\niteration 10,all,1,52\n'
    )
    drawn = []
    monkeypatch.setattr('mmdiff.visualization.draw_curves', lambda *args, **_: drawn.append(args))
    tool = 'tools/analysis_tools/plot_pretraining.py'
    call_tool(tool, picture, run, scores)
    assert drawn == [
        (
            picture,
            {
                'error of the predicted noise': {'run': [(640, 0.04)]},
                'accuracy/top1': {'run': [(0, [30.0]), (640, [50.0, 52.0])]},
            },
        )
    ]
    scores.write_text('row,labels,seed,mIoU\nfrozen,all,0,30\n')
    with pytest.raises(SystemExit, match="rows must be named 'iteration N', got 'frozen'"):
        call_tool(tool, picture, run, scores)
    curve_log(tmp_path / 'other', '1', [{'loss': 1.0, 'step': 12}])
    with pytest.raises(SystemExit, match='other logged no noise_error/mean'):
        call_tool(tool, picture, tmp_path / 'other', scores)


def test_scores_of_comparisons_side_by_side(tmp_path, call_tool, monkeypatch):
    of_photos, of_cells = tmp_path / 'photos.csv', tmp_path / 'cells.csv'
    of_photos.write_text('row,labels,seed,mIoU\nfrozen,all,0,30\nfrozen,50,0,20\nfrozen,5,0,10\n')
    of_cells.write_text('row,labels,seed,coco/AP\nfrozen,5,0,0.1\nfrozen,5,1,0.2\nr18,5,0,0.3\n')
    tool, picture = 'tools/analysis_tools/plot_scores.py', tmp_path / 'scores.png'
    arguments = f'Photos, mIoU={of_photos}', f'Cells={of_cells}'
    call_tool(tool, picture, *arguments)
    assert Image.open(picture).size > (600, 100)
    drawn = []
    monkeypatch.setattr('mmdiff.visualization.draw_curves', lambda *args, **_: drawn.append(args))
    call_tool(tool, picture, *arguments)
    assert drawn == [
        (
            picture,
            {
                'Photos, mIoU': {'frozen': [('5', [10.0]), ('50', [20.0]), ('all', [30.0])]},
                'Cells': {'frozen': [('5', [10.0, 20.0])], 'r18': [('5', [30.0])]},
            },
        )
    ]
    with pytest.raises(SystemExit, match='must be TITLE=SCORES_CSV, got photos'):
        call_tool(tool, picture, 'photos')
    with pytest.raises(SystemExit, match='scores: there is no file none'):
        call_tool(tool, picture, 'A=none.csv')
    of_cells.write_text('row,labels,seed,coco/AP\n')
    with pytest.raises(SystemExit, match='has no scores yet'):
        call_tool(tool, picture, f'A={of_cells}')
    of_cells.write_text('run,head\na,b\n')
    with pytest.raises(SystemExit, match='row, labels, seed and the score, got run, head'):
        call_tool(tool, picture, f'A={of_cells}')


def test_heads_of_runs_that_are_not_at_their_end(tmp_path, root, call_tool):
    config = 'configs/imagenet-50/linear-1k_gd_in50.py'
    run = classification_run(tmp_path / 'run', root, config, {7: 50.0, 14: 60.0})
    tool = 'tools/analysis_tools/plot_heads.py'
    with pytest.raises(SystemExit, match=r'run has accuracy/top1 up to 14 of 28: train it'):
        call_tool(tool, tmp_path, run)
    with pytest.raises(SystemExit, match='run logged no error, but accuracy/top1, step'):
        call_tool(tool, tmp_path, run, '--key=error')
    with pytest.raises(SystemExit, match=r'it is no work dir of a run'):
        call_tool(tool, tmp_path, tmp_path)
