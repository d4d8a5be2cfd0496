"""Several configs and seeds in one table."""

import csv
import threading

import pytest
import yaml
from compare_runs import train, write
from comparison import Comparison, Run, folder_name
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
        file.write_text(yaml.safe_dump(content | changes, sort_keys=False))
        return file

    return write


def test_trains_and_tables_and_does_nothing_twice(comparison, tmp_path, call_tool, capsys):
    out = tmp_path / 'out'
    settings = ('tools/analysis_tools/compare_runs.py', comparison(), '--out', out, '--jobs', 2)
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
    options = yaml.safe_load(settings[1].read_text())['options']
    comparison(options=options | {'optim_wrapper.optimizer.lr': 0.5})
    with pytest.raises(SystemExit, match=r'seed-3 was trained with another .*\.lr than 0\.5'):
        call_tool(*settings)


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


# Ends when another run is there, too; SEED is its own.
MEETS = """touch $0/SEED
for _ in {1..100}; do
    [ $(ls $0 | wc -l) -gt 1 ] && exit
    sleep 0.1
done
exit 1"""


def test_jobs_are_runs_at_once_of_configs_that_one_thread_reads(comparison, tmp_path, monkeypatch):
    """As Python 3.11 parses one file at a time, or fails."""
    met = tmp_path / 'met'
    met.mkdir()
    readers = set()

    def command(run):
        readers.add(threading.current_thread())
        return ['bash', '-c', MEETS.replace('SEED', str(run.seed)), str(met)]

    def score(run, key):
        readers.add(threading.current_thread())
        return 50.0 if (met / str(run.seed)).exists() else None

    monkeypatch.setattr(Run, 'command', property(command))
    monkeypatch.setattr(Run, 'score', score)
    read = Comparison.read(comparison(seeds=[0, 1, 2]), tmp_path)
    train(read.runs, read, 2, tmp_path)
    write(read, tmp_path)
    assert (
        (tmp_path / 'scores.md').read_text().splitlines()[-1].endswith('50.0 (50.0, 50.0, 50.0) |')
    )
    assert readers == {threading.main_thread()}


def test_a_run_that_fails_lets_none_begin(comparison, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, 'command', property(lambda run: ['false']))
    begun = []
    monkeypatch.setattr(Run, 'score', lambda run, key: None)
    monkeypatch.setattr('builtins.print', lambda *args, **_: begun.extend(args))
    read = Comparison.read(comparison(seeds=[0, 1, 2]), tmp_path)
    with pytest.raises(SystemExit, match='It failed: false'):
        train(read.runs, read, 1, tmp_path)
    assert begun == ['1 of 3: One: t=50!, all labels, seed 0']


RATES = {'1e-3': {'lr': 1e-3}, '3e-3': {'lr': 3e-3}}
LENGTHS = {500: {'iters': 500}, 1000: {'iters': 1000}}


def test_a_search_takes_one_setting_after_the_other(comparison, tmp_path, monkeypatch):
    """The runs of all seeds have what it found, in place of what the row says."""
    search = dict(options={'on': 'validation.txt'}, values={'rate': RATES, 'iterations': LENGTHS})
    row = yaml.safe_load(comparison().read_text())['runs']['One: t=50!']
    runs = {'row': dict(config=row['config'], options={'lr': 0, 'on': 'test.txt'})}
    read = Comparison.read(comparison(seeds=[4, 5], search=search, runs=runs), tmp_path)
    (search,) = read.searches
    scores = {}
    monkeypatch.setattr(Run, 'score', lambda run, key: scores.get(run.work_dir.name))

    def left():
        return [run.work_dir.relative_to(tmp_path).as_posix() for run in search.left()]

    assert left() == [f'row/search/rate-{rate}-iterations-500' for rate in RATES]
    assert {'on=validation.txt', 'lr=0.003', 'iters=500', 'randomness.seed=4'} < {
        *search.left()[1].command
    }
    assert search.found() is None
    scores |= {'rate-1e-3-iterations-500': 30.0, 'rate-3e-3-iterations-500': 40.0}
    assert left() == ['row/search/rate-3e-3-iterations-1000']
    scores['rate-3e-3-iterations-1000'] = 35.0
    assert left() == []
    assert search.found() == {'rate': '3e-3', 'iterations': '500'}
    first, second = (run.command for run in read.runs)
    assert {'on=test.txt', 'lr=0.003', 'iters=500', 'randomness.seed=5'} < {*second}
    assert {*first} ^ {*second} == {
        *(f'randomness.seed={seed}' for seed in (4, 5)),
        *(str(tmp_path / f'row/seed-{seed}') for seed in (4, 5)),
    }
    write(read, tmp_path)
    assert (tmp_path / 'search.csv').read_text().splitlines() == [
        'row,labels,rate,iterations,mIoU',
        'row,all,1e-3,500,30',
        'row,all,3e-3,500,40',
        'row,all,3e-3,1000,35',
    ]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(runs={'a': dict(config='no.py')}), 'runs: a: there is no config'),
        (dict(runs={'a': dict(confg='no.py')}), 'runs: a: unknown confg; it has config, options'),
        (dict(runs={'a': None}), 'runs: a must have config, got None'),
        (dict(scores='mIoU'), 'the file: unknown scores; it has labels, options, runs'),
        (dict(search=dict(grid={})), 'search: unknown grid; it has options, values'),
        (dict(search=dict(options={})), 'search: missing values'),
        (dict(search=dict(values={'rate': {}})), 'search: values: rate must have the options'),
        (dict(search=dict(values=['rate'])), r"search: values must .* got \['rate'\]"),
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
    runs = {
        'backbones': 26,
        'few-labels': 72,
        'few-labels-6k': 15,
        'heads': 12,
        'probes': 14,
        'probes-long': 12,
    }
    files = sorted((root / COMPARISONS).glob('*.yml'))
    assert len(files) == 10
    for file in files:
        comparison = Comparison.read(file, tmp_path)
        assert len(comparison.runs) == runs[file.stem.split('_')[0]]
        assert len({run.work_dir for run in comparison.runs}) == len(comparison.runs)
    assert folder_name('t=(50, 300), gate') == 't-50-300-gate'
