"""Several configs and seeds in one table."""

import csv

import pytest
import yaml
from compare_runs import Comparison, Run, folder_name, write
from PIL import Image

COMPARISONS = 'configs/comparisons'


@pytest.fixture
def comparison(digit_scenes, tmp_path, root):
    """Two rows of one seed, one iteration each."""
    options = {
        'train_cfg.max_iters': 1,
        'train_cfg.val_interval': 1,
        'train_dataloader.batch_size': 2,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False,
    }
    roots = {
        f'{split}_dataloader.dataset.data_root': str(digit_scenes) for split in ('train', 'val')
    }
    config = str(root / 'configs/upernet_gd-random_digit-scenes.py')
    content = dict(
        score='mIoU',
        seeds=[3],
        options=options | roots,
        runs={
            'One: t=50!': dict(config=config, options={'model.backbone.timestep': '(50,300,500)'})
        },
    )
    file = tmp_path / 'rows.yml'

    def write(**changes):
        file.write_text(yaml.safe_dump(content | changes))
        return file

    return write


def test_trains_and_tables_and_does_nothing_twice(comparison, tmp_path, call_tool, capsys):
    out = tmp_path / 'out'
    settings = ('tools/analysis_tools/compare_runs.py', comparison(), '--out', out)
    call_tool(*settings)
    assert '1 of 1: One: t=50!, all labels, seed 3' in capsys.readouterr().out
    (row,) = csv.DictReader((out / 'scores.csv').open())
    assert (row['row'], row['seed']) == ('One: t=50!', '3')
    assert f'| One: t=50! | {float(row["mIoU"]):.1f} (' in (out / 'scores.md').read_text()
    (checkpoint,) = (out / 'one-t-50/seed-3').glob('iter_*.pth')
    written = checkpoint.stat().st_mtime_ns
    call_tool(*settings)
    assert '1 of 1' not in capsys.readouterr().out
    assert checkpoint.stat().st_mtime_ns == written


def drawn(run):
    (indices,) = (o for o in run.command if o.startswith('train_dataloader.dataset.indices='))
    return eval(indices.split('=')[1])


def test_labels_are_drawn_by_the_seed_and_the_more_contain_the_fewer(comparison, tmp_path):
    config = yaml.safe_load(comparison().read_text())['runs']['One: t=50!']['config']
    rows = {row: dict(config=config) for row in 'ab'}
    settings = comparison(labels=[2, 4, 'all'], seeds=[0, 1], runs=rows)
    runs = {
        (run.row, run.labels, run.seed): run for run in Comparison.read(settings, tmp_path).runs
    }
    assert len(drawn(runs['a', 2, 0])) == 2
    assert drawn(runs['a', 2, 0]) == drawn(runs['b', 2, 0]) == drawn(runs['a', 4, 0])[:2]
    assert set(drawn(runs['a', 4, 0])) != set(drawn(runs['a', 4, 1]))
    assert not any('indices' in option for option in runs['a', 'all', 0].command)
    with pytest.raises(SystemExit, match=r'labels: 1000, but .* has 32 images'):
        drawn(Comparison.read(comparison(labels=[1000], seeds=[0]), tmp_path).runs[0])


def test_figure_and_table_over_numbers_of_labels(comparison, tmp_path, monkeypatch):
    read = Comparison.read(comparison(labels=[5, 'all'], seeds=[0, 1], score='coco/AP'), tmp_path)
    scores = {(5, 0): 0.25, (5, 1): 0.35, ('all', 0): 0.5}
    monkeypatch.setattr(Run, 'score', lambda run, key: scores.get((run.labels, run.seed)))
    write(read, tmp_path)
    assert (tmp_path / 'scores.md').read_text().splitlines() == [
        '| | coco/AP, 5 labels | coco/AP, all labels |',
        '|---|---|---|',
        '| One: t=50! | 30.0 (25.0, 35.0) | 50.0 (50.0) |',
    ]
    assert (tmp_path / 'scores.csv').read_text().splitlines()[1:] == [
        'One: t=50!,5,0,0.25',
        'One: t=50!,5,1,0.35',
        'One: t=50!,all,0,0.5',
    ]
    assert Image.open(tmp_path / 'scores.png').size[0] > 100


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(runs={'a': dict(config='no.py')}), 'runs: a: there is no config'),
        (dict(runs={'a': dict(confg='no.py')}), 'runs: a: unknown confg; it has config, options'),
        (dict(runs={'a': None}), 'runs: a must have config, got None'),
        (dict(scores='mIoU'), 'the file: unknown scores; it has labels, options, runs'),
        (dict(seeds=[1, 1]), 'rows, labels or seeds share a folder'),
        (dict(labels=['none']), "labels must be positive integers or 'all', got none"),
        (dict(labels=[0]), "labels must be positive integers or 'all', got 0"),
    ],
)
def test_bad_files(changes, message, comparison, tmp_path):
    with pytest.raises(SystemExit, match=message):
        Comparison.read(comparison(**changes), tmp_path)
    with pytest.raises(SystemExit, match='there is no file'):
        Comparison.read(tmp_path / 'missing.yml', tmp_path)


def test_ours_name_configs_and_no_two_runs_share_a_folder(root, tmp_path):
    runs = {'backbones': 26, 'few-labels': 72}
    files = sorted((root / COMPARISONS).glob('*.yml'))
    assert len(files) == 6
    for file in files:
        comparison = Comparison.read(file, tmp_path)
        assert len(comparison.runs) == runs[file.stem.split('_')[0]]
        assert len({run.work_dir for run in comparison.runs}) == len(comparison.runs)
    assert folder_name('t=(50, 300), gate') == 't-50-300-gate'
