"""Images in memory, on the device, and averaged weights."""

import copy
import resource

import pytest
import torch
from mmengine.model import MomentumAnnealingEMA
from mmengine.registry import LOOPS
from torch import nn

from mmdiff.engine import in_memory
from mmdiff.engine.in_memory import ImagesInMemory
from mmdiff.models import FusedEMA

SIZES = [(40, 40), (32, 56), (64, 33)]


def numbered(sizes=SIZES):
    """Images whose first channel is the row, the second the column, the third their number."""
    images = []
    for number, (height, width) in enumerate(sizes):
        row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
        image = torch.stack([row, column, torch.full_like(row, number)]).to(torch.uint8)
        images.append(dict(inputs=image))
    return images


def held(crop_size=32, **kwargs):
    return ImagesInMemory(numbered(), torch.device('cpu'), crop_size, **kwargs)


def numbers_of(crops):
    return crops[:, 2, 0, 0].tolist()


def test_crops_are_of_the_images():
    images = held()
    for iteration in range(20):
        for row, column, number in images.batch(iteration, 5, seed=0).long():
            height, width = SIZES[number.unique().item()]
            # A crop, as it is in the image.
            assert torch.equal(row - row[0, 0], torch.arange(32)[:, None].expand(32, 32))
            assert torch.equal(column - column[0, 0], torch.arange(32).expand(32, 32))
            assert row.max() < height
            assert column.max() < width


def test_more_images_than_open_files():
    """From a worker, as a data set of 50,000 small images is read."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        images = ImagesInMemory(numbered([(32, 32)] * 200), torch.device('cpu'), 32, num_workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(images.images) == 200


def test_all_places_are_drawn():
    images = ImagesInMemory(numbered([(34, 33)]), torch.device('cpu'), 32)
    crops = images.batch(0, 200, seed=0)
    places = {(crop[0, 0, 0].item(), crop[1, 0, 0].item()) for crop in crops}
    assert places == {(row, column) for row in range(3) for column in range(2)}


def test_each_image_once_an_epoch():
    images = held()
    drawn = [n for iteration in range(6) for n in numbers_of(images.batch(iteration, 4, seed=0))]
    epochs = [tuple(drawn[start : start + 3]) for start in range(0, 24, 3)]
    assert all(sorted(epoch) == [0, 1, 2] for epoch in epochs)
    assert len(set(epochs)) > 1


def test_batches_depend_on_seed_and_iteration_alone():
    crops = held().batch(7, 4, seed=0)
    images = held()
    images.batch(3, 4, seed=0)
    assert torch.equal(images.batch(7, 4, seed=0), crops)
    assert not torch.equal(images.batch(8, 4, seed=0), crops)
    assert not torch.equal(images.batch(7, 4, seed=1), crops)


@pytest.mark.parametrize(('way', 'channel'), [('horizontal', 1), ('vertical', 0)])
def test_half_are_flipped(way, channel):
    crops = held(flip=(way,)).batch(0, 200, seed=0).long()
    first, last = crops[:, channel, 0, 0], crops[:, channel, -1, -1]
    assert 60 < (first > last).sum() < 140
    other = crops[:, 1 - channel]
    assert (other[:, 0, 0] < other[:, -1, -1]).all()


def test_processes_share_an_epoch(monkeypatch):
    monkeypatch.setattr(in_memory, 'get_world_size', lambda: 3)
    drawn = []
    for rank in range(3):
        monkeypatch.setattr(in_memory, 'get_rank', lambda rank=rank: rank)
        drawn += numbers_of(held().batch(0, 1, seed=0))
    assert sorted(drawn) == [0, 1, 2]


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r'crop_size=33, but image 1 .* of 56x32 pixels: resize'):
        held(33)
    with pytest.raises(ValueError, match=r"flip must be .*horizontal.*, got 'diagonal'"):
        held(flip=('diagonal',))
    with pytest.raises(ValueError, match='crop_size'):
        held(0)


def test_the_loop_is_found_by_name():
    assert LOOPS.get('mmdiff.InMemoryTrainLoop') is in_memory.InMemoryTrainLoop


@pytest.mark.parametrize('interval', [1, 2])
def test_averages_equal_mmengines_also_after_loading(interval):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    settings = dict(momentum=0.1, gamma=2, interval=interval)
    ours, theirs = FusedEMA(model, **settings), MomentumAnnealingEMA(model, **settings)

    def train():
        for _ in range(5):
            for parameter in model.parameters():
                parameter.data += torch.randn_like(parameter)
            model(torch.randn(8, 3))
            ours.update_parameters(model)
            theirs.update_parameters(model)

    def check():
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        for key, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[key], value, rtol=1e-6, atol=1e-6)

    with pytest.raises(ValueError, match='update_buffers must be False'):
        FusedEMA(model, update_buffers=True)
    train()
    check()
    state = copy.deepcopy(theirs.state_dict())
    train()
    for average in (ours, theirs):
        average.load_state_dict(state)
    train()
    check()
