"""Several configs and seeds in one table."""

import csv

import pytest
import yaml
from compare_runs import Comparison, folder_name

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
    assert '1 of 1: One: t=50!, seed 3' in capsys.readouterr().out
    (row,) = csv.DictReader((out / 'scores.csv').open())
    assert (row['row'], row['seed']) == ('One: t=50!', '3')
    assert f'| One: t=50! | {float(row["mIoU"]):.1f} |' in (out / 'scores.md').read_text()
    (checkpoint,) = (out / 'one-t-50/seed-3').glob('iter_*.pth')
    written = checkpoint.stat().st_mtime_ns
    call_tool(*settings)
    assert '1 of 1' not in capsys.readouterr().out
    assert checkpoint.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(runs={'a': dict(config='no.py')}), 'runs: a: there is no config'),
        (dict(runs={'a': dict(confg='no.py')}), 'runs: a: unknown confg; it has config, options'),
        (dict(runs={'a': None}), 'runs: a must have config, got None'),
        (dict(scores='mIoU'), 'the file: unknown scores; it has options, runs, score, seeds'),
        (dict(seeds=[1, 1]), 'rows or seeds share a folder'),
    ],
)
def test_bad_files(changes, message, comparison, tmp_path):
    with pytest.raises(SystemExit, match=message):
        Comparison.read(comparison(**changes), tmp_path)
    with pytest.raises(SystemExit, match='there is no file'):
        Comparison.read(tmp_path / 'missing.yml', tmp_path)


@pytest.mark.parametrize('data', ['camvid', 'digit-scenes', 'nuclei'])
def test_ours_name_configs_and_no_two_runs_share_a_folder(data, root, tmp_path):
    comparison = Comparison.read(root / COMPARISONS / f'backbones_{data}.yml', tmp_path)
    assert len({run.work_dir for run in comparison.runs}) == len(comparison.runs) == 26
    assert folder_name('t=(50, 300), gate') == 't-50-300-gate'
