"""Settings that nothing reads: misspelt ones, and variables whose value is copied already."""

from pathlib import Path

import pytest

from mmdiff.engine.cli import load_config

ROOT = Path(__file__).parent.parent
CAMVID = ROOT / 'configs/upernet_gd_camvid.py'


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('optimizer.lr', r'optimizer\.lr. Is it optim_wrapper\.optimizer\.lr\?'),
        ('default_hook.checkpoint.interval', r'. Is it default_hooks\.checkpoint\.interval\?'),
        ('backbone.timestep', r'. Is it model\.backbone\.timestep\?'),
        ('train_dataloaders.batch_size', r'. Is it train_dataloader\.batch_size\?'),
        ('seed', 'seed; the config has .*, crop_size, '),
        ('auto_scale_lr.enabled', 'enabled; auto_scale_lr has base_batch_size, enable'),
        ('env_cfg.cudnn', 'cudnn; env_cfg has cudnn_benchmark, dist_cfg'),
    ],
)
def test_unknown_options(option, message):
    with pytest.raises(SystemExit, match=f'^--cfg-options: nothing reads .*{message}'):
        load_config(CAMVID, {option: 1})


@pytest.mark.parametrize(
    ('option', 'places'),
    [
        ('vis_backends', 'visualizer.vis_backends'),
        ('vis_backends.0.type', 'visualizer.vis_backends'),
        (
            'data_root',
            'train_dataloader.dataset.data_root, val_dataloader.dataset.data_root, test_',
        ),
        ('data_preprocessor.size', r'model\.data_preprocessor: set that'),
        ('crop_size', r'train_dataloader\.dataset\.pipeline\.3\.crop_size'),
        ('norm_cfg.type', r'model\.decode_head\.norm_cfg, model\.auxiliary_head\.norm_cfg'),
    ],
)
def test_options_that_the_config_has_copied(option, places):
    with pytest.raises(SystemExit, match=rf'{option} would have no effect, .* to .*{places}'):
        load_config(CAMVID, {option: 'new'})


def test_options_that_are_read(tmp_path):
    options = {
        'train_dataloader.batch_size': 2, 'randomness.seed': 1, 'find_unused_parameters': True,
        'auto_scale_lr.enable': True, 'work_dir': 'a', 'log_processor.window_size': 5,
        'model.neck.new': 1, 'load_from': 'a.pth', 'experiment_name': 'a', 'compile': True,
    }  # fmt: skip
    assert load_config(CAMVID, options).find_unused_parameters
    # A hook of one's own may read it.
    path = write(tmp_path, 'threshold = 0.5\n')
    assert load_config(path, {'threshold': 0.7}).threshold == 0.7


def write(folder, text, base=CAMVID):
    path = folder / f'{len([*folder.iterdir()])}.py'
    path.write_text(f"_base_ = ['{base}']\n{text}")
    return path


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('crop_size = (64, 64)', r'crop_size in .*0\.py has no effect, as .*camvid\.py has copied'),
        ("vis_backends = [dict(type='TensorboardVisBackend')]", r'its own to visualizer\.vis_back'),
        ("data_root = 'elsewhere'", r'own to train_dataloader\.dataset\.data_root, val_dataloader'),
        ("norm_cfg = dict(type='SyncBN')", r'own to model\.decode_head\.norm_cfg, model\.aux'),
        ('data_preprocessor = dict(size=(64, 64))', r'own to model\.data_preprocessor: set that'),
        # Set where one of them is read, but not at the others.
        (
            "data_root = 'elsewhere'\ntrain_dataloader = dict(dataset=dict(data_root='elsewhere'))",
            r'own to val_dataloader\.dataset\.data_root, test_dataloader\.dataset\.data_root: set',
        ),
        ('default_hook = dict(checkpoint=dict(interval=1))', r'nothing reads default_hook in .*0'),
        ('optim_wraper = dict(optimizer=dict(lr=1))', r'Is it optim_wrapper\?'),
    ],
)
def test_variables_without_effect(text, message, tmp_path):
    with pytest.raises(SystemExit, match=f'^config: .*{message}'):
        load_config(write(tmp_path, text))


def test_the_config_between_is_named(tmp_path):
    path = write(tmp_path, 'crop_size = (64, 64)')
    with pytest.raises(SystemExit, match=r'crop_size in .*0\.py has no effect'):
        load_config(write(tmp_path, 'train_cfg = dict(max_iters=3)', base=path))


@pytest.mark.parametrize(
    'text',
    [
        'crop_size = (64, 64)\nmodel = dict(data_preprocessor=dict(size=crop_size))',
        'crop_size = (320, 320)',
        "dataset_type = 'ADE20KDataset'\ntrain_dataloader = dict(dataset=dict(type=dataset_type))",
        "vis_backends = [dict(type='A')]\nvisualizer = dict(vis_backends={{_base_.vis_backends}})",
        'hooks = 3\nmodel_name = "mine"',
        'size = _base_.crop_size\nmodel = dict(data_preprocessor=dict(size=size))',
        'def double(n):\n    return 2 * n\ntrain_cfg = dict(max_iters=double(3))',
    ],
)
def test_variables_that_are_used(text, tmp_path):
    load_config(write(tmp_path, text))
