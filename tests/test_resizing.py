"""Images are resized and cropped as guided-diffusion does it."""

import random
import sys
from collections import Counter
from unittest.mock import Mock

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, init_default_scope
from PIL import Image

import mmdiff.classification  # noqa: F401
from mmdiff.datasets.transforms import ResizeShortEdge

RGB_TO_BGR = slice(None, None, -1)


@pytest.fixture
def reference(monkeypatch):
    """guided-diffusion's own, which imports MPI without using it here."""
    monkeypatch.setitem(sys.modules, 'mpi4py', Mock())
    from guided_diffusion import image_datasets

    return image_datasets


def pipeline(root, name, size, split='train'):
    """What a config does to the pixels of images, at other sizes."""
    cfg = Config.fromfile(root / f'configs/{name}.py')
    init_default_scope('mmpretrain')
    transforms = cfg[f'{split}_dataloader'].dataset.pipeline[1:-1]
    for transform in transforms:
        if 'scale' in transform:
            transform.scale = size
        if 'crop_size' in transform:
            transform.crop_size = np.min(size).item()
    return Compose([TRANSFORMS.build(transform) for transform in transforms])


def image(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


# Halved once, twice and not; portrait and landscape. MMPretrain's CenterCrop rounds half a pixel
# otherwise, so that margins are even.
@pytest.mark.parametrize('shape', [(66, 136), (150, 134), (40, 52), (140, 310)])
def test_centre_crops_are_those_of_guided_diffusion(shape, reference, root):
    pixels = image(*shape)
    expected = reference.center_crop_arr(Image.fromarray(pixels), 32)
    for config in ('linear_gd_in1k', 'released/linear_gd-released_in1k'):
        crop = pipeline(root, config, 32, 'test')
        found = crop(dict(img=pixels[..., RGB_TO_BGR]))['img'][..., RGB_TO_BGR]
        np.testing.assert_array_equal(found, expected)


def test_random_crops_are_those_of_guided_diffusion(reference, root, monkeypatch):
    crop = pipeline(root, 'released/linear_gd-released_in1k', (32, 40)).transforms[:2]
    pixels = image(150, 100)
    asked = []

    def draw(low, high=None):
        asked.append((low, high) if high is not None else (0, low))
        return np.random.default_rng(asked[-1]).integers(*asked[-1]).item()

    monkeypatch.setattr(random, 'randrange', draw)
    monkeypatch.setattr(np.random, 'randint', draw)
    expected = reference.random_crop_arr(Image.fromarray(pixels), 32)
    found = Compose(crop)(dict(img=pixels[..., RGB_TO_BGR]))['img'][..., RGB_TO_BGR]
    assert asked[:3] == asked[3:]
    np.testing.assert_array_equal(found, expected)


def test_the_shorter_side_is_uniform():
    np.random.seed(0)
    resize = ResizeShortEdge((256, 320))
    pixels = image(8, 12)
    shapes = [resize(dict(img=pixels))['img_shape'] for _ in range(650)]
    shorter = np.array([min(shape) for shape in shapes])
    assert (shorter.min(), shorter.max()) == (256, 320)
    # 65 lengths in 5 groups: 130 +- 10 of each.
    counts = np.bincount((shorter - 256) // 13, minlength=5)
    assert (abs(counts - 130) < 40).all()
    assert {round(max(s) / min(s), 2) for s in shapes} == {1.5}


def test_the_crop_and_the_flip_are_uniform_and_follow_the_seed(root):
    crop = pipeline(root, 'released/linear_gd-released_in1k', (16, 16))
    # Not resized, so that a pixel says where it was.
    pixels = np.zeros((16, 20, 3), np.uint8)
    pixels[..., 0] = np.arange(20)

    def draws(seed, shape):
        np.random.seed(seed)
        img = pixels if shape == 'wide' else pixels.transpose(1, 0, 2)
        crops = [crop(dict(img=img))['img'] for _ in range(500)]
        assert {c.shape for c in crops} == {(16, 16, 3)}
        return [(c[..., 0].min().item(), (c[0, 0, 0] < c[0, -1, 0]).item()) for c in crops]

    wide = draws(0, 'wide')
    # 5 places, flipped or not: 50 +- 7 of each.
    assert len(Counter(wide)) == 10
    assert all(abs(count - 50) < 28 for count in Counter(wide).values())
    tall = Counter(position for position, _ in draws(0, 'tall'))
    assert len(tall) == 5
    assert all(abs(count - 100) < 36 for count in tall.values())
    assert draws(0, 'wide') == wide
    assert draws(1, 'wide') != wide


@pytest.mark.parametrize(
    ('scale', 'error', 'message'),
    [
        (0, ValueError, 'scale must be an int of at least 1, got 0'),
        (2.5, TypeError, 'scale must be an int or a sequence of ints, got 2.5'),
        ((320, 256), ValueError, 'the least and the largest, got'),
        ((1, 2, 3), ValueError, 'the least and the largest, got'),
        ((), ValueError, 'the least and the largest, got'),
    ],
)
def test_errors(scale, error, message):
    with pytest.raises(error, match=message):
        ResizeShortEdge(scale)
