"""The check of the installed OpenMMLab distributions."""

import subprocess
import sys
import warnings

import pytest

from mmdiff import stack

TESTED = stack.tested_versions()


def with_installed(monkeypatch, **versions):
    installed = {name.replace('_', '-'): version for name, version in versions.items()}
    monkeypatch.setattr(stack, 'installed_versions', lambda: installed)


def test_the_tested_set_is_what_is_installed():
    assert stack.installed_versions() == {
        fork: TESTED[fork] for fork, _ in stack.DISTRIBUTIONS.values()
    }
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for module in stack.DISTRIBUTIONS:
            stack.require(module)


def test_missing(monkeypatch):
    with_installed(monkeypatch, onedl_mmengine=TESTED['onedl-mmengine'])
    with pytest.raises(ImportError, match=r'needs mmseg here.*pip install -r .*openmmlab\.txt'):
        stack.require('mmseg')


def test_original_and_fork_together(monkeypatch):
    with_installed(monkeypatch, onedl_mmcv=TESTED['onedl-mmcv'], mmcv='2.1.0')
    with pytest.raises(ImportError, match='onedl-mmcv and mmcv are both installed'):
        stack.require('mmcv')


@pytest.mark.parametrize('versions', [dict(mmengine='0.10.7'), dict(onedl_mmengine='0.9.0')])
def test_untested_version(monkeypatch, versions):
    with_installed(monkeypatch, **versions)
    with pytest.warns(stack.UntestedStackWarning, match='is tested with onedl-mmengine=='):
        stack.require('mmengine')


def test_importing_mmdiff_imports_none_of_the_optional_packages():
    code = (
        'import sys, mmdiff, mmdiff.models, mmdiff.engine; '
        'print([m for m in ("mmseg", "mmdet", "mmpretrain", "guided_diffusion") '
        'if m in sys.modules])'
    )
    printed = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == '[]'


def test_the_diffusion_layer_imports_nothing_of_openmmlab(root):
    for path in (root / 'mmdiff' / 'diffusion').glob('*.py'):
        lines = path.read_text().splitlines()
        imports = [line for line in lines if line.startswith(('import ', 'from '))]
        assert not [line for line in imports if line.split()[1].startswith('mm')], path
