"""From a user's folders of images and a few label maps to a segmentor."""

import csv
import runpy
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from warm_python import run_script

TOOL = 'tools/few_labels.py'
CLASSES = ('none', 'background', *'0123456789')


@pytest.fixture
def folders(digit_scenes, tmp_path):
    """All training scenes, and label maps of five."""
    images, labels = tmp_path / 'images', tmp_path / 'labels'
    shutil.copytree(digit_scenes / 'images/training', images)
    labels.mkdir()
    for file in sorted((digit_scenes / 'annotations/training').iterdir())[:5]:
        shutil.copy(file, labels)
    return images, labels


@pytest.fixture
def _fast_processes(monkeypatch, root, environment):
    """What the tool starts begins with the large packages imported."""

    def fast_run(command, stdout=None, check=False):
        status, printed = run_script([*map(str, command[1:])], root, environment)
        assert status == 0 or not check, printed
        if hasattr(stdout, 'write'):
            stdout.write(printed)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr('subprocess.run', fast_run)


@pytest.mark.slow
@pytest.mark.usefixtures('_fast_processes')
def test_from_folders_to_a_segmentor(folders, tmp_path, call_tool, capfd):
    out = tmp_path / 'out'
    command = (TOOL, *folders, out, '--classes', *CLASSES, '--iters', 2)

    def last_lines():
        call_tool(*command, '--pretrain-iters', 2)
        return capfd.readouterr().out.splitlines()[-7:]

    printed = last_lines()
    assert printed[0] == 'mIoU on 2 images, trained with 3:'
    assert (out / 'pretrain/unet.pt').is_file()
    scores = dict(csv.reader((out / 'scores.csv').open()))
    assert [*scores] == ['run', 'frozen', 'fine-tuned', 'random']
    # What follows from the best of what is pretrained.
    best = max(('frozen', 'fine-tuned'), key=lambda run: float(scores[run]))
    gain, _, predict = printed[-3:]
    assert f'{float(scores[best]) - float(scores["random"]):+.1f} points ({best})' in gain
    assert predict.endswith(f'{out}/{best}.py {out}/{best}/iter_2.pth')
    width, height = Image.open(out / 'sheet.png').size
    assert width > 2 * height
    # Nothing is done again.
    written = {path: path.stat().st_mtime_ns for path in out.rglob('iter_*.pth')}
    assert len(written) == 4
    assert last_lines() == printed
    assert {path: path.stat().st_mtime_ns for path in out.rglob('iter_*.pth')} == written
    # Another checkpoint is another run.
    with pytest.raises(SystemExit, match=r'frozen\.py is of other settings: name another folder'):
        call_tool(*command, '--checkpoint', 'mmdiff://adm-64-small_digit-scenes.pt')


def test_what_is_held_out():
    split = runpy.run_path(TOOL)['split']
    names = [f'{n:02d}' for n in range(9)]
    train, held_out = split(names, None, seed=0)
    assert (len(train), len(held_out)) == (6, 3)
    assert sorted(train + held_out) == names
    assert split(names, None, seed=0) == (train, held_out)
    assert split(names, None, seed=1) != (train, held_out)
    with pytest.raises(SystemExit, match=r'--held-out must be from 1 to 8, .* got 9'):
        split(names, 9, seed=0)


def no_labels(images, labels):
    shutil.rmtree(labels)


def one_label(images, labels):
    for file in sorted(labels.iterdir())[1:]:
        file.unlink()


def of_no_image(images, labels):
    shutil.copy(next(labels.iterdir()), labels / 'other.png')


def lossy(images, labels):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(labels / '000000.jpg')


def two_suffixes(images, labels):
    Image.open(images / '000001.jpg').save(images / '000001.bmp')
    (images / '000001.jpg').unlink()


def no_images(images, labels):
    for file in images.iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ('fault', 'message'),
    [
        (no_labels, 'labels: there is no folder'),
        (one_label, 'has 1 label maps, but one to train with and one to score with are the least'),
        (of_no_image, 'other.png is of no image in'),
        (lossy, '000000.jpg must be a PNG file'),
        (two_suffixes, 'end with .bmp and .jpg: give them one suffix'),
        (no_images, 'images: .* has no file that ends with'),
    ],
)
def test_folders_that_do_not_suit(fault, message, folders, tmp_path, call_tool):
    fault(*folders)
    with pytest.raises(SystemExit, match=message):
        call_tool(TOOL, *folders, tmp_path / 'out', '--classes', *CLASSES)
    assert not (tmp_path / 'out').exists()


def test_no_checkpoint(folders, tmp_path, call_tool):
    command = (TOOL, *folders, tmp_path / 'out', '--classes', *CLASSES, '--checkpoint')
    with pytest.raises(SystemExit, match=r'--checkpoint: there is no file .*/unet\.pt'):
        call_tool(*command, tmp_path / 'unet.pt')
    assert not (tmp_path / 'out').exists()
