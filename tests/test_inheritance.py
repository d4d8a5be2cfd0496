"""Another project, elsewhere, trains with configs that inherit mmdiff's."""

import shutil
import subprocess
import sys
from contextlib import ExitStack

import pytest
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope

from mmdiff import registry

pytestmark = pytest.mark.slow


@pytest.fixture
def project(root, tmp_path, classified_scenes):
    """A copy of tests/other_project beside a clone of mmdiff, and its data."""
    shutil.copytree(root / 'tests' / 'other_project', tmp_path / 'project')
    (tmp_path / 'mmdiff').symlink_to(root)
    (tmp_path / 'project' / 'scenes').symlink_to(classified_scenes.parent)
    return tmp_path / 'project'


@pytest.mark.parametrize(('config', 'by'), [
    ('segmentation', 'path'), ('segmentation', 'package'), ('detection', 'package'),
    ('classification', 'package'),
])  # fmt: skip
def test_training(config, by, project, environment):
    path = project / f'{config}.py'
    if by == 'path':
        path.write_text(path.read_text().replace('mmdiff::_base_/../', '../mmdiff/configs/'))
    result = subprocess.run(
        [sys.executable, 'train.py', path.name],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-5000:]
    assert (project / 'work' / 'iter_2.pth').is_file()
    printed = result.stdout + result.stderr
    assert 'Iter(train) [2/2]' in printed
    assert 'Failed to search registry' not in printed


def test_a_name_with_a_scope_is_of_that_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        assert MODELS.get('mmdiff.FeatureAdapter').__module__.startswith('mmdiff.')
        with pytest.raises(KeyError, match=r'mmdiff\.FCNHead'):
            MODELS.build(dict(type='mmdiff.FCNHead'))


def test_a_name_without_a_scope_is_of_the_innermost_run():
    with ExitStack() as scopes:
        for scope in ('mmseg', 'mmpretrain', 'mmdiff'):
            scopes.enter_context(DefaultScope.overwrite_default_scope(scope))
        assert registry.MODELS.get('ImageClassifier').__module__.startswith('mmpretrain.')


def test_a_scope_that_is_no_package():
    with ExitStack() as scopes:
        for scope in ('my_scope', 'mmdiff'):
            scopes.enter_context(DefaultScope.overwrite_default_scope(scope))
        assert registry.MODELS.get('BaseDataPreprocessor').__module__.startswith('mmengine.')


def test_hub_finds_configs():
    cfg = get_config('mmdiff::_base_/../upernet_gd_ade20k.py')
    assert cfg.model.backbone.type == 'mmdiff.GuidedDiffusionBackbone'
