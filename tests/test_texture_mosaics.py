"""Texture mosaics: the images and label maps of the first command."""

import re
import runpy

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

SCRIPT = 'tools/dataset_converters/texture_mosaics.py'
CONFIG = 'configs/own-domain/upernet_gd-frozen_texture-mosaics.py'


@pytest.fixture(scope='module')
def textures(root):
    return runpy.run_path(str(root / SCRIPT))


@pytest.fixture(scope='module')
def mosaics(tmp_path_factory, run):
    out = tmp_path_factory.mktemp('mosaics') / 'out'
    assert 'Wrote 3 images and 2 label maps' in run(
        'python', SCRIPT, out, '--num-images=3', '--num-labels=2'
    )
    return out


def test_folders(mosaics):
    assert sorted(path.name for path in (mosaics / 'images').iterdir()) == [
        '000000.png',
        '000001.png',
        '000002.png',
    ]
    labels = [np.array(Image.open(path)) for path in sorted((mosaics / 'labels').iterdir())]
    assert [path.name for path in sorted((mosaics / 'labels').iterdir())] == [
        '000000.png',
        '000001.png',
    ]
    for label_map in labels:
        assert label_map.shape == (128, 128)
        assert 2 < len(np.unique(label_map)) <= 9
        assert label_map.max() < 9
    assert Image.open(mosaics / 'images/000000.png').mode == 'RGB'


def test_more_images_do_not_change_the_first_and_another_seed_does(
    mosaics, textures, tmp_path, run
):
    more = tmp_path / 'more'
    run('python', SCRIPT, more, '--num-images=4', '--num-labels=4')
    for name in ('images/000002.png', 'labels/000001.png'):
        assert (more / name).read_bytes() == (mosaics / name).read_bytes()
    first = np.array(Image.open(mosaics / 'images/000000.png'))
    again, _ = textures['make_mosaic'](np.random.default_rng([0, 0]), 128)
    other, _ = textures['make_mosaic'](np.random.default_rng([1, 0]), 128)
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize('size', [32, 50, 200])
def test_each_texture_fills_any_size_with_two_values_mixed(textures, size):
    for name, texture in textures['TEXTURES'].items():
        pattern = np.asarray(texture(np.random.default_rng(0), size))
        assert pattern.shape == (size, size), name
        assert (pattern.min(), pattern.max()) == (0, 1), name
        assert 0.1 < pattern.mean() < 0.9, name


def test_colours_say_nothing_about_the_texture(textures):
    """The mean colour of a region predicts its class no better than chance."""
    colours, classes = [], []
    for number in range(60):
        image, labels = textures['make_mosaic'](np.random.default_rng([0, number]), 64)
        for label in np.unique(labels):
            colours.append(image[labels == label].mean(0))
            classes.append(label)
    colours, classes = np.array(colours), np.array(classes)
    distances = np.linalg.norm(colours[:, None] - colours, axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (classes[distances.argmin(1)] == classes).mean() < 0.2


def test_the_first_command_and_the_config_name_its_textures(textures, root):
    names = list(textures['TEXTURES'])
    command = (root / 'tools/quickstart.sh').read_text()
    assert re.search(r'--classes ([a-z ]+) --', command)[1].split() == names
    cfg = Config.fromfile(root / CONFIG)
    assert list(cfg.test_dataloader.dataset.metainfo.classes) == names
    assert cfg.model.decode_head.num_classes == cfg.model.auxiliary_head.num_classes == len(names)


def test_making_them_again(mosaics, run):
    arguments = ('--num-images=3', '--num-labels=2')
    assert 'already has these images' in run('python', SCRIPT, mosaics, *arguments)
    assert 'has other content' in run('python', SCRIPT, mosaics, '--seed=1', *arguments, fails=True)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--size=16'], 'must be at least 32 pixels, got 16'),
        (['--num-images=0'], 'must be at least 1, got 0'),
        (['--num-images=3', '--num-labels=4'], '--num-labels must be from 0 to 3'),
    ],
)
def test_bad_arguments(arguments, message, tmp_path, run):
    assert message in run('python', SCRIPT, tmp_path / 'x', *arguments, fails=True)
