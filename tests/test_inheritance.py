"""Another project, elsewhere, trains with configs that inherit mmdiff's."""

import re
import shutil
from contextlib import ExitStack

import pytest
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope
from warm_python import run_script

from mmdiff import registry

pytestmark = pytest.mark.slow


@pytest.fixture
def project(root, tmp_path, classified_scenes):
    """A copy of tests/other_project beside a clone of mmdiff, and its data."""
    shutil.copytree(root / 'tests' / 'other_project', tmp_path / 'project')
    (tmp_path / 'mmdiff').symlink_to(root)
    (tmp_path / 'project' / 'scenes').symlink_to(classified_scenes.parent)
    return tmp_path / 'project'


@pytest.mark.parametrize(('config', 'by', 'score'), [
    ('segmentation', 'path', 'mIoU'), ('segmentation', 'package', 'mIoU'),
    ('detection', 'package', 'coco/segm_mAP'), ('classification', 'package', 'accuracy/top1'),
])  # fmt: skip
def test_training_resume_and_test(config, by, score, project, environment):
    path = project / f'{config}.py'
    if by == 'path':
        path.write_text(path.read_text().replace('mmdiff::_base_/../', '../mmdiff/configs/'))
    status, printed = run_script(['train.py', path.name], project, environment)
    assert status == 0, printed[-5000:]
    assert 'Iter(train) [2/2]' in printed
    assert 'Failed to search registry' not in printed
    status, printed = run_script(['train.py', path.name, '--resume'], project, environment)
    assert status == 0, printed[-5000:]
    assert (project / 'work' / 'iter_3.pth').is_file()
    assert 'Iter(train) [3/3]' in printed
    assert 'Iter(train) [2/3]' not in printed
    assert re.search(rf'Iter\(test\).*{score}: \d', printed)


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
