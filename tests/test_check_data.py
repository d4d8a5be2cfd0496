"""The check of labelled data: clean data are clean, and each fault is named with its file."""

import gc
import json
import re
import shutil
import threading

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, init_default_scope
from mmengine.utils import import_modules_from_strings
from PIL import Image

from mmdiff.datasets.check import check_config, check_datasets, check_names
from mmdiff.engine import LabelCheckHook

SPLITS = ('train', 'val')


@pytest.fixture(autouse=True, scope='module')
def _quick_collection():
    """Each data set that is opened collects garbage, in half a second where much is imported."""
    gc.freeze()
    yield
    gc.unfreeze()


def save(array, path, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **kwargs)


def orientation(number):
    exif = Image.Exif()
    exif[0x112] = number
    return exif


@pytest.fixture
def street(tmp_path):
    """Two classes: images and label maps of two splits."""
    rng = np.random.default_rng(0)
    for split in SPLITS:
        for number in range(3):
            labels = (np.indices((12, 16)).sum(0) + number) // 5 % 2
            image = (labels[..., None] * 90 + rng.integers(0, 60, (12, 16, 3))).astype(np.uint8)
            save(image, tmp_path / f'img_dir/{split}/{number}.jpg')
            save(labels.astype(np.uint8), tmp_path / f'ann_dir/{split}/{number}.png')
    return tmp_path


def street_config(folder, **changes):
    dataset = dict(
        type='BaseSegDataset',
        data_root=str(folder),
        metainfo=dict(classes=('ground', 'thing'), palette=[[0, 0, 0], [255, 0, 0]]),
        pipeline=[
            dict(type='LoadImageFromFile', _scope_='mmdiff'),
            dict(type='LoadAnnotations', _scope_='mmdiff'),
        ],
    )
    loaders = {
        f'{split}_dataloader': dict(
            dataset=dataset
            | dict(data_prefix=dict(img_path=f'img_dir/{split}', seg_map_path=f'ann_dir/{split}'))
            | changes
        )
        for split in SPLITS
    }
    return Config(dict(default_scope='mmseg', **loaders))


def labels_of(folder, split='train', number=1):
    path = folder / f'ann_dir/{split}/{number}.png'
    return path, np.asarray(Image.open(path))


def zero_and_255(folder):
    for path in folder.glob('ann_dir/*/*.png'):
        save(np.asarray(Image.open(path)) * 255, path)


def wide(folder):
    path, labels = labels_of(folder)
    save(labels.astype(np.uint16) + 256, path)


def coloured(folder):
    path, labels = labels_of(folder)
    save(np.dstack([labels * 128] * 3), path)


def halved(folder):
    path, labels = labels_of(folder, 'val')
    save(labels[::2, ::2], path)


def another_class(folder):
    path, labels = labels_of(folder, 'val')
    save(labels * 2, path)


def from_one(folder):
    for path in folder.glob('ann_dir/*/*.png'):
        save(np.asarray(Image.open(path)) + 1, path)


def sideways(folder):
    path = folder / 'img_dir/train/1.jpg'
    save(np.asarray(Image.open(path)), path, exif=orientation(6))


def upside_down(folder):
    path = folder / 'img_dir/train/1.jpg'
    save(np.asarray(Image.open(path)), path, exif=orientation(3))


def rename(old, new):
    return lambda folder: (folder / old).rename(folder / new)


def all_of_another_suffix(folder):
    for path in folder.glob('img_dir/train/*.jpg'):
        path.rename(path.with_suffix('.jpeg'))


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-120])


def nothing_to_score(folder):
    for path in folder.glob('ann_dir/val/*.png'):
        save(np.full((12, 16), 255, np.uint8), path)


def left_behind(folder):
    """What macOS puts beside each file, and Windows into each folder."""
    for path in [*folder.rglob('*.jpg'), *folder.rglob('*.png')]:
        path.with_name(f'._{path.name}').write_bytes(b'\0\5\x16\7')
        path.with_name('Thumbs.db').touch()


# What is done to the data, settings of the data set, and what is said of which file; None: nothing.
STREET = {
    'clean': (lambda folder: None, {}, None),
    'files of the system': (left_behind, {}, None),
    'masks of 0 and 255': (
        zero_and_255, {}, r'ann_dir/train: all labels are of class 0 \(ground\), .*save 255 as the',
    ),
    '16-bit labels': (wide, {}, r'train/1\.png has label 257, but labels are 0 to 254'),
    'colours': (coloured, {}, r'train/1\.png has pixels of mode RGB, but a label map has one chan'),
    'half the size': (halved, {}, r'val: .*val/1\.png has 8x6 pixels, but its image .*1\.jpg ha'),
    'bad label in val': (another_class, {}, r'val: .*val/1\.png has label 2, but there are 2 cla'),
    'labels from 1': (from_one, {}, r'has label 2, .*set reduce_zero_label=True'),
    'labels from 1, as set': (from_one, dict(reduce_zero_label=True), None),
    'labels from 0, set otherwise': (
        lambda folder: None, dict(reduce_zero_label=True),
        r'all labels are of class 0 \(ground\)',
    ),
    'orientation 6': (sideways, {}, r'train/1\.png has 16x12 .*1\.jpg has 12x16 when it is turned'),
    'orientation 3': (upside_down, {}, r'warning: train: .*1\.jpg is turned as its EXIF note says'),
    'no label map': (
        lambda folder: (folder / 'ann_dir/val/2.png').unlink(), {},
        r'val: .*img_dir/val/2\.jpg has no label map: .*ann_dir/val/2\.png is not there',
    ),
    'label map of no image': (
        lambda folder: (folder / 'img_dir/val/2.jpg').unlink(), {},
        r'warning: val: .*ann_dir/val/2\.png is the label map of no image',
    ),
    'suffix in upper case': (
        rename('img_dir/train/2.jpg', 'img_dir/train/2.JPG'), {},
        r"train: .*train/2\.JPG is left out, as it does not end with '\.jpg'",
    ),
    'another suffix': (
        all_of_another_suffix, {}, r"has no file that ends with '\.jpg' .*set img_suffix='\.jpeg'",
    ),
    'cut off': (cut('img_dir/val/1.jpg'), {}, r'val: .*val/1\.jpg is not an image that can be re'),
    'empty label map': (
        lambda folder: (folder / 'ann_dir/train/1.png').write_bytes(b''), {},
        r'train/1\.png is not an image that can be read',
    ),
    'nothing to score': (nothing_to_score, {}, r'val: .*ann_dir/val has no pixel of any class'),
    'a class without pixels': (
        lambda folder: None,
        dict(metainfo=dict(classes=('ground', 'thing', 'unicorn'))),
        r'warning: train: no pixels of 2 \(unicorn\)',
    ),
}  # fmt: skip


@pytest.mark.parametrize('fault', STREET)
def test_label_maps(fault, street):
    damage, changes, message = STREET[fault]
    damage(street)
    report = check_config(street_config(street, **changes))
    check_message(report, message)


def check_message(report, message):
    if message is None:
        assert not report.errors + report.warnings
        assert '0 errors, 0 warnings' in str(report)
    else:
        assert re.search(message, str(report)), report
        assert bool(report.errors) != message.startswith('warning')


def test_table(street):
    lines = str(check_config(street_config(street))).splitlines()
    assert lines[:2] == ['train: 3 images', 'val: 3 images']
    assert [line.split()[0] for line in lines[4:6]] == ['0', '1']
    shares = [float(line.split()[-2]) for line in lines[4:6]]
    assert sum(shares) == pytest.approx(100, abs=0.02)


LISTS = {
    'as it should be': ('0\n1', None),
    'windows': ('0\r\n1 \r\n', None),
    'byte-order mark': ('\ufeff0\n1\n', 'begins with a byte-order mark'),
    'blank line': ('0\n\n1\n', r'list\.txt, line 2 is blank'),
    'with suffixes': ('0.jpg\n1.jpg\n', r"list\.txt, line 1: '0\.jpg' has a suffix"),
    'no such image': ('0\n9\n', r'img_dir/train/9\.jpg, which .*list\.txt names, is not there'),
    'a space in a name': ('0\na b\n', None),
}


@pytest.mark.parametrize('case', LISTS)
def test_lists_of_label_maps(case, street):
    text, message = LISTS[case]
    (street / 'list.txt').write_bytes(text.encode())
    for split in SPLITS:
        for kind, suffix in (('img_dir', '.jpg'), ('ann_dir', '.png')):
            folder = street / kind / split
            shutil.copy(folder / f'1{suffix}', folder / f'a b{suffix}')
    check_message(check_config(street_config(street, ann_file='list.txt')), message)


def build(cfg, split):
    init_default_scope(cfg.default_scope)
    return DATASETS.build(cfg[f'{split}_dataloader'].dataset)


class Run:
    """What the hook needs of a run."""

    val_loop = True

    def __init__(self, cfg):
        self.logger = MMLogger.get_instance('check')
        for split in SPLITS:
            loader = type('Loader', (), dict(dataset=build(cfg, split)))
            setattr(self, f'{split}_dataloader', loader)


def test_a_run_looks_at_a_sample_of_each_split_before_training(street):
    LabelCheckHook().before_train(Run(street_config(street)))
    another_class(street)
    with pytest.raises(ValueError, match=r'tools/check_data\.py .*\nval: .*1\.png has label 2'):
        LabelCheckHook().before_train(Run(street_config(street)))


def test_a_sample_grows_where_it_is_suspicious(street):
    """Of many masks, all but the last one read have no object."""
    for number in range(3, 40):
        for folder, suffix in (('img_dir', '.jpg'), ('ann_dir', '.png')):
            shutil.copy(
                street / f'{folder}/train/1{suffix}', street / f'{folder}/train/{number}{suffix}'
            )
    masks = sorted(street.glob('ann_dir/train/*.png'))
    for path in masks:
        save(np.zeros((12, 16), np.uint8), path)
    cfg = street_config(street)
    report = check_datasets({'train': build(cfg, 'train')}, sample=4)
    assert 'all labels are of class 0 (ground)' in report.errors[0]
    last = np.random.default_rng(0).permutation(40)[-1]
    save(np.ones((12, 16), np.uint8), masks[last])
    assert not check_datasets({'train': build(cfg, 'train')}, sample=4).errors


def test_names_are_checked_before_mmsegmentation_fails(street):
    assert not check_names(street_config(street), SPLITS)
    all_of_another_suffix(street)
    (error,) = check_names(street_config(street), SPLITS)
    assert "set img_suffix='.jpeg'" in error


@pytest.fixture
def cells(tmp_path):
    """COCO-format data of two classes, with ids that have gaps."""
    rng = np.random.default_rng(0)
    for split in SPLITS:
        coco = dict(images=[], annotations=[], categories=[
            dict(id=3, name='cell'), dict(id=7, name='dust'),
        ])  # fmt: skip
        for number in (4, 9, 23):
            name = f'{number}.png'
            save(rng.integers(0, 256, (40, 60, 3), np.uint8), tmp_path / split / name)
            coco['images'].append(dict(id=number, file_name=name, width=60, height=40))
            for x, category in ((5, 3), (25, 7)):
                coco['annotations'].append(
                    dict(
                        id=100 * number + x, image_id=number, category_id=category, iscrowd=0,
                        bbox=[x, 5, 10, 12], area=120,
                        segmentation=[[x, 5, x + 10, 5, x + 10, 17]],
                    )
                )  # fmt: skip
        (tmp_path / f'{split}.json').write_text(json.dumps(coco))
    return tmp_path


def cells_config(folder, **changes):
    dataset = dict(
        type='mmdiff.CocoInstances',
        data_root=str(folder),
        metainfo=dict(classes=('cell', 'dust')),
        pipeline=[dict(type='LoadAnnotations', with_bbox=True, with_mask=True)],
    )
    loaders = {
        f'{split}_dataloader': dict(
            dataset=dataset | dict(ann_file=f'{split}.json', data_prefix=dict(img=split)) | changes
        )
        for split in SPLITS
    }
    imports = dict(imports=['mmdiff.detection'])
    return Config(dict(default_scope='mmdet', custom_imports=imports, **loaders))


def edit(key, number, **values):
    """Change an entry of the training file."""
    return lambda coco: coco[key][number].update(values)


def crowds(coco):
    for annotation in coco['annotations'][1:]:
        annotation['iscrowd'] = 1


def corners(coco):
    for annotation in coco['annotations']:
        x, y, w, h = annotation['bbox']
        annotation['bbox'] = [x + 20, y, x + 20 + w, y + h]


def duplicate(key):
    return lambda coco: coco[key].append(dict(coco[key][0]))


CELLS = {
    'ids with gaps': (lambda coco: None, None),
    'image id twice': (duplicate('images'), r'train\.json has the image id 4 twice'),
    'annotation id twice': (duplicate('annotations'), r'has the annotation id 405 twice'),
    'category id twice': (duplicate('categories'), r'train\.json has the category id 3 twice'),
    'polygon of 4 numbers': (
        edit('annotations', 1, segmentation=[[1, 2, 3, 4]]),
        r'annotation 425 of 4\.png has a polygon of 4 numbers',
    ),
    'odd polygon': (
        edit('annotations', 1, segmentation=[[1, 2, 3, 4, 5, 6, 7]]), r'polygon of 7 numbers',
    ),
    'mask of another size': (
        edit('annotations', 1, segmentation=dict(size=[60, 40], counts='abc')),
        r'annotation 425 of 4\.png has a mask of size \[60, 40\], but its image has \[40, 60\]',
    ),
    'box outside': (
        edit('annotations', 0, bbox=[70, 5, 10, 10]),
        r'annotation 405 of 4\.png has the box \[70, 5, 10, 10\], outside of its 60x40 pixels',
    ),
    'box without an area': (
        edit('annotations', 0, bbox=[0.1, 0.1, 0.5, 0.2]), r'annotation 405 of 4\.png .* in pixels',
    ),
    'box of no number': (
        edit('annotations', 0, bbox=[float('nan'), 5, 10, 10]), r'annotation 405 .* outside of its',
    ),
    'box of 3 numbers': (edit('annotations', 0, bbox=[1, 2, 3]), r'but one is 4 numbers'),
    'corners': (corners, r'annotation 425 .* goes beyond its 60x40 pixels: .* not corners'),
    'box at the edge': (
        edit('annotations', 0, bbox=[-4, 9, 10, 7]), r'warning: train: .*annotation 405 of 4\.png ',
    ),
    'crowds': (crowds, r'warning: train: .*train\.json: 5 of 6 instances are crowds'),
    'image of another size': (
        edit('images', 2, width=120, height=80),
        r'train/23\.png has 60x40 pixels, but its annotations are for 120x80',
    ),
    'annotation of no image': (
        edit('annotations', 3, image_id=5), r'annotation 925 is of image 5, which is not in the fi',
    ),
    'ids as text': (edit('annotations', 3, image_id='9'), r"annotation 925 is of image '9'"),
    'category of none': (
        edit('annotations', 0, category_id=1), r'annotation 405 of 4\.png is of category 1, which',
    ),
    'other categories': (
        lambda coco: coco['categories'].append(dict(id=8, name='hair'))
        or coco['annotations'][0].update(category_id=8),
        r'warning: train: .*1 of 6 annotations are of categories .* left out: hair \(1\)',
    ),
    'missing class': (
        edit('categories', 1, name='Dust'), r"train\.json lacks the classes \['dust'\]",
    ),
    'missing image': (edit('images', 2, file_name='24.png'), r'train/24\.png is not there'),
}  # fmt: skip


@pytest.mark.parametrize('fault', CELLS)
def test_coco(fault, cells, capsys):
    damage, message = CELLS[fault]
    path = cells / 'train.json'
    coco = json.loads(path.read_text())
    damage(coco)
    path.write_text(json.dumps(coco))
    cfg = cells_config(cells)
    import_modules_from_strings(**cfg.custom_imports)
    check_message(check_config(cfg), message)


def test_a_run_refuses_bad_annotations_as_well(cells):
    path = cells / 'train.json'
    coco = json.loads(path.read_text())
    CELLS['polygon of 4 numbers'][0](coco)
    path.write_text(json.dumps(coco))
    with pytest.raises(ValueError, match=r'annotation 425 of 4\.png has a polygon of 4 n'):
        build(cells_config(cells), 'train')
    # One in more than a hundred is left out, as in COCO itself.
    for number in range(200):
        coco['annotations'].append(dict(coco['annotations'][0], id=number))
    path.write_text(json.dumps(coco))
    assert len(build(cells_config(cells), 'train')) == 3


def test_a_turned_image_is_read_as_its_annotations_are(cells):
    path = cells / 'train/4.png'
    save(np.asarray(Image.open(path)), path, exif=orientation(6))
    cfg = cells_config(cells)
    assert not check_config(cfg).errors
    LabelCheckHook().before_train(Run(cfg))
    save(np.zeros((50, 60, 3), np.uint8), path)
    with pytest.raises(ValueError, match=r'train: .*train/4\.png has 60x50 .* for 60x40'):
        LabelCheckHook().before_train(Run(cfg))


def test_the_evaluator_reads_the_same_labels(cells):
    cfg = cells_config(cells)
    cfg.val_evaluator = dict(type='CocoMetric', ann_file=str(cells / 'val.json'))
    assert not check_config(cfg).errors
    cfg.val_evaluator.ann_file = str(cells / 'train.json')
    assert 'val_evaluator.ann_file is' in check_config(cfg).errors[0]


def test_the_model_has_the_classes_of_the_data(cells, street):
    cfg = cells_config(cells)
    cfg.model = dict(roi_head=dict(bbox_head=dict(num_classes=80)))
    assert 'model.roi_head.bbox_head has num_classes=80' in check_config(cfg).errors[0]
    cfg = street_config(street)
    cfg.model = dict(decode_head=[dict(num_classes=2), dict(num_classes=3)])
    assert 'model.decode_head has num_classes=3' in check_config(cfg).errors[0]


@pytest.fixture
def pets(tmp_path):
    rng = np.random.default_rng(0)
    for split in SPLITS:
        for name in ('cat', 'dog', 'horse'):
            for number in range(2):
                image = rng.integers(0, 256, (10, 12, 3), np.uint8)
                save(image, tmp_path / f'{split}/{name}/{split}{number}.jpg')
    return tmp_path


def pets_config(folder, **changes):
    pipeline = [dict(type='LoadImageFromFile', _scope_='mmdiff'), dict(type='PackInputs')]
    dataset = dict(type='mmdiff.CustomDataset', data_root=str(folder), pipeline=pipeline)
    loaders = {
        f'{split}_dataloader': dict(dataset=dataset | dict(data_prefix=split) | changes)
        for split in SPLITS
    }
    imports = dict(imports=['mmdiff.classification'])
    return Config(dict(default_scope='mmpretrain', custom_imports=imports, **loaders))


def system_folders(folder):
    left_behind(folder)
    for name in ('__MACOSX', '.ipynb_checkpoints'):
        shutil.copytree(folder / 'train/cat', folder / 'train' / name)
        shutil.copytree(folder / 'train/cat', folder / 'train/cat' / name)


PETS = {
    'clean': (lambda folder: None, {}, None),
    'files of the system': (system_folders, {}, None),
    'upper and lower case': (
        rename('val/dog', 'val/Dog'), {}, 'classes of train and val differ, .*only train has dog',
    ),
    'upper and lower case, names given': (
        rename('val/dog', 'val/Dog'), dict(metainfo=dict(classes=('a', 'b', 'c'))),
        'only train has dog, only val has Dog',
    ),
    'a class more': (
        lambda folder: shutil.copytree(folder / 'val/dog', folder / 'val/emu'), {},
        'only train has none, only val has emu',
    ),
    'a class less': (
        lambda folder: shutil.rmtree(folder / 'val/cat'), {}, 'only train has cat, only val has no',
    ),
    'empty class': (
        lambda folder: [p.unlink() for p in (folder / 'train/cat').iterdir()], {},
        'train: .*train: the class folders cat have no images',
    ),
    'suffix in upper case': (
        rename('train/cat/train0.jpg', 'train/cat/train0.JPG'), {}, None,
    ),
    'unknown suffix': (
        rename('train/cat/train0.jpg', 'train/cat/train0.jfif'), {},
        r'warning: train: .*cat/train0\.jfif is left out: its suffix is none of',
    ),
    'cut off': (
        cut('val/dog/val1.jpg'), {}, r'val: .*dog/val1\.jpg is not an image that can be read',
    ),
}  # fmt: skip


@pytest.mark.parametrize('fault', PETS)
def test_class_folders(fault, pets):
    damage, changes, message = PETS[fault]
    damage(pets)
    cfg = pets_config(pets, **changes)
    import_modules_from_strings(**cfg.custom_imports)
    check_message(check_config(cfg), message)


def test_a_run_refuses_splits_of_other_classes(pets):
    LabelCheckHook().before_train(Run(pets_config(pets)))
    (pets / 'val/dog').rename(pets / 'val/Dog')
    with pytest.raises(ValueError, match='only train has dog, only val has Dog'):
        LabelCheckHook().before_train(Run(pets_config(pets)))


def test_images_of_training_in_validation(pets):
    cfg = pets_config(pets, data_prefix='train')
    cfg.val_dataloader.dataset.test_mode = True
    check_message(check_config(cfg), r'warning: .*cat/train0\.jpg is in train and in val \(and 5 m')


def of_config(root, path, folder):
    """A config for data in another place."""
    text = Config.fromfile(root / 'configs' / path)
    place = text.train_dataloader.dataset.data_root
    cfg = Config.fromstring(text.pretty_text.replace(place, str(folder)), '.py')
    init_default_scope(cfg.default_scope)
    return cfg


@pytest.mark.parametrize(
    ('path', 'folder'),
    [('upernet_gd-small_camvid.py', 'camvid'), ('mask-rcnn_gd-small_nuclei.py', 'nuclei')],
)
def test_real_data_are_clean(path, folder, root, shared_data):
    report = check_config(of_config(root, path, shared_data / folder))
    assert not report.errors + report.warnings, report


@pytest.mark.parametrize(
    ('path', 'folder'),
    [
        ('upernet_gd_digit-scenes.py', ''),
        ('mask-rcnn_gd_digit-scenes.py', ''),
        ('pretrain_adm-64-small_digit-scenes.py', 'images'),
    ],
)
def test_digit_scenes_are_clean(path, folder, root, digit_scenes):
    assert not check_config(of_config(root, path, digit_scenes / folder)).errors


def test_threads_of_the_check_leave_opencv_alone(street, monkeypatch):
    """A lock that such a thread holds as it ends may be waited for, for ever, in data workers."""
    callers = set()

    def watched(function):
        def call(*args, **kwargs):
            callers.add(threading.current_thread())
            return function(*args, **kwargs)

        return call

    for name, value in vars(cv2).items():
        if callable(value) and not isinstance(value, type):
            monkeypatch.setattr(cv2, name, watched(value))
    from_one(street)
    cfg = street_config(street, reduce_zero_label=True, metainfo=dict(classes=('ground', 'thing')))
    assert not check_config(cfg).errors
    assert callers <= {threading.main_thread()}


@pytest.mark.parametrize('bad', [False, True])
def test_command_line(bad, digit_scenes, tmp_path, root, call_tool, capsys):
    copy = shutil.copytree(digit_scenes, tmp_path / 'scenes')
    if bad:
        file = next((copy / 'annotations/validation').glob('*.png'))
        Image.fromarray(np.full((64, 64), 77, np.uint8)).save(file)
    options = [f'{split}_dataloader.dataset.data_root={copy}' for split in ('train', 'val', 'test')]
    config = root / 'configs/upernet_gd_digit-scenes.py'
    with pytest.raises(SystemExit) as stop:
        call_tool('tools/check_data.py', config, '--cfg-options', *options)
    assert stop.value.code == int(bad)
    printed = capsys.readouterr().out
    assert 'background' in printed
    assert ('.png has label 77' in printed) == bad
