"""Which OpenMMLab distributions are installed, and whether mmdiff was tested with them.

OpenMMLab's packages exist twice: the originals (``mmengine``, ``mmcv``, ...)
and maintained forks (``onedl-mmengine``, ``onedl-mmcv``, ...) that install the
same modules under other distribution names. A dependency of ours on either
would install it over the other, so mmdiff declares none and looks here instead.
"""

import sys
import warnings
from importlib import metadata
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

# Module -> (distribution of the maintained fork, distribution of the original).
DISTRIBUTIONS = {
    'mmengine': ('onedl-mmengine', 'mmengine'),
    'mmcv': ('onedl-mmcv', 'mmcv'),
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
    'mmpretrain': ('onedl-mmpretrain', 'mmpretrain'),
}
# Requirements file of each tested set: the forks on today's PyTorch, and the originals.
STACKS = {'today': 'openmmlab.txt', 'originals': 'originals.txt'}
INSTALL = (
    'Install a tested set: pip install -r {path}, or the originals beside it, or run '
    'tools/setup_env.sh in a clone.'
)


class UntestedStackWarning(UserWarning):
    """mmdiff was not tested with an installed OpenMMLab distribution."""


def requirements_file(tested: str = 'today') -> Path:
    """Path of the file that pins the OpenMMLab distributions of a tested set.

    Args:
        tested (str): One of :data:`STACKS`. Defaults to ``'today'``.

    Returns:
        Path: The file.

    Raises:
        FileNotFoundError: If it is missing.
    """
    package = Path(__file__).parent
    # Installed packages carry the file in .mim; a bare clone has it at its root.
    for folder in (package / '.mim', package.parent):
        path = folder / 'requirements' / STACKS[tested]
        if path.is_file():
            return path
    raise FileNotFoundError(f'requirements/{STACKS[tested]} is missing beside {package}')


def tested_versions() -> dict[str, str]:
    """Versions that the requirements files pin, by distribution name; no name is in both sets."""
    versions = {}
    for index, tested in enumerate(STACKS):
        names = {pair[index] for pair in DISTRIBUTIONS.values()}
        lines = requirements_file(tested).read_text().splitlines()
        pinned = dict(line.split('==') for line in lines if '==' in line and line[0] != '#')
        versions |= {name: version for name, version in pinned.items() if name in names}
    return versions


def installed_versions() -> dict[str, str]:
    """Versions of the installed OpenMMLab distributions, by name."""
    versions = {}
    for names in DISTRIBUTIONS.values():
        for name in names:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    return versions


def require(module: str) -> None:
    """Make sure that a usable distribution of an OpenMMLab module is there.

    Args:
        module (str): Name of the module, e.g. ``'mmseg'``.

    Raises:
        ImportError: If it is not installed, or installed twice under
            different distribution names, which overwrite each other's files.

    Warns:
        UntestedStackWarning: If mmdiff was not tested with what is installed.
    """
    installed = installed_versions()
    found = [name for name in DISTRIBUTIONS[module] if name in installed]
    how = INSTALL.format(path=requirements_file())
    if not found:
        raise ImportError(f'mmdiff needs {module} here, and it is not installed. {how}')
    if len(found) > 1:
        raise ImportError(
            f'{" and ".join(found)} are both installed, and both provide the module {module}: '
            f'uninstall both, then install one. {how}'
        )
    (name,) = found
    tested = tested_versions()
    sets_installed = {
        pair.index(name) for pair in DISTRIBUTIONS.values() for name in pair if name in installed
    }
    if tested[name] != installed[name] or len(sets_installed) > 1:
        sets = ' and '.join(f'{name}=={tested[name]}' for name in DISTRIBUTIONS[module])
        warnings.warn(
            f'mmdiff is tested with {sets}, each with its own set, not with '
            f'{name}=={installed[name]}{" beside the others" * (len(sets_installed) > 1)}. {how}',
            UntestedStackWarning,
            stacklevel=2,
        )


def missing_operators() -> str | None:
    """What mmcv's compiled operators, such as RoIAlign and NMS, lack on this machine.

    Returns:
        str | None: What is missing; None if nothing is.
    """
    if find_spec('mmcv._ext') is None:
        return 'this mmcv has no compiled operators'
    import torch

    if torch.cuda.is_available():
        from mmcv.ops import get_compiling_cuda_version

        if get_compiling_cuda_version() == 'not available':
            return "this mmcv's operators were compiled without CUDA, but there is a GPU"
    return None


def require_operators() -> None:
    """Make sure that mmcv has its compiled operators, for the GPU too if there is one.

    Raises:
        ImportError: If it has not.
    """
    missing = missing_operators()
    if missing:
        installed, tested = installed_versions(), tested_versions()
        mmcv = next((name for name in DISTRIBUTIONS['mmcv'] if name in installed), 'onedl-mmcv')
        raise ImportError(
            f'mmdiff needs mmcv with operators here, and {missing}. In a clone, '
            '`bash tools/setup_env.sh --detection` builds them. Elsewhere, where PyTorch, '
            'setuptools<81, ninja, psutil, wheel and a compiler are: `pip install --no-cache-dir '
            f'--no-build-isolation --force-reinstall --no-deps {mmcv}=={tested[mmcv]}`.'
        )


def make_configs_inheritable() -> None:
    """Let other projects' configs inherit from ``'mmdiff::...'``."""
    from mmengine.config.utils import MODULE2PACKAGE

    MODULE2PACKAGE['mmdiff'] = 'mmdiff'


class _WithoutMultimodal(MetaPathFinder):
    """Lets MMPretrain's list of optional dependencies say that its multimodal models lack theirs.

    It is asked when that module is imported, as importing it here would import all of MMPretrain.
    """

    name = 'mmpretrain.utils.dependency'

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.WITH_MULTIMODAL = False

        spec.loader.exec_module = exec_module
        return spec


def allow_transformers_5() -> None:
    """Leave out MMPretrain's multimodal models beside transformers 5.

    They are written for transformers 4, and do not import beside 5
    (``TypeError: NoneType takes no arguments``). MMSegmentation and
    MMDetection import MMPretrain, so nothing of OpenMMLab would work. Left
    out, each of them says what it needs when it is built.
    """
    try:
        version = metadata.version('transformers')
    except metadata.PackageNotFoundError:
        return
    if int(version.split('.')[0]) < 5:
        return
    if _WithoutMultimodal.name in sys.modules:
        sys.modules[_WithoutMultimodal.name].WITH_MULTIMODAL = False
    elif not any(isinstance(finder, _WithoutMultimodal) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WithoutMultimodal())


require('mmengine')
make_configs_inheritable()
allow_transformers_5()
