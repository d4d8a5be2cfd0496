"""Classification data sets: counts, and errors for what is not whole."""

import numpy as np
import pytest
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image
from scipy.io import savemat

import mmdiff.classification  # noqa: F401

LOAD = [dict(type='LoadImageFromFile', imdecode_backend='pillow')]


def build(kind, **kwargs):
    init_default_scope('mmpretrain')
    return DATASETS.build(dict(type=f'mmdiff.{kind}', **kwargs))


def touch(root, paths):
    for folder in {(root / path).parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        (root / path).touch()


def cells(texts):
    return np.array([[text] for text in texts], dtype=object)


# Each writes a data set's files as they are published, with empty images.


def make_aircraft(root):
    from mmpretrain.datasets.categories import FGVCAIRCRAFT_CATEGORIES as names

    paths = []
    for split, start, count in (('trainval', 0, 6667), ('test', 6667, 3333)):
        images = range(start, start + count)
        touch(root / 'data', [f'images_variant_{split}.txt'])
        (root / f'data/images_variant_{split}.txt').write_text(
            ''.join(f'{i:07d} {names[i % 100]}\n' for i in images)
        )
        paths += [f'data/images/{i:07d}.jpg' for i in images]
    return paths


def make_cars(root):
    paths = []
    fields = ('bbox_x1', 'bbox_y1', 'bbox_x2', 'bbox_y2', 'class', 'fname')
    (root / 'devkit').mkdir(parents=True)
    for split, count, name in (
        ('train', 8144, 'cars_train_annos'),
        ('test', 8041, 'cars_test_annos_withlabels'),
    ):
        images = [(1, 1, 2, 2, i % 196 + 1, f'{i + 1:05d}.jpg') for i in range(count)]
        table = np.array(images, dtype=[(field, object) for field in fields])
        savemat(root / f'devkit/{name}.mat', {'annotations': table})
        paths += [f'cars_{split}/{image[-1]}' for image in images]
    return paths


def make_cub(root):
    count = 5994 + 5794
    files = [f'{i % 200 + 1:03d}.Bird/Bird_{i}.jpg' for i in range(count)]
    for name, values in (
        ('images', files),
        ('image_class_labels', [i % 200 + 1 for i in range(count)]),
        ('train_test_split', [int(i < 5994) for i in range(count)]),
    ):
        lines = [f'{i + 1} {value}\n' for i, value in enumerate(values)]
        (root / f'{name}.txt').write_text(''.join(lines))
    return [f'images/{file}' for file in files]


def make_dogs(root):
    paths = []
    for split, start, count in (('train', 0, 12000), ('test', 12000, 8580)):
        numbers = np.arange(start, start + count)
        files = [f'n{i % 120:08d}-dog-{i % 120}/n{i % 120:08d}_{i}.jpg' for i in numbers]
        lists = {'file_list': cells(files), 'annotation_list': cells(files)}
        labels = (numbers % 120 + 1)[:, None].astype(float)
        savemat(root / f'{split}_list.mat', {**lists, 'labels': labels})
        paths += [f'Images/{file}' for file in files]
    return paths


def make_flowers(root):
    savemat(root / 'imagelabels.mat', {'labels': np.arange(8189)[None] % 102 + 1})
    numbers = np.arange(1, 8190)[None]
    parts = {'trnid': numbers[:, :1020], 'valid': numbers[:, 1020:2040], 'tstid': numbers[:, 2040:]}
    savemat(root / 'setid.mat', parts)
    return [f'jpg/image_{i:05d}.jpg' for i in range(1, 8190)]


def make_nabirds(root):
    count = 23929 + 24633
    # 555 of its class numbers, from all over the tree.
    nodes = [295 + i + (i > 300) * 100 for i in range(555)]
    images = [f'{i:08x}-0000-4000-8000-{i:012x}' for i in range(count)]
    files = [f'{nodes[i % 555]:04d}/{i:032x}.jpg' for i in range(count)]
    for name, pairs in (
        ('classes', [(node, f'Bird {node}') for node in range(1011)]),
        ('images', zip(images, files, strict=True)),
        ('image_class_labels', [(image, nodes[i % 555]) for i, image in enumerate(images)]),
        ('train_test_split', [(image, int(i < 23929)) for i, image in enumerate(images)]),
    ):
        (root / f'{name}.txt').write_text(''.join(f'{key} {value}\n' for key, value in pairs))
    return [f'images/{file}' for file in files]


def make_imagenet50(root):
    paths = []
    (root / 'meta').mkdir()
    for split, count in (('train', 64274), ('val', 2500)):
        names = [f'n{i % 50:08d}/{i}.JPEG' for i in range(count)]
        lines = [f'{name} {i % 50}\n' for i, name in enumerate(names)]
        (root / f'meta/{split}_50.txt').write_text(''.join(lines))
        paths += [f'{split}/{name}' for name in names]
    return paths


@pytest.mark.parametrize(
    ('kind', 'make', 'training', 'num_train', 'num_test', 'num_classes', 'name'),
    [
        ('FGVCAircraft', make_aircraft, 'trainval', 6667, 3333, 100, '767-200'),
        ('StanfordCars', make_cars, 'train', 8144, 8041, 196, None),
        ('CUB', make_cub, 'train', 5994, 5794, 200, None),
        ('StanfordDogs', make_dogs, 'train', 12000, 8580, 120, 'dog-16'),
        ('Flowers102', make_flowers, 'trainval', 2040, 6149, 102, None),
        ('NABirds', make_nabirds, 'train', 23929, 24633, 555, 'Bird 311'),
        ('ImageNet50', make_imagenet50, 'train', 64274, 2500, 50, None),
    ],
)
def test_fine_grained(kind, make, training, num_train, num_test, num_classes, name, tmp_path):
    paths = make(tmp_path)
    touch(tmp_path, paths)
    root = str(tmp_path)
    evaluation = 'val' if kind == 'ImageNet50' else 'test'
    # The fakes' labels go round, and in some start anew with each split.
    anew = kind in ('StanfordCars', 'ImageNet50')
    for split, first, count in (
        (training, 0, num_train),
        (evaluation, 0 if anew else num_train, num_test),
    ):
        data = build(kind, data_root=root, split=split)
        assert len(data) == count
        assert (data.get_gt_labels() == (first + np.arange(count)) % num_classes).all()
        assert name is None or data.CLASSES[16] == name
    (tmp_path / paths[-1]).unlink()
    with pytest.raises(ValueError, match=f'1 of {num_test} images are not there.*{paths[-1]}'):
        build(kind, data_root=root, split=evaluation)


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('train_test_split', lambda i: int(i < 5993), '5994 images in its train split, but 5993'),
        ('image_class_labels', lambda i: i % 199 + 1, '200 classes in its train split, but 199'),
        ('image_class_labels', lambda i: i % 201 + 1, 'the label 200 is not one of 200 classes'),
    ],
)
def test_other_counts(name, value, message, tmp_path):
    touch(tmp_path, make_cub(tmp_path))
    (tmp_path / f'{name}.txt').write_text(''.join(f'{i + 1} {value(i)}\n' for i in range(11788)))
    with pytest.raises(ValueError, match=message):
        build('CUB', data_root=str(tmp_path))


@pytest.mark.parametrize('kind', ['StanfordDogs', 'NABirds', 'ImageNet50'])
def test_unknown_split_and_missing_lists(kind, tmp_path):
    with pytest.raises(
        ValueError, match=r"split must be one of \['train', '(test|val)'\], got 'all'"
    ):
        build(kind, data_root=str(tmp_path), split='all')
    with pytest.raises(FileNotFoundError, match=r'(train_list.mat|images.txt|train_50.txt)'):
        build(kind, data_root=str(tmp_path))


def test_birds_whose_lists_differ(tmp_path):
    make_nabirds(tmp_path)
    path = tmp_path / 'images.txt'
    path.write_text(''.join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match='must be of the same images'):
        build('NABirds', data_root=str(tmp_path))


@pytest.fixture
def folders(tmp_path):
    """Two classes of two images each."""
    for name in ('a/1.jpg', 'a/2.jpg', 'b/1.jpg', 'b/2.jpg'):
        path = tmp_path / 'train' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(noise).save(path)
    return tmp_path


@pytest.mark.parametrize('kind', ['CustomDataset', 'ImageNet'])
def test_class_folders_and_lists(kind, folders):
    kwargs = dict(data_root=str(folders), data_prefix='train')
    if kind == 'ImageNet':
        kwargs['classes'] = ('a', 'b')
    data = build(kind, **kwargs)
    assert data.get_gt_labels().tolist() == [0, 0, 1, 1]
    names = folders / 'list.txt'
    names.write_text('a/1.jpg 0\nb/2.jpg 1\n')
    assert len(build(kind, ann_file='list.txt', **kwargs)) == 2

    # As other programs write them.
    (folders / 'train/a/my cat.jpg').write_bytes((folders / 'train/a/1.jpg').read_bytes())
    for text in (
        '\ufeffa/1.jpg 0\nb/2.jpg 1\n', 'a/1.jpg 0\r\nb/2.jpg 1', '\na/1.jpg 0\n  \nb/2.jpg 1 \n\n',
        'a/1.jpg\t0\nb/2.jpg\t1\n', 'a/my cat.jpg 0\nb/2.jpg 1\n',
    ):  # fmt: skip
        names.write_bytes(text.encode())
        data = build(kind, ann_file='list.txt', **kwargs)
        assert data.get_gt_labels().tolist() == [0, 1]
        assert data.get_data_info(1)['img_path'] == str(folders / 'train/b/2.jpg')
    names.write_bytes('a/é.jpg 0\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'list\.txt is not text in UTF-8'):
        build(kind, ann_file='list.txt', **kwargs)

    for text, message in (
        ('a/1.jpg 0\na/9.jpg 0\nb/7.jpg 1\n', '2 of 3 images are not there, such as .*a/9.jpg'),
        ('a/1.jpg 0\nc/1.jpg 1\n', '1 of 2 images are not there, such as .*c/1.jpg'),
        ('a/1.jpg 0\nb/1.jpg\n', "line 2: needs a path and a label, got 'b/1.jpg'"),
        ('a/1.jpg -1\n', "line 1: needs a path and a label, got 'a/1.jpg -1'"),
        ('', 'list.txt has no images'),
    ):
        names.write_text(text)
        with pytest.raises(ValueError, match=message):
            build(kind, ann_file='list.txt', **kwargs)
    names.write_text('a/1.jpg 0\na/2.jpg 2\n')
    with pytest.raises(ValueError, match='the label 2 is not one of 2 classes'):
        build(kind, ann_file='list.txt', **{**kwargs, 'classes': ('a', 'b')})

    (folders / 'train/c').mkdir()
    (folders / 'train/c/notes.txt').touch()
    with pytest.raises(ValueError, match='the class folders c have no images'):
        build(kind, **{**kwargs, 'classes': ('a', 'b', 'c')})


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (lambda data: data[: len(data) // 2], 'truncated'),
        (lambda data: b'', 'cannot identify image file'),
        (lambda data: b'<html>not found</html>', 'cannot identify image file'),
    ],
    ids=['truncated', 'empty', 'no image'],
)
def test_a_broken_image_is_named(damage, reason, folders):
    path = folders / 'train/b/1.jpg'
    path.write_bytes(damage(path.read_bytes()))
    data = build('CustomDataset', data_root=str(folders), data_prefix='train', pipeline=LOAD)
    assert data[0]['img'].shape == (40, 40, 3)
    with pytest.raises(RuntimeError, match=rf'train/b/1.jpg could not be loaded.*{reason}'):
        data[2]


def test_without_labels(folders):
    kwargs = dict(data_root=str(folders), data_prefix='train', with_label=False)
    assert len(build('CustomDataset', **kwargs)) == 4
    (folders / 'list.txt').write_text('a/1.jpg\na/3.jpg\n')
    with pytest.raises(ValueError, match='1 of 2 images are not there'):
        build('CustomDataset', ann_file='list.txt', **kwargs)
