"""Packaging of mmdiff: the package, and configs and tools in its .mim folder."""

import os
import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
MIM = ROOT / 'mmdiff' / '.mim'
# What a user of an installed mmdiff finds below mmdiff/.mim, as in every OpenMMLab package.
MIM_CONTENT = ('configs', 'tools', 'requirements', 'model-index.yml')


def make_mim_extension() -> None:
    """Fill mmdiff/.mim: links for an editable install, copies for a distribution."""
    editable = any(
        command in sys.argv for command in ('develop', 'dist_info', 'editable_wheel', 'egg_info')
    ) and not {'sdist', 'bdist_wheel'} & set(sys.argv)
    MIM.mkdir(exist_ok=True)
    for name in MIM_CONTENT:
        source, target = ROOT / name, MIM / name
        if not source.exists():
            continue  # A source distribution: .mim came along, filled.
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        if editable:
            target.symlink_to(os.path.relpath(source, MIM), target_is_directory=source.is_dir())
        elif source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(source, target)


def requirements(name: str) -> list[str]:
    """The lines of a requirements file that name a distribution."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith(('#', '-'))]


def version() -> str:
    """The package's version, without importing it."""
    namespace: dict = {}
    exec((ROOT / 'mmdiff' / 'version.py').read_text(), namespace)
    return namespace['__version__']


if __name__ == '__main__':
    make_mim_extension()
    setup(
        name='mmdiff',
        version=version(),
        description='Pretrained diffusion models as backbones for OpenMMLab',
        long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
        long_description_content_type='text/markdown',
        license='Apache-2.0',
        keywords='computer vision, diffusion, semantic segmentation, object detection, OpenMMLab',
        python_requires='>=3.10',
        packages=find_packages(include=['mmdiff', 'mmdiff.*']),
        include_package_data=True,
        # No OpenMMLab distribution: see mmdiff/stack.py.
        install_requires=requirements('runtime'),
        extras_require={
            name: requirements(name)
            for name in (
                'det',
                'cls',
                'sd',
                'pretrain',
                'fid',
                'export',
                'examples',
                'test',
                'bench',
                'docs',
            )
        },
        zip_safe=False,
    )
