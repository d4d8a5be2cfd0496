"""Lists of images for training with few labels or few classes."""

import runpy
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
def command(root, monkeypatch):
    def call(*arguments):
        monkeypatch.setattr('sys.argv', [SCRIPT, *map(str, arguments)])
        runpy.run_path(str(root / SCRIPT), run_name='__main__')

    return call


@pytest.fixture
def listing(command, folder, tmp_path):
    def make(*options):
        out = tmp_path / 'list.txt'
        command(folder, out, *options)
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


@pytest.mark.parametrize('total', [6, 7, 8, 12])
def test_balanced(total, listing):
    lines = listing('--balanced', total)
    counts = Counter(label for _, label in lines)
    assert len(set(lines)) == total
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(counts) == 3
    assert listing('--balanced', total) == lines
    assert listing('--balanced', total, '--seed=1') != lines


def test_balanced_lists_of_imagenet(root):
    """As many of each class as in SimCLR's."""
    counts = runpy.run_path(str(root / SCRIPT))['balanced_counts']
    images = {f'n{number:08d}': range(732) for number in range(1000)}
    for total, expected in (
        (12811, {12: 189, 13: 811}),
        (128116, {128: 884, 129: 116}),
    ):
        assert Counter(counts(images, total, 0).values()) == expected


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


def test_errors(command, folder, tmp_path, capsys):
    names, out = tmp_path / 'names.txt', tmp_path / 'out.txt'

    def refused(message, *options):
        with pytest.raises(SystemExit) as error:
            command(folder, out, *options)
        assert message in f'{error.value} {capsys.readouterr().err}'

    names.write_text('n01_3.JPEG\nn01_99.JPEG\nn02/n01_3.JPEG\n')
    refused('names 2 images that are not there, such as n01_99.JPEG', '--images', names)
    names.write_text('n09\n')
    refused('--classes names n09', '--classes', names)
    refused('must be above 0 and at most 1, got 0', '--fraction=0')
    refused('--balanced must be at least the 3 classes, got 2', '--balanced=2')
    refused('takes 5 images of each of 3 classes, but n03 has 4', '--balanced=15')
    (folder / 'n02/n02_3.JPEG').rename(folder / 'n01/n02_3.JPEG')
    (folder / 'n02/n02_4.JPEG').touch()
    (folder / 'n01/n02_4.JPEG').touch()
    names.write_text('n02_4.JPEG\n')
    refused('which several classes have: n01, n02', '--images', names)
    (folder / 'n04').mkdir()
    refused('has no images in n04')
    assert not out.exists()
    with pytest.raises(SystemExit, match='is no folder'):
        command(folder / 'x', out)


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
