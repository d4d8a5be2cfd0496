"""Features without a config, and images of every kind."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from mmdiff.apis import FeatureExtractor, list_images, read_image
from mmdiff.apis.images import centre_square
from mmdiff.diffusion import read_checkpoint
from mmdiff.models import GuidedDiffusionBackbone
from mmdiff.utils import local_file

CHECKPOINT = 'mmdiff://adm-64-small_digit-scenes.pt'


@pytest.fixture(scope='module')
def extractor():
    return FeatureExtractor('adm-64-small', CHECKPOINT, blocks=(12, 10), timestep=(50, 300))


@pytest.fixture
def photo():
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(values)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=1e-4, atol=1e-4)


def test_features_are_those_of_the_backbone(extractor, photo):
    init_cfg = dict(type='Pretrained', checkpoint=CHECKPOINT)
    maps = extractor(photo)
    assert list(maps) == [(50, 12), (50, 10), (300, 12), (300, 10)]
    x_0 = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] / 255 * 2 - 1
    for timestep in (50, 300):
        backbone = GuidedDiffusionBackbone(
            'adm-64-small', timestep=timestep, blocks=(12, 10), init_cfg=init_cfg
        )
        backbone.init_weights()
        with torch.no_grad():
            expected = backbone.eval()(x_0)
        for block, features in zip((12, 10), expected, strict=True):
            torch.testing.assert_close(maps[timestep, block], features, rtol=1e-4, atol=1e-4)


def test_an_image_has_the_same_features_in_every_form(extractor, photo, tmp_path):
    photo.save(tmp_path / 'photo.png')
    (tmp_path / 'notes.txt').write_text('no image')
    array = np.array(photo)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    expected = extractor(photo)
    for form in (
        tmp_path, tmp_path / 'photo.png', str(tmp_path / 'photo.png'), array, array / 255, tensor,
        tensor[None], tensor / 255, [photo],
    ):  # fmt: skip
        assert_same(extractor(form), expected)


def test_weights_as_trainings_save_them(extractor, photo, tmp_path):
    weights = read_checkpoint(local_file(CHECKPOINT))
    other = {key: torch.zeros_like(value) for key, value in weights.items()}
    wrapped = {f'module.{key}': value for key, value in weights.items()}
    torch.save(dict(model=wrapped, ema=other), tmp_path / 'training.pt')
    settings = dict(blocks=(12, 10), timestep=(np.int64(50), np.int64(300)), entry='model')
    maps = FeatureExtractor('adm-64-small', tmp_path / 'training.pt', **settings)(photo)
    for key, expected in extractor(photo).items():
        assert torch.equal(maps[key], expected)
    with pytest.raises(ValueError, match="entry='model' given, but checkpoint=None"):
        FeatureExtractor('adm-64-small', None, entry='model')


def test_batches(extractor, photo, tmp_path):
    photo.save(tmp_path / 'b.png')
    photo.rotate(90).save(tmp_path / 'a.png')
    tensors = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    images = [tmp_path, photo, tensors]
    whole = extractor(images)
    assert whole[50, 12].shape == (5, 64, 16, 16)
    parts = list(extractor.iterate(images, batch_size=2))
    assert [name for names, _ in parts for name in names] == [
        str(tmp_path / 'a.png'), str(tmp_path / 'b.png'), 'image 2', 'image 3', 'image 4',
    ]  # fmt: skip
    for key, maps in whole.items():
        joined = torch.cat([part[key] for _, part in parts])
        torch.testing.assert_close(maps, joined, rtol=1e-4, atol=1e-4)


def test_one_bad_file_among_many(extractor, photo, tmp_path):
    for name in ('a', 'b', 'c', 'd'):
        photo.save(tmp_path / f'{name}.png')
    (tmp_path / 'b.png').write_bytes(b'hello')
    (tmp_path / 'c.png').write_bytes((tmp_path / 'a.png').read_bytes()[:-99])
    (tmp_path / '._a.png').write_bytes(b'left by macOS')
    batches = extractor.iterate(tmp_path, batch_size=2, keep_going=True)
    for name in ('a', 'd'):
        names, maps = next(batches)
        assert names == [str(tmp_path / f'{name}.png')]
        assert len(maps[50, 12]) == 1
    with pytest.raises(ValueError, match=r'2 of 4 images could not be read:\n.*b\.png.*\n.*c\.png'):
        next(batches)
    with pytest.raises(ValueError, match=r'^[^\n]*b\.png is not an image'):
        list(extractor.iterate(tmp_path, batch_size=2))


def test_progress_bar(extractor, photo, capsys):
    extractor([photo] * 3, batch_size=2, progress=True)
    assert '3/3' in capsys.readouterr().err
    extractor(photo)
    assert not capsys.readouterr().err


def test_size(photo):
    small = dict(arch='adm-64-small', checkpoint=None, blocks=10)
    wide = Image.new('RGB', (90, 33), 'red')
    assert FeatureExtractor(**small, size=32)(wide)[150, 10].shape[-2:] == (4, 4)
    original = FeatureExtractor(**small, size='original')
    assert original(wide)[150, 10].shape[-2:] == (5, 12)
    for batch_size in (1, 8):
        with pytest.raises(ValueError, match=r"size='original'.*image 0 and image 1 differ"):
            original([wide, photo], batch_size=batch_size)
    assert len(list(original.iterate([wide, photo], batch_size=1))) == 2


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (dict(size=0), ValueError, 'size must be'),
        (dict(size='large'), ValueError, 'size must be'),
        (dict(size=True), ValueError, 'size must be'),
        (dict(arch='adm-65'), ValueError, 'adm-65'),
        (dict(blocks=99), ValueError, 'blocks has block 99'),
        (dict(checkpoint='no.pt'), FileNotFoundError, 'no.pt'),
        (dict(checkpoint='mmdiff://no.pt'), FileNotFoundError, 'no.pt'),
    ],
)
def test_bad_arguments(change, error, message):
    with pytest.raises(error, match=message):
        FeatureExtractor(**(dict(arch='adm-64-small', checkpoint=None, blocks=10) | change))


@pytest.mark.parametrize('batch_size', [0, -1, 2.0, True])
def test_bad_batch_size(extractor, photo, batch_size):
    with pytest.raises(ValueError, match='batch_size must be'):
        extractor(photo, batch_size=batch_size)


def test_images_are_listed_by_name(tmp_path, monkeypatch):
    names = ['b.PNG', 'a.Jpg', 'd.png', 'c.JPEG']
    for name in names:
        Image.new('RGB', (4, 4)).save(tmp_path / name)
    (tmp_path / 'folder.png').mkdir()
    (tmp_path / 'notes.txt').touch()
    monkeypatch.setenv('HOME', str(tmp_path))
    for folder in (tmp_path, '~'):
        assert list_images(folder) == [tmp_path / name for name in sorted(names)]
    assert list_images('~/d.png') == [tmp_path / 'd.png']
    assert read_image('~/d.png').size == (4, 4)
    with pytest.raises(FileNotFoundError, match=r'image no\.png does not exist'):
        read_image('no.png')


@pytest.mark.parametrize('turn', range(9))
def test_turns(turn, tmp_path):
    exif = Image.Exif()
    exif[0x112] = turn
    path = tmp_path / 'image.png'
    Image.fromarray(np.arange(18, dtype=np.uint8).reshape(2, 3, 3)).save(path, exif=exif)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read_image(path), ImageOps.exif_transpose(image))


def test_a_broken_note_does_not_make_a_broken_image(tmp_path):
    Image.new('RGB', (4, 4)).save(tmp_path / 'image.png', exif=b'Exif\0\0garbage')
    assert read_image(tmp_path / 'image.png').size == (4, 4)


@pytest.mark.parametrize(('size', 'middle'), [((90, 30), (30, 0)), ((30, 90), (0, 30))])
def test_the_square_in_the_middle(size, middle):
    image = Image.new('RGB', size)
    image.paste(Image.new('RGB', (30, 30), 'red'), middle)
    assert centre_square(image, 30).getcolors() == [(900, (255, 0, 0))]


def test_grey_values_are_rounded():
    grey = torch.tensor([[[0.4, 0.999]]])
    for form in (grey, grey[0].numpy(), grey.bfloat16()):
        image = read_image(form)
        assert [image.getpixel((x, 0)) for x in (0, 1)] == [(102,) * 3, (255,) * 3]


def test_no_images(extractor, tmp_path):
    with pytest.raises(ValueError, match='images must hold at least one'):
        extractor([])
    with pytest.raises(FileNotFoundError, match='has no file that ends with'):
        extractor(tmp_path)
    with pytest.raises(FileNotFoundError, match='is no file and no folder'):
        extractor(tmp_path / 'nowhere')


def gradient(height=20, width=30):
    return np.add.outer(np.arange(height) * 5, np.arange(width) * 5).clip(0, 255).astype(np.uint8)


def as_rgb(grey):
    return np.repeat(grey[..., None], 3, axis=-1)


def make_good(kind, path):
    """Write an image of some kind, and return the RGB that is expected of it."""
    grey = gradient()
    rgb = as_rgb(grey)
    if kind == '16-bit':
        Image.fromarray(grey.astype(np.uint16) * 257).save(path.with_suffix('.png'))
    elif kind == '16-bit TIFF':
        Image.fromarray(grey.astype(np.uint16) * 257).save(path.with_suffix('.tif'))
    elif kind == 'grey':
        Image.fromarray(grey).save(path.with_suffix('.png'))
    elif kind == '1 bit':
        Image.fromarray(grey).point(lambda v: 255 * (v > 90), '1').save(path.with_suffix('.png'))
        rgb = as_rgb(np.where(grey > 90, 255, 0).astype(np.uint8))
    elif kind == 'alpha':
        alpha = np.full_like(grey, 7)
        Image.fromarray(np.dstack([rgb, alpha])).save(path.with_suffix('.png'))
    elif kind == 'grey and alpha':
        Image.fromarray(np.dstack([grey, grey])).save(path.with_suffix('.png'))
    elif kind == 'palette':
        image = Image.fromarray(grey // 8).convert('P')
        image.putpalette([value for i in range(256) for value in (i, 255 - i, 7)])
        image.save(path.with_suffix('.png'))
        rgb = np.dstack([grey // 8, 255 - grey // 8, np.full_like(grey, 7)])
    elif kind == 'palette and transparency':
        image = Image.fromarray(grey // 8).convert('P')
        image.putpalette([value for i in range(256) for value in (i, i, i)])
        image.save(path.with_suffix('.png'), transparency=3)
        rgb = as_rgb(grey // 8)
    elif kind == 'CMYK':
        Image.fromarray(rgb).convert('CMYK').save(path.with_suffix('.tif'))
    elif kind == 'orientation':
        exif = Image.Exif()
        exif[0x112] = 6  # to be turned by a quarter
        Image.fromarray(rgb).save(path.with_suffix('.png'), exif=exif)
        rgb = np.rot90(rgb, -1)
    elif kind == 'one pixel':
        rgb = rgb[:1, :1]
        Image.fromarray(rgb).save(path.with_suffix('.png'))
    elif kind == 'long strip':
        rgb = as_rgb(gradient(2, 9000))
        Image.fromarray(rgb).save(path.with_suffix('.png'))
    elif kind == 'wrong suffix':
        Image.fromarray(rgb).save(path.with_suffix('.png'))
        path.with_suffix('.png').rename(path.with_suffix('.jpg'))
    return rgb


@pytest.mark.parametrize('kind', [
    '16-bit', '16-bit TIFF', 'grey', '1 bit', 'alpha', 'grey and alpha', 'palette',
    'palette and transparency', 'CMYK', 'orientation', 'one pixel', 'long strip', 'wrong suffix',
])  # fmt: skip
def test_unusual_images_are_read(kind, extractor, tmp_path):
    expected = make_good(kind, tmp_path / 'image')
    (path,) = list_images(tmp_path)
    image = read_image(path)
    assert image.mode == 'RGB'
    np.testing.assert_array_equal(np.asarray(image), expected)
    assert all(maps.isfinite().all() for maps in extractor(path).values())


def jpeg(path):
    Image.fromarray(as_rgb(gradient(64, 64))).save(path)
    return path.read_bytes()


@pytest.mark.parametrize('kind', ['empty', 'text', 'zeros', 'truncated', 'head', 'float'])
@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tif'])
def test_broken_files_are_named(kind, suffix, extractor, tmp_path):
    path = tmp_path / f'broken{suffix}'
    content = jpeg(path)
    if kind == 'float':
        Image.fromarray(gradient().astype(np.float32)).save(path, format='TIFF')
    else:
        path.write_bytes({
            'empty': b'', 'text': b'hello', 'zeros': bytes(100),
            'truncated': content[: len(content) // 2], 'head': content[:20],
        }[kind])  # fmt: skip
    with pytest.raises(ValueError, match=f'broken{suffix}'):
        extractor(path)


@pytest.mark.parametrize(
    ('image', 'error', 'message'),
    [
        (np.zeros((4, 4, 4), np.uint8), ValueError, r'shape \(H, W, 3\).*got \(4, 4, 4\)'),
        (np.zeros((0, 4, 3), np.uint8), ValueError, r'got \(0, 4, 3\)'),
        (np.zeros((4, 4, 3), np.int64), ValueError, 'got int64'),
        (np.full((4, 4, 3), 2.0), ValueError, r'in \[0, 1\], got 2.0 to 2.0'),
        (np.full((4, 4, 3), np.nan), ValueError, 'got nan'),
        (torch.zeros(4, 4, 3), ValueError, r'shape \(3, H, W\).*got \(4, 4, 3\)'),
        (torch.full((3, 4, 4), -0.5), ValueError, r'got -0.5'),
        (Image.fromarray(np.full((4, 4), 300, np.int32)), ValueError, '32-bit integers'),
        (None, TypeError, 'got NoneType'),
        (5, TypeError, 'got int'),
    ],
)
def test_bad_images(extractor, image, error, message):
    with pytest.raises(error, match=message):
        extractor([image])
