"""The check of the installed OpenMMLab distributions."""

import re
import subprocess
import sys
import warnings

import pytest

from mmdiff import stack
from mmdiff.engine import cli

TESTED = stack.tested_versions()
# The set that is installed here: 0 for the forks, 1 for the originals.
INSTALLED = int('mmengine' in stack.installed_versions())
NAMES = {module: pair[INSTALLED] for module, pair in stack.DISTRIBUTIONS.items()}


def with_installed(monkeypatch, **versions):
    installed = {name.replace('_', '-'): version for name, version in versions.items()}
    monkeypatch.setattr(stack, 'installed_versions', lambda: installed)


def test_the_tested_set_is_what_is_installed():
    assert stack.installed_versions() == {name: TESTED[name] for name in NAMES.values()}
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


@pytest.mark.parametrize('index', [0, 1])
def test_both_sets_are_tested(monkeypatch, index):
    versions = {pair[index]: TESTED[pair[index]] for pair in stack.DISTRIBUTIONS.values()}
    monkeypatch.setattr(stack, 'installed_versions', lambda: versions)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for module in stack.DISTRIBUTIONS:
            stack.require(module)


@pytest.mark.parametrize(
    'versions',
    [
        dict(mmengine='0.10.5'),
        dict(onedl_mmengine='0.9.0'),
        dict(onedl_mmengine=TESTED['onedl-mmengine'], mmcv=TESTED['mmcv']),
    ],
)
def test_untested_version(monkeypatch, versions):
    with_installed(monkeypatch, **versions)
    with pytest.warns(
        stack.UntestedStackWarning,
        match=r'is tested with onedl-mmengine==\S+ and mmengine==0.10.7, each with its own set',
    ):
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
    for path in (root / 'mmdiff' / 'diffusion').rglob('*.py'):
        lines = path.read_text().splitlines()
        imports = [line for line in lines if line.startswith(('import ', 'from '))]
        assert not [line for line in imports if line.split()[1].startswith('mm')], path


def test_mmcv_without_operators(monkeypatch):
    monkeypatch.setattr(stack, 'find_spec', lambda name: None)
    with pytest.raises(
        ImportError, match=r'no compiled operators.*setup_env\.sh --detection.*mmcv=='
    ):
        stack.require_operators()


def test_mmcv_with_operators_for_the_cpu_alone(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('mmcv.ops.get_compiling_cuda_version', lambda: 'not available')
    with pytest.raises(ImportError, match='compiled without CUDA, but there is a GPU'):
        stack.require_operators()
    monkeypatch.setattr('mmcv.ops.get_compiling_cuda_version', lambda: '13.0')
    stack.require_operators()


@pytest.mark.parametrize(
    ('config', 'module'),
    [
        ('mask-rcnn_gd_coco', 'mmdet'),
        ('mask-rcnn_gd_coco', 'mmcv'),
        ('upernet_gd_ade20k', 'mmcv'),
        ('attention_gd_digit-scenes', 'mmpretrain'),
    ],
)
def test_a_config_names_the_package_that_it_lacks(config, module, root, monkeypatch):
    """Before what it imports fails for the lack."""
    found = {name: TESTED[name] for of, name in NAMES.items() if of != module}
    monkeypatch.setattr(stack, 'installed_versions', lambda: found)
    monkeypatch.setattr(cli, 'import_modules_from_strings', None)
    with pytest.raises(ImportError, match=f'needs {module} here, and it is not installed'):
        cli.load_config(root / f'configs/{config}.py')


def test_configs_of_detectors_alone_need_operators(root, monkeypatch):
    monkeypatch.setattr(stack, 'find_spec', lambda name: None)
    cli.load_config(root / 'configs/upernet_gd_ade20k.py')
    with pytest.raises(ImportError, match='no compiled operators'):
        cli.load_config(root / 'configs/mask-rcnn_gd_coco.py')


def run_python(code):
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )
    return result.stdout + result.stderr


# With mmdiff before MMPretrain, as in every command of ours.
@pytest.mark.slow
@pytest.mark.parametrize(
    'imports',
    [
        'mmdiff, mmseg.models, mmdet.models',
        'transformers, mmdiff, mmpretrain',
    ],
)
def test_openmmlab_imports_beside_transformers_5(imports):
    code = (
        f'import {imports}\n'
        'import mmpretrain.models, mmpretrain.datasets, transformers\n'
        'from mmpretrain.registry import MODELS\n'
        'print(transformers.__version__, MODELS.get("ImageClassifier"), "BlipVQA" in MODELS)\n'
        'MODELS.build(dict(type="BlipVQA"))'
    )
    printed = run_python(code)
    version = re.search(r"^(\d+)\S* <class 'mmpretrain.*ImageClassifier'> True$", printed, re.M)
    assert version is not None, printed
    assert int(version[1]) >= 5
    # What is left out says so when it is asked for.
    assert 'requires extra multi-modal dependencies' in printed


@pytest.mark.parametrize(
    ('version', 'left_out'), [('4.57.1', False), ('5.0.0', True), (None, False)]
)
def test_multimodal_models_are_left_out_beside_transformers_5_alone(version, left_out, monkeypatch):
    def find(name):
        if version is None:
            raise stack.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(stack.metadata, 'version', find)
    monkeypatch.setattr(sys, 'meta_path', [])
    monkeypatch.delitem(sys.modules, 'mmpretrain.utils.dependency', raising=False)
    for _ in range(2):
        stack.allow_transformers_5()
    assert len(sys.meta_path) == left_out


@pytest.mark.parametrize(('command', 'stack'), [
    ('tools/setup_env.sh', 'today'),
    ('tools/setup_env.sh --detection --stack originals', 'originals'),
    ('tools/quickstart.sh', 'today'),
    ('tools/quickstart.sh --stack originals', 'originals'),
    ('tools/run_tests.sh', 'today'),
    ('tools/run_tests.sh --stack originals -m gpu', 'originals'),
    ('.ci/run', 'today'),
])  # fmt: skip
def test_scripts_set_up_the_stack(command, stack, root, environment, tmp_path):
    """Up to the first thing that set-up asks of Python, which is not there."""
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\necho "$@"\nexit 1\n')
    python.chmod(0o755)
    env = dict(environment, PATH=f'{tmp_path}:{environment["PATH"]}', VIRTUAL_ENV=str(tmp_path))
    result = subprocess.run(
        ['bash', *command.split()], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert f"['{stack}']" in result.stdout
    assert 'mmdiff needs Python 3.10' in result.stderr
