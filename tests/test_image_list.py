"""Lists of images for training with few labels or few classes."""

from collections import Counter

import pytest

SCRIPT = 'tools/dataset_converters/image_list.py'
COUNTS = {'n01': 40, 'n02': 20, 'n03': 4}


@pytest.fixture
def folder(tmp_path):
    for name, count in COUNTS.items():
        (tmp_path / 'train' / name).mkdir(parents=True)
        for number in range(count):
            (tmp_path / 'train' / name / f'{name}_{number}.JPEG').touch()
        (tmp_path / 'train' / name / 'notes.txt').touch()
    return tmp_path / 'train'


@pytest.fixture
def listing(run, folder, tmp_path):
    def make(*options):
        out = tmp_path / 'list.txt'
        run('python', SCRIPT, folder, out, *options)
        return [tuple(line.split()) for line in out.read_text().splitlines()]

    return make


def test_everything(listing):
    lines = listing()
    assert Counter(label for _, label in lines) == {'0': 40, '1': 20, '2': 4}
    assert ('n02/n02_0.JPEG', '1') in lines


def test_a_share_of_each_class(listing):
    lines = listing('--fraction=0.1')
    assert Counter(label for _, label in lines) == {'0': 4, '1': 2, '2': 1}
    assert listing('--fraction=0.1') == lines
    assert listing('--fraction=0.1', '--seed=1') != lines
    assert len(set(lines)) == 7


def test_the_rest(listing, tmp_path):
    lines = listing('--fraction=0.75', '--rest', tmp_path / 'rest.txt')
    rest = [tuple(line.split()) for line in (tmp_path / 'rest.txt').read_text().splitlines()]
    assert not set(lines) & set(rest)
    assert sorted(lines + rest) == sorted(listing())


def test_a_list_of_images(listing, tmp_path):
    names = tmp_path / 'names.txt'
    names.write_text('n01_3.JPEG\n\nn03/n03_1.JPEG\n')
    assert listing('--images', names) == [('n01/n01_3.JPEG', '0'), ('n03/n03_1.JPEG', '2')]


def test_a_list_of_classes(listing, tmp_path):
    classes = tmp_path / 'classes.txt'
    classes.write_text('n03 third class\nn02 second class\n')
    lines = listing('--classes', classes)
    assert Counter(label for _, label in lines) == {'0': 20, '1': 4}
    assert ('n03/n03_0.JPEG', '1') in lines
    assert Counter(label for _, label in listing('--classes', classes, '--fraction=0.5')) == {
        '0': 10,
        '1': 2,
    }


def test_errors(run, folder, tmp_path):
    names, out = tmp_path / 'names.txt', tmp_path / 'out.txt'
    names.write_text('n01_3.JPEG\nn01_99.JPEG\nn02/n01_3.JPEG\n')
    printed = run('python', SCRIPT, folder, out, '--images', names, fails=True)
    assert 'names 2 images that are not there, such as n01_99.JPEG' in printed
    names.write_text('n09\n')
    printed = run('python', SCRIPT, folder, out, '--classes', names, fails=True)
    assert '--classes names n09' in printed
    printed = run('python', SCRIPT, folder, out, '--fraction=0', fails=True)
    assert 'must be above 0 and at most 1, got 0' in printed
    (folder / 'n02/n02_3.JPEG').rename(folder / 'n01/n02_3.JPEG')
    (folder / 'n02/n02_4.JPEG').touch()
    (folder / 'n01/n02_4.JPEG').touch()
    names.write_text('n02_4.JPEG\n')
    printed = run('python', SCRIPT, folder, out, '--images', names, fails=True)
    assert 'which several classes have: n01, n02' in printed
    (folder / 'n04').mkdir()
    assert 'has no images in n04' in run('python', SCRIPT, folder, out, fails=True)
    assert not out.exists()
    assert 'is no folder' in run('python', SCRIPT, folder / 'x', out, fails=True)


def test_the_list_is_what_mmpretrain_reads(listing, folder, tmp_path):
    from mmengine.registry import DATASETS, init_default_scope

    lines = listing('--fraction=0.2')
    init_default_scope('mmpretrain')
    data = DATASETS.build(
        dict(type='CustomDataset', data_prefix=str(folder), ann_file=str(tmp_path / 'list.txt'))
    )
    infos = [data.get_data_info(number) for number in range(len(data))]
    assert [(i['img_path'], i['gt_label']) for i in infos] == [
        (f'{folder}/{path}', int(label)) for path, label in lines
    ]
