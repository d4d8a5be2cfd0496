"""Runs that go on: in copied and renamed folders, with longer schedules, from bad checkpoints."""

import re
import shutil
from argparse import ArgumentParser

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import FUNCTIONS, METRICS, MODELS
from mmengine.runner import Runner
from torch import nn

from mmdiff.diffusion import CheckpointError
from mmdiff.engine.cli import add_run_arguments, add_training_arguments, load_training_config
from mmdiff.engine.resuming import changed_settings
from mmdiff.engine.weights_only import check_mostly_fits, load_run
from mmdiff.models import ChannelStandardization, standardization
from mmdiff.utils import validated_steps


@MODELS.register_module()
class Line(BaseModel):
    def __init__(self, width=4):
        super().__init__()
        self.backbone = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        output = self.head(self.norm(self.backbone(inputs.float())))
        return dict(loss=output.square().mean()) if mode == 'loss' else [{}] * len(inputs)


@MODELS.register_module()
class Standardized(Line):
    def __init__(self):
        super().__init__()
        self.standardization = ChannelStandardization(4)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        inputs = self.standardization(inputs[..., None, None].float()).flatten(1)
        return super().forward(inputs, data_samples, mode)


@MODELS.register_module()
class Deeper(Line):
    def __init__(self):
        super().__init__()
        self.more = nn.Linear(4, 4)


@METRICS.register_module()
class Rising(BaseMetric):
    """Better at each validation, so that each best checkpoint takes the place of the last."""

    best = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        Rising.best += 1
        return dict(score=Rising.best)


CONFIG = """
_base_ = '{root}/configs/_base_/default_runtime.py'
custom_hooks = []
visualizer = dict(type='Visualizer')
model = dict(type='Line')
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=[dict(inputs=[i, 1.0, 2.0, 3.0]) for i in range(4)],
    collate_fn=dict(type='stack'),
)
val_dataloader = train_dataloader
val_evaluator = dict(type='Rising')
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=2),
    dict(type='PolyLR', power=1.0, eta_min=0.001, by_epoch=False, begin=2, end=6),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6, val_interval=2)
val_cfg = dict()
default_hooks = dict(
    checkpoint=dict(interval=2, save_best='score', rule='greater'),
    logger=dict(interval=1),
)
randomness = dict(seed=0)
work_dir = '{work_dir}'
"""


def stack(batch):
    return dict(inputs=torch.tensor([item['inputs'] for item in batch]))


def trainer(root, folder, monkeypatch):
    """A function that trains with a command line, and returns the learning rates by iteration."""
    FUNCTIONS.register_module(module=stack, force=True)
    monkeypatch.setattr('mmdiff.engine.cli.keep_freed_memory', lambda: None)
    # What takes MMEngine seconds: a pause at each epoch, looking for compilers, pretty configs.
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda seconds: None)
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    formatter = 'yapf.yapflib.yapf_api.FormatCode'
    monkeypatch.setattr(formatter, lambda text, **kwargs: (text, True))
    parser = ArgumentParser()
    add_run_arguments(parser)
    add_training_arguments(parser)
    config = folder / 'config.py'
    runs = []

    def run(work_dir, *options, more=''):
        config.write_text(CONFIG.format(root=root, work_dir=folder / work_dir) + more)
        cfg = load_training_config(parser.parse_args([str(config), *map(str, options)]))
        # MMEngine keeps one of a name in a process.
        cfg.experiment_name = cfg.visualizer.name = f'{folder.name}_{len(runs)}'
        runner = Runner.from_cfg(cfg)
        runs.append(runner)
        step, rates = runner.model.train_step, {}

        def note(data, optim_wrapper):
            rates[runner.iter + 1] = optim_wrapper.get_lr()['lr'][0]
            return step(data, optim_wrapper)

        runner.model.train_step = note
        runner.train()
        return rates

    return run


@pytest.fixture
def train(root, tmp_path, monkeypatch):
    """Train into a folder in ``tmp_path``."""
    return trainer(root, tmp_path, monkeypatch)


@pytest.fixture(scope='module')
def finished_run(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('finished')
    with pytest.MonkeyPatch.context() as monkeypatch:
        trainer(root, folder, monkeypatch)('run')
    return folder / 'run'


@pytest.fixture
def finished(finished_run, tmp_path):
    """A run of 6 iterations, in a folder of its own."""
    folder = shutil.copytree(finished_run, tmp_path / 'x')
    (folder / 'last_checkpoint').write_text(f'{folder}/iter_6.pth')
    return folder


def log_of(folder):
    # Named by when the run began.
    return max(folder.rglob('*.log'), key=lambda path: path.name).read_text()


def checkpoints(folder):
    return {path.name: path.read_bytes() for path in folder.glob('*') if path.is_file()}


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


# Beside warm-up and decay by iteration, as in CONFIG.
SCHEDULES = {
    'iterations': '',
    'epochs': """
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=3),
    dict(type='CosineAnnealingLR', eta_min=0.001, by_epoch=True, begin=1, end=3),
]
default_hooks['checkpoint'].update(by_epoch=True, interval=1)
""",
    'epochs as iterations': """
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=1)
param_scheduler = [
    dict(type='PolyLR', by_epoch=True, begin=0, end=3, convert_to_iter_based=True),
    dict(type='MultiStepLR', by_epoch=True, milestones=[2, 4]),
]
default_hooks['checkpoint'].update(by_epoch=True, interval=1)
""",
}
LONGER = ('--cfg-options', 'train_cfg.max_iters=12', 'param_scheduler.1.end=12')
LONGER_EPOCHS = ('--cfg-options', 'train_cfg.max_epochs=6')
OPTIONS = {
    'iterations': LONGER,
    'epochs': (*LONGER_EPOCHS, 'param_scheduler.1.end=6'),
    'epochs as iterations': (*LONGER_EPOCHS, 'param_scheduler.0.end=6'),
}


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_finished_run_goes_on_with_a_longer_schedule(schedule, train):
    more = SCHEDULES[schedule]
    train('run', more=more)
    rates = train('run', '--resume', *OPTIONS[schedule], more=more)
    whole = train('whole', *OPTIONS[schedule], more=more)
    assert [*rates] == [7, 8, 9, 10, 11, 12]
    assert rates == pytest.approx({n: whole[n] for n in rates})
    assert len({*rates.values()}) > 2
    # Once more, with the same settings.
    assert train('run', '--resume', *OPTIONS[schedule], more=more) == {}


@pytest.mark.parametrize(
    ('schedule', 'logs_epochs', 'killed'),
    [
        ('iterations', False, 4),
        ('iterations', False, 6),
        ('epochs', False, 6),
        ('epochs', True, 4),
        ('epochs', True, 6),
    ],
)
def test_a_run_that_was_killed_in_its_validation(
    schedule, logs_epochs, killed, train, tmp_path, monkeypatch
):
    more = SCHEDULES[schedule] + (
        "visualizer['vis_backends'] = [dict(type='LocalVisBackend')]\n"
        f"default_hooks['logger'].update(log_metric_by_epoch={logs_epochs})\n"
    )
    # Epochs are of two iterations, as validations are apart.
    step = killed // 2 if logs_epochs else killed

    def validated():
        return sorted(validated_steps(tmp_path / 'run'))

    def stop(metric, results):
        if load_run(max((tmp_path / 'run').glob('*.pth')))['meta']['iter'] == killed:
            raise KeyboardInterrupt
        return dict(score=1)

    with monkeypatch.context() as patch:
        patch.setattr(Rising, 'compute_metrics', stop)
        with pytest.raises(KeyboardInterrupt):
            train('run', more=more)
    before = validated()
    assert step not in before
    assert len(before) == killed // 2 - 1
    train('run', '--resume', more=more)
    after = validated()
    assert step in after
    assert len(after) == 3
    # And only then. A run that begins in the same second would go on with the file.
    for log in (tmp_path / 'run').rglob('*.log'):
        log.unlink()
    train('run', '--resume', more=more)
    assert 'have no scores of' not in log_of(tmp_path / 'run')
    assert len(list((tmp_path / 'run').glob('best_*'))) == 1


@pytest.mark.parametrize('measured', [4, 8])
def test_a_resumed_run_does_not_measure_again(measured, train, tmp_path, monkeypatch):
    monkeypatch.setattr(standardization, 'MEASURED_ITERATIONS', measured)
    more = "model = dict(type='Standardized')\n"
    train('run', more=more)
    before = load_run(tmp_path / 'run/iter_6.pth')['state_dict']
    assert before['standardization.num_iterations'] == min(measured, 6)
    train('run', '--resume', *LONGER, more=more)
    train('whole', *LONGER, more=more)
    resumed, whole = (
        load_run(tmp_path / run / 'iter_12.pth')['state_dict'] for run in ('run', 'whole')
    )
    assert resumed['standardization.num_iterations'] == measured
    for key in (key for key in whole if key.startswith('standardization.')):
        assert torch.equal(resumed[key], whole[key]), key


def test_what_a_resume_changes_is_said(finished, train, tmp_path, capsys):
    options = ('optim_wrapper.optimizer.lr=0.2', 'optim_wrapper.optimizer.weight_decay=0.3')
    rates = train('x', '--resume', *LONGER, *options)
    assert rates == pytest.approx(
        {n: r for n, r in train('new', *LONGER, *options).items() if n > 6}
    )
    log = log_of(tmp_path / 'x')
    assert 'The resumed run differs from' in log
    assert "param_scheduler: the config's, as if the run had had it from the start" in log
    assert 'before the schedule, lr: 0.2, was 0.1' in log
    assert 'weight_decay: 0.3, was 0.0' in log
    assert re.search(r'^-.*lr=0\.1\b', log, re.M)
    assert re.search(r'^\+.*lr=0\.2\b', log, re.M)
    # With the averages of Adam's, which a new optimizer would begin anew.
    states = load_run(tmp_path / 'x/iter_12.pth')['optimizer']['state']
    assert {state['step'].item() for state in states.values()} == {12}
    # A run that begins in the same second would go on with the file.
    for log in (tmp_path / 'x').rglob('*.log'):
        log.unlink()
    train('x', '--resume', *LONGER, *options)
    assert ', was ' not in log_of(tmp_path / 'x')
    assert 'has done 12 of 12 iterations: nothing is left' in log_of(tmp_path / 'x')


def test_settings_of_each_group_of_parameters(train, tmp_path):
    """As our schedules have them for norms and biases, with the rate of none of them beside."""
    groups = "optim_wrapper['paramwise_cfg'] = dict(custom_keys=dict(head=dict(lr_mult=10)))\n"
    train('run', more=groups)
    rates = train('run', '--resume', *LONGER, 'optim_wrapper.optimizer.lr=0.3', more=groups)
    whole = train('whole', *LONGER, 'optim_wrapper.optimizer.lr=0.3', more=groups)
    assert rates == pytest.approx({n: whole[n] for n in rates})
    new, expected = (load_run(tmp_path / run / 'iter_12.pth') for run in ('run', 'whole'))
    for name in ('lr', 'initial_lr', 'weight_decay'):
        assert [g[name] for g in new['optimizer']['param_groups']] == pytest.approx(
            [g[name] for g in expected['optimizer']['param_groups']]
        )
    assert new['optimizer']['base_param_settings']['initial_lr'] == 0.3


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('model.width=8', r'does not fit the config.s model; misshapen: backbone\.weight'),
        ('model.type=Deeper', r'does not fit the config.s model; missing: more\.weight'),
        ('optim_wrapper.optimizer.type=SGD', 'is of another optimizer: its settings are amsgrad'),
        (
            'optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult=10',
            r'optimizer of 6 parameters in 1 groups, the config.s is of 6 parameters in 6 groups',
        ),
    ],
)
def test_what_a_resume_cannot_change(option, message, finished, train):
    options = [option] if 'SGD' not in option else [option, 'optim_wrapper.optimizer.momentum=0.9']
    with pytest.raises(CheckpointError, match=rf'iter_6\.pth .*{message}'):
        train('x', '--resume', *LONGER, *options)


def test_a_copied_run_goes_on_from_its_own_copy(train, tmp_path):
    train('x')
    assert names(tmp_path / 'x') == ['best_score_iter_6.pth', 'iter_4.pth', 'iter_6.pth']
    shutil.copytree(tmp_path / 'x', tmp_path / 'y')
    # Nothing of it is read.
    (tmp_path / 'x/iter_6.pth').write_bytes(b'broken')
    before = checkpoints(tmp_path / 'x')
    assert min(train('y', '--resume', *LONGER)) == 7
    assert checkpoints(tmp_path / 'x') == before
    assert names(tmp_path / 'y') == ['best_score_iter_12.pth', 'iter_10.pth', 'iter_12.pth']


def test_a_renamed_run_goes_on(finished, train, tmp_path):
    (tmp_path / 'x').rename(tmp_path / 'y')
    assert min(train('y', '--resume', *LONGER)) == 7
    assert names(tmp_path / 'y') == ['best_score_iter_12.pth', 'iter_10.pth', 'iter_12.pth']


def test_checkpoints_in_another_folder(train, tmp_path):
    """As ``out_dir`` has it: copies of work dirs have folders of their own there."""
    more = f"default_hooks['checkpoint']['out_dir'] = '{tmp_path}/out'\n"
    train('x', more=more)
    before = checkpoints(tmp_path / 'out/x')
    for folder in (tmp_path, tmp_path / 'out'):
        shutil.copytree(folder / 'x', folder / 'y')
    assert min(train('y', '--resume', *LONGER, more=more)) == 7
    assert checkpoints(tmp_path / 'out/x') == before
    assert 'iter_12.pth' in names(tmp_path / 'out/y')


def test_a_run_that_goes_on_elsewhere_leaves_the_old_one(finished_run, train, tmp_path):
    before, old = checkpoints(finished_run), finished_run / 'iter_6.pth'
    assert min(train('y', '--resume', old, *LONGER)) == 7
    assert checkpoints(finished_run) == before
    assert names(tmp_path / 'y') == ['best_score_iter_12.pth', 'iter_10.pth', 'iter_12.pth']
    assert f'stays where it is: {finished_run}/best_score_iter_6' in log_of(tmp_path / 'y')
    # Once more, though there are checkpoints of another run now.
    folder = tmp_path / 'y'
    there = checkpoints(folder)
    with pytest.raises(FileExistsError, match=r'y has checkpoints of another run \(iter_10\.pth'):
        train('y', '--resume', old, *LONGER)
    assert checkpoints(tmp_path / 'y').keys() == there.keys()
    assert all(
        (tmp_path / 'y' / name).read_bytes() == there[name] for name in names(tmp_path / 'y')
    )


def test_the_first_start_of_a_job_that_always_resumes(finished, train, tmp_path, capsys):
    weights = f'load_from={tmp_path}/x/iter_6.pth'
    for number, made in enumerate((None, 'y', 'y/20260101_000000')):
        if made:
            (tmp_path / f'{made}{number}').mkdir(parents=True)
        assert min(train(f'y{number}', '--resume', '--cfg-options', weights)) == 1
        printed = capsys.readouterr().out
        assert (
            f'y{number} has no checkpoint yet, so the run starts anew from the weights' in printed
        )
        assert '6 of the 6 weights in' in log_of(tmp_path / f'y{number}')


def test_folders_of_which_it_is_unclear_what_is_latest(finished, train, tmp_path):
    pointer, last = tmp_path / 'x/last_checkpoint', tmp_path / 'x/iter_6.pth'
    content = last.read_bytes()
    last.write_bytes(content[:-100])
    with pytest.raises(
        CheckpointError, match=r'iter_6\.pth is truncated.*Beside it are iter_4\.pth'
    ):
        train('x', '--resume')
    last.unlink()
    for text, named in (('/no/run/iter_6.pth', '/no/run/iter_6.pth'), ('', 'nothing')):
        pointer.write_text(text)
        message = (
            rf'x/last_checkpoint names {named}, which is not in .*: name one, --resume .*/x/iter_4'
        )
        with pytest.raises(SystemExit, match=message):
            train('x', '--resume')
    pointer.unlink()
    with pytest.raises(SystemExit, match=r'x has no last_checkpoint, but .* has iter_4\.pth: name'):
        train('x', '--resume')
    assert min(train('x', '--resume', tmp_path / 'x/iter_4.pth')) == 5


def test_weights_alone_are_no_run(finished, train, tmp_path):
    best = tmp_path / 'x/best_score_iter_6.pth'
    with pytest.raises(
        CheckpointError, match=r'best_.* has no optimizer, .*load_from=FILE without'
    ):
        train('y', '--resume', best)
    torch.save(load_run(best)['state_dict'], tmp_path / 'weights.pth')
    with pytest.raises(CheckpointError, match='has no meta, message_hub, optimizer, without which'):
        train('y', '--resume', tmp_path / 'weights.pth')


def test_code_in_the_config_of_a_checkpoint_does_not_run(finished, train, tmp_path):
    path = tmp_path / 'x/iter_6.pth'
    checkpoint = load_run(path)
    checkpoint['meta']['config'] = f"open('{tmp_path}/ran', 'w')\nlr = 1"
    torch.save(checkpoint, path)
    train('x', '--resume', *LONGER)
    assert not (tmp_path / 'ran').exists()


def test_changed_settings():
    old = 'a = 1\nwork_dir = "x"\nb = 2\n'
    assert changed_settings(old, old) == ''
    assert changed_settings(old, 'a = 1\nwork_dir = "y"\nresume = True\nb = 3') == '-b = 2\n+b = 3'
    lines = ''.join(f'c{n} = 1\n' for n in range(30))
    assert changed_settings('', lines).endswith('\n+c19 = 1\nand 10 more')


LAYOUTS = {
    'module.': (6, None),
    'model.': (0, r"6 weights fit with '' in place of 'model\.'"),
    'model.net.': (0, r"6 weights fit with '' in place of 'model\.net\.'"),
}


@pytest.mark.parametrize('wrapper', LAYOUTS)
def test_weights_of_another_layout_to_start_from(wrapper, train, tmp_path):
    weights = {f'{wrapper}{key}': value for key, value in Line().state_dict().items()}
    torch.save(dict(state_dict=weights), tmp_path / 'weights.ckpt')
    options = ('--cfg-options', f'load_from={tmp_path}/weights.ckpt')
    fitting, hint = LAYOUTS[wrapper]
    if hint is None:
        train('x', *options)
        assert '6 of the 6 weights' in log_of(tmp_path / 'x')
        return
    with pytest.raises(CheckpointError, match=rf'only {fitting} of the 6 weights in .*{hint}'):
        train('x', *options)
    assert not names(tmp_path / 'x')


def test_weights_of_another_backbone_to_start_from(tmp_path):
    line = Line(8).state_dict()
    backbone = {f'net.0.{key}': line[f'backbone.{key}'] for key in ('weight', 'bias')}
    with pytest.raises(CheckpointError, match=r"2 weights fit with 'backbone\.' in .* 'net\.0\.'"):
        check_mostly_fits(backbone, line, 'a.pth')
    with pytest.raises(
        CheckpointError, match=r'only 1 of the 6 weights in a\.pth .* which has 6\.'
    ):
        check_mostly_fits(line, Line(4).state_dict(), 'a.pth')


def test_weights_to_start_from_may_lack_a_head(tmp_path):
    """Other classes, or only the backbone's."""
    weights = Line().state_dict()
    other = weights | {'head.weight': torch.zeros(3, 4), 'head.bias': torch.zeros(3)}
    assert check_mostly_fits(other, weights, 'a.pth').startswith('4 of the 6 weights in a.pth fit')
    backbone = {key: value for key, value in weights.items() if key.startswith('backbone.')}
    assert check_mostly_fits(backbone, weights, 'a.pth').startswith('2 of the 2 weights')


@pytest.mark.parametrize('kind', ['safetensors', 'bare', 'entries'])
def test_formats_of_weights_to_start_from(kind, train, tmp_path):
    weights = {key: torch.ones_like(value) for key, value in Line().state_dict().items()}
    path = tmp_path / 'weights'
    if kind == 'safetensors':
        pytest.importorskip('safetensors.torch').save_file(weights, path)
    else:
        torch.save(weights if kind == 'bare' else dict(model=weights, epoch=3), path)
    options = ('optim_wrapper.optimizer.lr=0.0', 'param_scheduler.1.eta_min=0.0')
    train('x', '--cfg-options', f'load_from={path}', *options)
    assert all(
        value.eq(1).all() for value in load_run(tmp_path / 'x/iter_6.pth')['state_dict'].values()
    )
