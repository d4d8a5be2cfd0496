"""ProgressBarHook in a real run of MMEngine."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmdiff.engine import ProgressBarHook


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, mode):
        return dict(loss=self.layer(x).square().mean()) if mode == 'loss' else [self.layer(x)]


def runner(work_dir, max_iters, resume=False):
    return Runner(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader=DataLoader([dict(x=torch.ones(1))] * 64, batch_size=4),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=max_iters),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=2),
            checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False),
        ),
        custom_hooks=[dict(type='mmdiff.ProgressBarHook')],
        resume=resume,
        experiment_name=f'progress_bar_{max_iters}',
        default_scope='mmengine',
        log_processor=dict(by_epoch=False),
    )


def test_progress_bar(tmp_path, capfd):
    runner(tmp_path, 4).train()
    shown = capfd.readouterr()
    assert 'train' in shown.err
    assert '4/4' in shown.err
    assert 'loss=' in shown.err
    assert 'Iter(train) [4/4]' in shown.out

    runner(tmp_path, 6, resume=True).train()
    shown = capfd.readouterr()
    assert '4/6' in shown.err
    assert '6/6' in shown.err
    assert '0/6' not in shown.err


@pytest.mark.parametrize('is_main_process', [True, False])
def test_progress_of_a_test(is_main_process, capfd, monkeypatch):
    monkeypatch.setattr('mmdiff.engine.hooks.progress_bar.is_main_process', lambda: is_main_process)
    runner = SimpleNamespace(
        logger=MMLogger.get_instance('test'), test_dataloader=DataLoader(range(8), batch_size=4)
    )
    hook = ProgressBarHook()
    hook.before_test(runner)
    for batch_idx in range(2):
        hook.after_test_iter(runner, batch_idx)
    hook.after_test(runner)
    assert ('2/2' in capfd.readouterr().err) == is_main_process
