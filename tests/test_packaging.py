"""What a wheel, a source distribution and an editable install contain."""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CONTENT = (
    'mmdiff/checkpoints/adm-64-small_digit-scenes.pt',
    'mmdiff/checkpoints/adm-64-small_digit-scenes.md',
    'mmdiff/checkpoints/adm-64-small_texture-mosaics.pt',
    'mmdiff/.mim/configs/upernet_gd_ade20k.py',
    'mmdiff/.mim/configs/_base_/models/upernet_gd.py',
    'mmdiff/.mim/tools/train.py',
    'mmdiff/.mim/tools/dist_train.sh',
    'mmdiff/.mim/model-index.yml',
    'mmdiff/.mim/configs/metafile.yml',
    'mmdiff/.mim/requirements/openmmlab.txt',
)


@pytest.fixture
def clone(root, tmp_path):
    """A copy of what git tracks, so that a build changes nothing here."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split('\0')):
        if (root / name).is_file():
            (tmp_path / 'clone' / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, tmp_path / 'clone' / name)
    return tmp_path / 'clone'


def pip(*arguments):
    result = subprocess.run(
        [sys.executable, '-m', 'pip', '--disable-pip-version-check', *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]


def names_in(wheel):
    with zipfile.ZipFile(wheel) as file:
        return file.namelist()


def test_wheel_has_configs_and_tools_and_no_openmmlab_dependency(clone, tmp_path):
    pip('wheel', '--no-deps', '-w', tmp_path, clone)
    (wheel,) = tmp_path.glob('*.whl')
    names = names_in(wheel)
    assert set(CONTENT) <= set(names)
    assert not [name for name in names if name.startswith(('tests/', 'configs/', 'tools/'))]
    with zipfile.ZipFile(wheel) as file:
        (metadata,) = (name for name in names if name.endswith('METADATA'))
        lines = file.read(metadata).decode().splitlines()
    required = [line for line in lines if line.startswith('Requires-Dist')]
    assert any('torch' in line for line in required)
    assert not [line for line in required if 'onedl' in line or ' mm' in line]
    extras = {line.split(': ')[1] for line in lines if line.startswith('Provides-Extra')}
    assert {'det', 'cls', 'pretrain', 'test', 'bench'} <= extras


def test_wheel_trains_in_an_environment_of_its_own_from_elsewhere(clone, tmp_path):
    pip('wheel', '--no-deps', '-w', tmp_path, clone)
    (wheel,) = tmp_path.glob('*.whl')
    shutil.rmtree(clone)
    environment, elsewhere = tmp_path / 'environment', tmp_path / 'elsewhere'
    venv.create(environment)
    python = environment / 'bin' / 'python'
    pip('--python', python, 'install', '--no-deps', wheel)
    site = Path(sysconfig.get_path('purelib', vars=dict(base=str(environment))))
    # What mmdiff needs is this environment's. Its own link to mmdiff is not followed from there.
    (site / 'needed.pth').write_text(sysconfig.get_path('purelib'))
    elsewhere.mkdir()

    def run(*command):
        result = subprocess.run(
            [python, *command], cwd=elsewhere, env=dict(OMP_NUM_THREADS='1'),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout[-3000:]
        return result.stdout

    code = (
        'import mmdiff; from mmdiff import stack; print(mmdiff.__file__, stack.requirements_file())'
    )
    package, requirements = run('-c', code).split()
    assert Path(package).parent == site / 'mmdiff'
    assert requirements == str(site / CONTENT[-1])
    mim = site / 'mmdiff' / '.mim'
    run(mim / 'tools/dataset_converters/digit_scenes.py', 'data/digit_scenes',
        '--num-train=4', '--num-val=2', '--num-test=2')  # fmt: skip
    printed = run(
        mim / 'tools/train.py', mim / 'configs/upernet_gd_digit-scenes.py', '--cfg-options',
        'train_cfg.max_iters=1', 'train_dataloader.batch_size=2', 'default_hooks.logger.interval=1',
    )  # fmt: skip
    assert f'Loaded the U-Net from mmdiff://{Path(CONTENT[0]).name}' in printed
    assert (elsewhere / 'work_dirs/upernet_gd_digit-scenes/iter_1.pth').is_file()


def test_source_distribution_builds_the_same_wheel(clone, tmp_path):
    build = (
        'from setuptools import build_meta; import sys; print(build_meta.build_sdist(sys.argv[1]))'
    )
    subprocess.run([sys.executable, '-c', build, tmp_path], cwd=clone, check=True)
    (source,) = tmp_path.glob('*.tar.gz')
    with tarfile.open(source) as file:
        names = {name.split('/', 1)[1] for name in file.getnames() if '/' in name}
    assert set(CONTENT) <= names
    assert {'LICENSE', 'README.md', 'configs/upernet_gd_ade20k.py'} <= names
    pip('wheel', '--no-deps', '-w', tmp_path / 'from_clone', clone)
    pip('wheel', '--no-deps', '-w', tmp_path / 'from_source', source)
    (a,), (b,) = ((tmp_path / f).glob('*.whl') for f in ('from_clone', 'from_source'))
    assert sorted(names_in(a)) == sorted(names_in(b))


def test_editable_install_links_to_the_clone(clone, tmp_path):
    pip('install', '--no-deps', '--target', tmp_path / 'site', '-e', clone)
    for name in ('configs', 'tools', 'requirements', 'model-index.yml'):
        link = clone / 'mmdiff' / '.mim' / name
        assert link.is_symlink()
        assert link.resolve() == clone / name
