"""The benchmark: that its contenders compute the same, and what it writes."""

import csv
import functools
import re
import threading
from concurrent.futures import Future
from dataclasses import replace

import benchmark
import benchmark_contenders
import benchmark_features
import benchmark_gpu
import benchmark_scaling
import benchmark_session
import benchmark_training
import pytest
import torch
from benchmark_contenders import (
    COMPILED,
    CONTENDERS,
    RUNTIMES,
    Task,
    architecture,
    contenders_of,
    random_weights,
)
from benchmark_exported import Exporter, graph_file, runtime_features
from benchmark_features import difference
from benchmark_report import Features, Goal, Report, describe
from benchmark_session import Session
from benchmark_training import Training, TrainingSteps, config_of
from benchmark_worker import Worker, WorkerError
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmdiff.export import export_model
from mmdiff.torch_compat import can_export

# 17 blocks, of which the ninth is the middle.
TASKS = [
    Task('output'),
    Task('features', blocks=(12, 10)),
    Task('DifFeed', blocks=(12,), feedback='bottleneck'),
    Task('DifFormer', blocks=(9, 12), timesteps=(90, 150, 300)),
]


def flat(features):
    for feature in features:
        yield from [feature] if torch.is_tensor(feature) else flat(feature)


@pytest.mark.parametrize('task', TASKS, ids=lambda task: task.name)
def test_contenders_compute_the_same(task, tmp_path):
    weights = tmp_path / 'unet.pt'
    torch.save(random_weights('adm-64-small'), weights)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        ours, *others = (
            list(flat(CONTENDERS[name](task, architecture('adm-64-small'), weights, 'cpu')(x)))
            for name in ('mmdiff', 'guided-diffusion', 'diffusers')
        )
    for theirs in others:
        assert len(ours) == len(theirs) == max(1, len(task.blocks)) * len(task.timesteps)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.std().item())


@pytest.mark.parametrize(
    ('name', 'shape'), [('sd-64-small', (2, 4, 8, 8)), ('adm-64-classifier', (1, 3, 64, 64))]
)
def test_contenders_of_other_families_compute_the_same(name, shape, tmp_path):
    arch, weights = architecture(name), tmp_path / 'weights.pt'
    torch.save(random_weights(name), weights)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    for task in (Task('output'), Task('features', blocks=(9, 7), timesteps=(90, 150))):
        with torch.no_grad():
            theirs, ours = (
                list(flat(contender(task, arch, weights, 'cpu')(x)))
                for contender in contenders_of(arch).values()
            )
        assert len(ours) == len(theirs) == max(1, len(task.blocks)) * len(task.timesteps)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.std().item())


@pytest.mark.slow
def test_compiled_diffusers_computes_the_same(monkeypatch, tmp_path):
    """As far as PyTorch traces it; its compiler takes a minute."""
    monkeypatch.setattr(torch, 'compile', functools.partial(torch.compile, backend='eager'))
    weights = tmp_path / 'unet.pt'
    torch.save(random_weights('adm-32-small'), weights)
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    task = Task('features', blocks=(7, 5))
    with torch.no_grad():
        compiled, plain = (
            CONTENDERS[name](task, architecture('adm-32-small'), weights, 'cpu')
            for name in (COMPILED, 'diffusers')
        )
        for _ in range(2):
            for a, b in zip(compiled(x), plain(x), strict=True):
                torch.testing.assert_close(a, b)


@pytest.mark.skipif(not can_export(), reason='PyTorch cannot export a graph')
@torch.no_grad()
def test_runtimes_compute_the_same(tmp_path):
    weights = tmp_path / 'unet.pt'
    torch.save(random_weights('adm-32-small'), weights)
    task, shape = Task('DifFeed', (9,), 'bottleneck', dtype='bfloat16'), (1, 3, 32, 32)
    file = graph_file(task, 'adm-32-small', weights, shape)
    Exporter().export(task, 'adm-32-small', weights, shape, file)
    task = replace(task, dtype='float32')
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = CONTENDERS['mmdiff'](task, architecture('adm-32-small'), weights, 'cpu')(x)
    for runtime in RUNTIMES:
        found = runtime_features(runtime, task, 'adm-32-small', weights, shape)(x)
        assert difference(found, list(expected)) < 1e-4


def test_worker():
    worker = Worker(threading.Event)
    assert worker.ask('is_set') is False
    with pytest.raises(WorkerError, match=r'TypeError: .*takes 1 positional'):
        worker.ask('is_set', 'more')
    with pytest.raises(TimeoutError, match=r'not finished within 0\.1 s'):
        worker.ask('wait', limit=0.1)
    assert worker.process.exitcode is not None
    # It ends while it is started.
    worker = Worker(int, 'no number')
    with pytest.raises(WorkerError, match='its process ended with 1'):
        worker.ask('bit_length')


class Here:
    """As a worker, in this process."""

    def __init__(self, served, *args):
        self.held = served(*args)

    def ask(self, method, *args, limit=None):
        if method == 'features' and self.held.name == COMPILED:
            raise TimeoutError(f'not finished within {limit} s')
        try:
            return getattr(self.held, method)(*args)
        except Exception as error:
            raise WorkerError(f'{type(error).__name__}: {error}') from error

    def kill(self):
        pass

    stop = kill


@pytest.fixture
def in_this_process(monkeypatch):
    monkeypatch.setattr(benchmark, 'Worker', Here)
    monkeypatch.setattr(benchmark_session, 'Worker', Here)
    monkeypatch.setattr(benchmark_training, 'NUM_FIRST', 1)
    # It would take seconds, and a machine's limit is not what is tested.
    monkeypatch.setattr(benchmark_features, 'fastest_flops', lambda *args: 1e12)


B9 = Task('b=9', blocks=(9,))
SMALL = ('adm-32-small', 32)
CONFIGS = [f'{name}_gd_digit-scenes' for name in ('upernet', 'mask-rcnn', 'linear')]


def small_training(root, name, **options):
    # Batch norm needs two.
    options = {'train_dataloader.batch_size': 2} | options
    return Training(str(root / f'configs/{name}.py'), 64, options=tuple(options.items()))


def session(tmp_path, plan, goals=(), minutes=5):
    report = Report(tmp_path / 'out', 'The machine.', plan, goals)
    return Session(report, 'cpu', tmp_path, minutes, 60, turn=1e-9, num_steps=1)


def test_gpu_report(tmp_path, root, in_this_process):
    bfloat16 = replace(B9, dtype='bfloat16')
    plan = [
        Features(*SMALL, B9, 1, 'mmdiff'),
        Features(*SMALL, B9, 2, 'mmdiff'),
        Features(*SMALL, bfloat16, 2, 'mmdiff'),
        Features(*SMALL, B9, 2, 'guided-diffusion'),
        Features(*SMALL, Task('b=99', blocks=(99,)), 1, 'diffusers'),
        Features(*SMALL, B9, 2, 'diffusers'),
        Features(*SMALL, B9, 2, COMPILED),
        small_training(root, CONFIGS[0], **{'model.backbone.with_cp': True}),
    ]
    goals = (
        Goal(dict(what='adm-32-small, b=9', batch_size=(1, 2)), 'seconds', 1000),
        Goal(dict(kind='features', contender='mmdiff', batch_size=2), 'speed_up', 1000),
        Goal(dict(with_cp=True), 'memory', 1),
    )
    running = session(tmp_path, plan, goals)
    running.run()
    text = (tmp_path / 'out/benchmark_gpu.md').read_text()
    assert text.startswith('The machine.')
    # mmdiff, on the CPU and in half precision; and the authors' in each.
    assert re.findall(r'^\* (.*) differs from (.*) by [\d.e-]+$', text, re.M) == [
        ('adm-32-small, b=9: cpu in float32', 'the CPU in float32'),
        ('adm-32-small, b=9: cpu in bfloat16', 'the CPU in float32'),
        ('adm-32-small, b=9, float32: mmdiff', 'guided-diffusion'),
        ('adm-32-small, b=9, bfloat16: mmdiff', 'guided-diffusion'),
        ('adm-32-small, b=9, float32, batch 2: guided-diffusion', 'mmdiff'),
        ('adm-32-small, b=9, float32, batch 2: diffusers', 'mmdiff'),
    ]
    with (tmp_path / 'out/benchmark_gpu.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [bool(row['seconds']) for row in rows] == [True] * 4 + [False, True, False, True]
    assert rows[0]['goals'] == '1e+06 ms: reached'
    assert rows[1]['goals'].startswith('1e+06 ms: reached; 1000x: missed by ')
    assert float(rows[1]['speed_up']) == pytest.approx(
        float(rows[3]['seconds']) / float(rows[1]['seconds'])
    )
    assert rows[6]['goals'] == '1e+06 ms: not measured'
    assert rows[7]['with_cp'] == 'True'
    assert rows[7]['goals'].startswith('1e-09 GB: missed by ')
    assert float(rows[7]['first_seconds']) > 0
    assert 'b=99, diffusers, float32, batch 1: failed: ValueError: blocks has block 99' in text
    assert f'b=9, {COMPILED}, float32, batch 2: not compiled within 60 s' in text
    assert len(running.report.failed()) == 1


def test_gpu_report_names_what_was_not_measured(tmp_path, in_this_process, monkeypatch):
    plan = [Features(*SMALL, B9, 1, name) for name in ('mmdiff', 'diffusers')]
    plan.append(Features('sd-64-small', 64, B9, 1, 'mmdiff'))
    found = benchmark_contenders.find_spec
    monkeypatch.setattr(
        benchmark_contenders, 'find_spec', lambda name: None if name == 'diffusers' else found(name)
    )
    session(tmp_path, plan, minutes=0).run()
    text = (tmp_path / 'out/benchmark_gpu.md').read_text()
    assert 'b=9, mmdiff, float32, batch 1: not reached' in text
    assert 'b=9, diffusers, float32, batch 1: needs diffusers, which is not installed' in text
    assert 'sd-64-small, b=9, mmdiff, float32, batch 1: needs diffusers' in text


def test_a_difference_stops_the_gpu_report(tmp_path, in_this_process, monkeypatch):
    monkeypatch.setitem(benchmark_features.TOLERANCE, 'bfloat16', 0)
    plan = [Features(*SMALL, replace(B9, dtype='bfloat16'), 1, 'mmdiff')]
    with pytest.raises(SystemExit, match=r'cpu in bfloat16 differs from the CPU in float32 by 0\.'):
        session(tmp_path, plan).run()
    assert 'b=9: cpu in bfloat16' in (tmp_path / 'out/benchmark_gpu.md').read_text()


def test_plan_for_a_gpu():
    plan = benchmark_gpu.plan()
    assert len(set(plan)) == len(plan)
    described = [describe(row) for row in plan]
    for goal in benchmark_gpu.GOALS:
        assert any(goal.fits(row) for row in described), goal
    seen = set()
    for row in plan:
        if isinstance(row, Features):
            # Others are compared with it.
            assert row.contender == 'mmdiff' or replace(row, contender='mmdiff') in seen
            seen.add(row)
        else:
            # Half precision needs a GPU.
            cfg = config_of(replace(row, dtype='float32'))
            has = cfg.model.backbone.with_cp, cfg.env_cfg.cudnn_benchmark
            assert has == tuple(value for _, value in row.options)
            assert cfg.model.backbone.init_cfg is None


def test_gpu_report_needs_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert 'this needs a GPU' in refused(benchmark_gpu, monkeypatch, capsys)


def test_gpu_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'a card')
    monkeypatch.setattr(torch.backends.cudnn, 'version', lambda: 92000)
    # What it measures is tested on a CPU.
    monkeypatch.setattr(benchmark_gpu, 'plan', list)
    called(benchmark_gpu, monkeypatch, f'--out={tmp_path}').main()
    text = (tmp_path / 'benchmark_gpu.md').read_text()
    assert f'--out={tmp_path}`' in text
    assert f'a card, driver {benchmark_gpu.driver_version()}, CUDA' in text
    assert text in capsys.readouterr().out


@pytest.mark.parametrize('name', [*CONFIGS, 'pretrain_adm-64-small_digit-scenes'])
def test_training_steps(name, root, in_this_process):
    measured = TrainingSteps('cpu').measure(small_training(root, name), 1)
    assert measured['batch_size'] == 2
    assert min(measured[key] for key in ('seconds', 'first_seconds', 'memory')) > 0


def test_training_table(root, in_this_process, monkeypatch, capsys):
    config = str(root / 'configs/upernet_gd_digit-scenes.py')
    settings = ('--cfg-options', 'train_dataloader.batch_size=2', 'model.backbone.with_cp=True')
    called(benchmark_training, monkeypatch, config, '--size=64', '--steps=1', *settings).main()
    *_, row = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r'\| float32 \| yes \| yes \| [\d.]+ \| [\d.]+ \| [\d.]+ \|', row)
    printed = refused(benchmark_training, monkeypatch, capsys, config, '--size=0')
    assert '--size must be at least 1, got 0' in printed


def written_rows(text):
    """The rows of the benchmark's table: task, contender and numbers."""
    number = r'([\d.]+)'
    row = rf'{number} \| {number} \| {number}x \| {number} \| {number}% \| {number}%'
    return re.findall(rf'^\| (.+?) \| (.+?) \| {row} \|$', text, re.M)


@pytest.mark.slow
def test_table(tmp_path, in_this_process, monkeypatch):
    out = tmp_path / 'table.md'
    task = 'training, DifFeed bottleneck, b=24'
    settings = ('--size=32', '--rounds=1', '--turn=1e-9', f'--out={out}', '--tasks', task)
    called(benchmark, monkeypatch, '--arch=adm-64-medium', *settings).main()
    text = out.read_text()
    assert 'adm-64-medium' in text.splitlines()[0]
    rows = written_rows(text)
    names = ['guided-diffusion', 'diffusers', 'mmdiff']
    assert [row[:2] for row in rows] == [(task, name) for name in names]
    macs = {row[1]: float(row[2]) for row in rows}
    # The same architecture; and mmdiff leaves blocks out.
    assert macs['diffusers'] == pytest.approx(macs['guided-diffusion'], rel=0.01)
    assert macs['mmdiff'] < macs['guided-diffusion']


def test_table_of_what_was_not_compiled_in_time(tmp_path, in_this_process, monkeypatch):
    out = tmp_path / 'table.md'
    settings = ('--size=32', '--rounds=1', '--turn=1e-9', f'--out={out}', '--tasks', 'output')
    settings = (*settings, '--batch-size', '1', '2', '--contenders', 'mmdiff', COMPILED)
    called(benchmark, monkeypatch, '--arch=adm-32-small', *settings).main()
    text = out.read_text()
    names = [f'output, batch {size}' for size in (1, 2)]
    assert [row[:2] for row in written_rows(text)] == [(name, 'mmdiff') for name in names]
    for name in names:
        assert f'| {name} | {COMPILED} | | not compiled within 60 s |' in text


def test_beside_busy_processes_and_from_a_cold_start(tmp_path, in_this_process, monkeypatch):
    out = tmp_path / 'table.md'
    settings = ('--size=32', '--rounds=1', '--turn=1e-9', f'--out={out}', '--tasks', 'output')
    settings = (*settings, '--contenders', 'mmdiff', '--neighbours=1', '--cold-start')
    called(benchmark, monkeypatch, '--arch=adm-32-small', *settings).main()
    header, _, row = [line for line in out.read_text().splitlines() if line.startswith('|')]
    assert header.endswith('| seconds beside 1 | slow-down | cold start, s |')
    seconds, beside, slower, cold = (float(row.split('|')[i].strip(' x')) for i in (4, 9, 10, 11))
    assert slower == pytest.approx(beside / seconds, rel=0.1, abs=0.02)
    assert cold >= 0


def test_pretraining_beside_a_bare_loop(call_tool, capsys, root, digit_scenes, monkeypatch):
    """Both train, in this process, and the second is given as a share of the first."""
    of_way = iter([100.0, 90.0])

    class Pool:
        def __init__(self, *args, **kwargs):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *args):
            pass

        def submit(self, way, *args):
            way(*args)
            done = Future()
            done.set_result(next(of_way))
            return done

    monkeypatch.setattr('concurrent.futures.ProcessPoolExecutor', Pool)
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    call_tool(
        'tools/analysis_tools/benchmark_pretraining.py',
        root / 'configs/own-domain/pretrain_adm-64-small_mine.py',
        '--steps=1', '--rounds=1', '--cfg-options', 'train_dataloader.batch_size=1',
        f'train_dataloader.dataset.data_root={digit_scenes}/images',
        'train_dataloader.dataset.data_prefix=training', 'train_dataloader.num_workers=0',
    )  # fmt: skip
    assert capsys.readouterr().out.splitlines()[-2:] == [
        '| bare PyTorch loop | 100.0 | 1.00x |',
        '| tools/pretrain.py | 90.0 | 0.90x |',
    ]


def test_configs_side_by_side(call_tool, capsys, root):
    configs = [f'{folder}{name}_digit-scenes.py' for folder, name in [
        ('distillation/', 'distill_r18'), ('', 'upernet_gd'), ('', 'linear_gd')
    ]]  # fmt: skip
    call_tool(
        'tools/analysis_tools/benchmark_configs.py', *(root / 'configs' / c for c in configs),
        '--size=64', '--rounds=1', '--turn=1e-9',
    )  # fmt: skip
    rows = [line.split('|')[1:-1] for line in capsys.readouterr().out.splitlines() if '|' in line]
    names = ['distill_r18_digit-scenes: teacher', 'distill_r18_digit-scenes: student']
    names += ['upernet_gd_digit-scenes', 'linear_gd_digit-scenes']
    assert [row[0].strip() for row in rows[2:]] == names
    # The teacher is at three timesteps.
    assert rows[2][1].strip() == rows[4][1].strip() == '3.2'
    assert float(rows[2][2]) == pytest.approx(float(rows[4][2]), rel=0.01)
    assert rows[2][4].strip() == '1.00x'


@pytest.mark.slow
def test_int8(root, tmp_path, digit_scenes, call_tool, capsys, monkeypatch):
    pytest.importorskip('nncf')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/digit_scenes').symlink_to(digit_scenes)
    cfg = Config.fromfile(root / 'configs/upernet_gd-random_digit-scenes.py')
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    export_model(model, cfg, tmp_path / 'a.onnx', size=(64, 64))
    call_tool(
        root / 'tools/analysis_tools/int8_cost.py', cfg.filename, tmp_path / 'a.onnx',
        '--images=4', '--rounds=1', f'--out={tmp_path}/int8.xml',
    )  # fmt: skip
    rows = [line.split('|')[1:-1] for line in capsys.readouterr().out.splitlines() if '|' in line]
    assert [row[0].strip() for row in rows[-3:]] == ['float32', 'bfloat16', 'int8']
    assert 'i8' in (tmp_path / 'int8.xml').read_text()


@pytest.mark.slow
def test_scaling(tmp_path, monkeypatch):
    settings = ('--arch=adm-32-small', '--block=9', '--turn=1e-9', '--vary', 'batch', 'processes')
    called(benchmark_scaling, monkeypatch, str(tmp_path), *settings, '--most', '2', '2').main()
    rows = list(csv.DictReader((tmp_path / 'scaling.csv').open()))
    assert [(row['varied'], row['value']) for row in rows] == [
        ('batch', '1'), ('batch', '2'), ('processes', '1'), ('processes', '2')
    ]  # fmt: skip
    assert all(float(row['seconds_an_image']) > 0 < float(row['peak_gb']) for row in rows)
    assert {path.name for path in tmp_path.glob('*.png')} == {'batch.png', 'processes.png'}


@pytest.mark.slow
def test_table_by_processes(tmp_path, monkeypatch):
    out = tmp_path / 'table.md'
    settings = ('--size=32', '--rounds=1', '--turn=1e-9', f'--out={out}', '--tasks', 'output')
    settings = (*settings, '--contenders', 'mmdiff')
    called(benchmark, monkeypatch, '--arch=adm-32-small', *settings).main()
    assert [row[:2] for row in written_rows(out.read_text())] == [('output', 'mmdiff')]


def called(module, monkeypatch, *args):
    """A script with its arguments."""
    monkeypatch.setattr('sys.argv', [module.__name__, *args])
    return module


def refused(module, monkeypatch, capsys, *args):
    """What a script says of its arguments."""
    with pytest.raises(SystemExit):
        called(module, monkeypatch, *args).parse_args()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--size=48'], '--size must be a multiple of 32, got 48'),
        (['--rounds=0'], 'must be at least 1, got 0'),
        (['--turn=0'], 'must be more than 0, got 0.0'),
        (
            ['--arch=adm-64-small', '--tasks', 'b=24'],
            "--tasks 'b=24': adm-64-small has 17 blocks",
        ),
        (['--arch=sd-1', '--tasks', 'b=24'], "--tasks 'b=24': sd-1 has output; b=13; b=16;"),
        (
            ['--arch=dit-b-2', '--contenders', 'diffusers'],
            "--contenders 'diffusers': dit-b-2 has mmdiff",
        ),
        (
            ['--tasks', 'training, b=24', '--contenders', 'openvino'],
            "--tasks 'training, b=24': openvino trains nothing",
        ),
        (
            ['--dtype=bfloat16', '--contenders', 'onnxruntime'],
            "--contenders 'onnxruntime' is measured in float32, not bfloat16",
        ),
        (
            ['--tasks', 'training, b=24', '--contenders', COMPILED],
            f"--tasks 'training, b=24': {COMPILED} is for features without feedback",
        ),
    ],
)
def test_bad_arguments(args, message, monkeypatch, capsys):
    assert message in refused(benchmark, monkeypatch, capsys, *args)
