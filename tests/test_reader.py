"""One reader: the same pixels in every tool, right or refused."""

import struct
import zlib
from contextlib import ExitStack

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS, DefaultScope, init_default_scope
from PIL import Image

from mmdiff import registry
from mmdiff.apis import read_image
from mmdiff.datasets import is_image_file, list_images, read_label_map, read_rgb

LOAD = dict(type='LoadImageFromFile', _scope_='mmdiff')
LOAD_LABELS = dict(type='LoadAnnotations', _scope_='mmdiff')


def gradient(height=20, width=30):
    return np.add.outer(np.arange(height) * 5, np.arange(width) * 5).clip(0, 255).astype(np.uint8)


def turned(array, path, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(array).save(path, exif=exif)
    return path


def load(path, scope='mmseg', **info):
    init_default_scope(scope)
    return TRANSFORMS.build(LOAD)(dict(img_path=str(path), **info))['img'][..., ::-1]


def load_pair(image, labels, **info):
    init_default_scope('mmseg')
    results = dict(
        img_path=str(image), seg_map_path=str(labels), reduce_zero_label=False, label_map=None,
        seg_fields=[],
    )  # fmt: skip
    for transform in (LOAD, LOAD_LABELS):
        results = TRANSFORMS.build(transform)(results | info)
    return results['gt_seg_map']


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('grey', [False, True])
def test_ordinary_files_have_the_pixels_of_mmcv(suffix, grey, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (45, 61, 3), np.uint8)
    path = tmp_path / f'photo{suffix}'
    Image.fromarray(values[..., 0] if grey else values).save(path)
    for backend in ('cv2', 'pillow'):
        old = TRANSFORMS.build(dict(type='LoadImageFromFile', imdecode_backend=backend))
        np.testing.assert_array_equal(load(path), old(dict(img_path=str(path)))['img'][..., ::-1])


@pytest.mark.parametrize('scope', ['mmseg', 'mmdet', 'mmpretrain'])
@pytest.mark.parametrize('kind', ['16-bit.png', '16-bit.tif', '16-bit.pgm', 'LA.png', 'float.tif'])
def test_every_tool_reads_the_same(scope, kind, tmp_path):
    grey, path = gradient(), tmp_path / kind
    image = {
        '16': lambda: Image.fromarray(grey.astype(np.uint16) * 257),
        'LA': lambda: Image.fromarray(np.dstack([grey, grey])),
        'fl': lambda: Image.fromarray(grey.astype(np.float32) / 255),
    }[kind[:2]]()
    (image.convert('I') if path.suffix == '.pgm' else image).save(path)
    expected = np.dstack([grey] * 3)
    np.testing.assert_array_equal(np.asarray(read_image(path)), expected)
    np.testing.assert_array_equal(load(path, scope), expected)


def test_grey_tiff_of_12_bits(tmp_path):
    """Two pixels of a microscope's camera, 0x800 and 0xFFF of at most 0xFFF."""
    tags = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1),
            (279, 3)]  # fmt: skip
    entries = b''.join(struct.pack('<HHIHH', tag, 3, 1, value, 0) for tag, value in tags)
    path = tmp_path / 'cells.tif'
    path.write_bytes(
        b'II*\0' + struct.pack('<I', 12) + b'\x80\x0f\xff\0'
        + struct.pack('<H', len(tags)) + entries + bytes(4)
    )  # fmt: skip
    assert list(np.asarray(read_rgb(path))[0, :, 0]) == [128, 255]


def test_grey_tiff_whose_zero_is_white(tmp_path):
    grey = gradient()
    path = tmp_path / 'scan.tif'
    Image.fromarray(grey.astype(np.uint16) * 257).save(path, tiffinfo={262: 0})
    with Image.open(path) as image:
        assert image.tag_v2[262] == 0
    np.testing.assert_array_equal(np.asarray(read_rgb(path))[..., 0], 255 - grey)


@pytest.mark.parametrize('turn', range(1, 9))
def test_a_turned_image_and_its_label_map(turn, tmp_path):
    """The label map was drawn on what a viewer shows, or carries the same note."""
    image = turned(gradient(), tmp_path / 'a.png', turn)
    shown = np.asarray(read_rgb(image))[..., 0]
    labels = tmp_path / 'labels.png'
    Image.fromarray(shown // 64).save(labels)
    np.testing.assert_array_equal(load_pair(image, labels), shown // 64)
    np.testing.assert_array_equal(load(image)[..., 0], shown)
    turned(gradient() // 64, labels, turn)
    np.testing.assert_array_equal(load_pair(image, labels), shown // 64)


def test_label_maps_of_another_size_are_named(tmp_path):
    image = turned(gradient(), tmp_path / 'photo.jpg', 6)
    labels = tmp_path / 'labels.png'
    Image.fromarray(gradient() // 64).save(labels)
    with pytest.raises(ValueError, match=r'labels\.png has 30x20 .*photo\.jpg has 20x30 .*turn th'):
        load_pair(image, labels)
    Image.fromarray(gradient()[::2, ::2] // 64).save(labels)
    with pytest.raises(ValueError, match=r'labels\.png has 15x10 .*photo\.jpg .*one size'):
        load_pair(image, labels)


def test_annotations_tell_which_way_up_they_are(tmp_path):
    image = turned(gradient(), tmp_path / 'photo.png', 6)
    np.testing.assert_array_equal(load(image, width=30, height=20)[..., 0], gradient())
    np.testing.assert_array_equal(load(image, width=20, height=30)[..., 0], np.rot90(gradient(), 3))
    with pytest.raises(ValueError, match=r'photo\.png has 20x30 .*annotations are for 40x60'):
        load(image, width=40, height=60)


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'I;16', 'I'])
def test_label_maps(mode, tmp_path):
    labels = gradient() // 64 if mode != '1' else gradient() // 128
    path = tmp_path / 'labels.tif'
    image = Image.fromarray(labels.astype({'I;16': np.uint16, 'I': np.int32}.get(mode, np.uint8)))
    if mode == '1':
        image = image.point(lambda v: 255 * v, '1')
    elif mode == 'P':
        image.putpalette([7, 8, 9] * 256)
    image.save(path)
    with Image.open(path) as saved:
        assert saved.mode == mode
    np.testing.assert_array_equal(read_label_map(path), labels)
    table = np.array([255, 0, 1, 2])
    np.testing.assert_array_equal(
        load_pair(path, path, reduce_zero_label=True) if mode == 'L' else table[labels],
        table[labels],
    )


def png_of_few_bits(path, rows, bits):
    """Pillow writes 2 and 4 bits for palettes; without one, the file is grey."""
    image = Image.fromarray(rows).convert('P')
    image.putpalette([0, 0, 0] * 2**bits)
    image.save(path, bits=bits)
    content = bytearray(path.read_bytes())
    assert content[24:26] == bytes([bits, 3])
    content[25] = 0
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, 'big')
    start = content.index(b'PLTE') - 4
    length = int.from_bytes(content[start : start + 4], 'big') + 12
    path.write_bytes(content[:start] + content[start + length :])


@pytest.mark.parametrize('bits', [2, 4])
def test_label_maps_of_few_bits(bits, tmp_path):
    """As which the Pillow would show 0, 85, 170 and 255."""
    labels = gradient() // 64
    png_of_few_bits(tmp_path / 'labels.png', labels, bits)
    with Image.open(tmp_path / 'labels.png') as image:
        assert image.mode == 'L'
    np.testing.assert_array_equal(read_label_map(tmp_path / 'labels.png'), labels)


@pytest.mark.parametrize(
    ('array', 'suffix', 'message'),
    [
        (np.dstack([gradient()] * 3), '.png', 'mode RGB, but a label map has one channel'),
        (np.dstack([gradient()] * 4), '.png', 'mode RGBA, but a label map has one channel'),
        (np.dstack([gradient()] * 2), '.png', 'mode LA, but a label map has one channel'),
        (gradient().astype(np.float32), '.tif', 'mode F, but a label map has one channel'),
        (gradient().astype(np.uint16) + 300, '.png', 'label 540, but labels are 0 to 254'),
        (gradient().astype(np.int32) - 1, '.tif', 'label -1, but labels are 0 to 254'),
        (gradient(), '.jpg', 'is a JPEG file, which changes the numbers'),
    ],
)
def test_label_maps_that_would_be_misread(array, suffix, message, tmp_path):
    path = tmp_path / f'labels{suffix}'
    Image.fromarray(array).save(path)
    Image.fromarray(gradient()).save(tmp_path / 'image.png')
    with pytest.raises(ValueError, match=rf'labels\{suffix} .*{message}'):
        load_pair(tmp_path / 'image.png', path)


def test_an_inherited_config_has_the_packages_annotations():
    """Inside mmdiff's scope a name without one may be mmdiff's, but boxes are MMDetection's."""
    with ExitStack() as scopes:
        for scope in ('mmdet', 'mmdiff'):
            scopes.enter_context(DefaultScope.overwrite_default_scope(scope))
        assert registry.TRANSFORMS.get('LoadAnnotations').__module__.startswith('mmdet.')


def test_reduce_zero_label_stands_in_one_place(tmp_path):
    Image.fromarray(gradient()).save(tmp_path / 'a.png')
    transform = TRANSFORMS.build(dict(LOAD_LABELS, reduce_zero_label=True))
    with pytest.raises(ValueError, match='True in LoadAnnotations, but False in the data set'):
        transform(
            dict(
                img_path='a', seg_map_path=str(tmp_path / 'a.png'), ori_shape=(20, 30),
                reduce_zero_label=False, label_map=None, seg_fields=[],
            )
        )  # fmt: skip


@pytest.mark.parametrize('reduce_zero_label', [False, True])
def test_labels_are_those_of_mmsegmentation(reduce_zero_label, tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(path)
    info = dict(reduce_zero_label=reduce_zero_label, label_map={0: 2, 1: 255, 2: 0})
    init_default_scope('mmseg')
    old = TRANSFORMS.build(dict(type='LoadAnnotations'))(
        dict(seg_map_path=str(path), seg_fields=[], **info)
    )
    np.testing.assert_array_equal(load_pair(path, path, **info), old['gt_seg_map'])


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('frames.gif', 'has 2 frames or pages'),
        ('pages.tif', 'has 2 frames or pages'),
        ('float.tif', r'floating-point values must be in \[0, 1\], got 0.0 to 240.0'),
        ('int.tif', 'has 32-bit integers'),
        ('cut.jpg', '[Tt]runcated'),
    ],
)
def test_what_would_be_misread_is_refused(name, message, tmp_path):
    path = tmp_path / name
    image = Image.fromarray(gradient())
    if message.startswith('has 2'):
        image.save(path, save_all=True, append_images=[image.rotate(90)])
    elif name == 'cut.jpg':
        image.save(path)
        path.write_bytes(path.read_bytes()[:-200])
    else:
        kind = np.float32 if 'float' in name else np.int32
        Image.fromarray(gradient().astype(kind)).save(path)
    for reader in (read_image, load):
        with pytest.raises(ValueError, match=rf'{name}.*{message}'):
            reader(path)


def test_files_of_the_system_are_no_images(tmp_path):
    for name in ('._cat.jpg', '.cat.png', '.DS_Store', 'Thumbs.db', 'desktop.ini', 'notes.txt'):
        (tmp_path / name).write_bytes(b'\0\5\x16\7')
        assert not is_image_file(name)
    assert not is_image_file('__MACOSX/dogs/rex.jpg')
    assert not is_image_file('cats/.ipynb_checkpoints/tom-checkpoint.jpg')
    Image.fromarray(gradient()).save(tmp_path / 'cat.jpg')
    assert list_images(tmp_path) == [tmp_path / 'cat.jpg']
