"""Standardised features: measured once, over all processes, and kept in the checkpoint."""

import copy

import pytest
import torch

from mmdiff.models import ChannelStandardization, FeatureAdapter, FeatureAggregator, standardization


@pytest.fixture(autouse=True)
def three_iterations(monkeypatch):
    monkeypatch.setattr(standardization, 'MEASURED_ITERATIONS', 3)


def batches(count):
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1e-2, 1.0, 50.0])[:, None, None]
    # Of any size, as images of a detector are.
    return [
        torch.randn(2 + n, 3, 4, 5 + n, generator=generator) * scale + 7 * scale * (1 + n)
        for n in range(count)
    ]


def by_hand(seen, x):
    values = torch.cat([b.transpose(0, 1).flatten(1) for b in seen], dim=1).double()
    mean, deviation = values.mean(1), values.std(1, unbiased=False)
    return ((x - mean[:, None, None]) / deviation[:, None, None]).float()


def trained(seen):
    module = ChannelStandardization(3)
    for x in seen:
        module(x)
    return module


def close(a, b):
    torch.testing.assert_close(a, b, rtol=5e-3, atol=5e-3)


def test_statistics_are_those_of_the_first_batches():
    module, seen = ChannelStandardization(3), batches(5)
    for n, x in enumerate(seen):
        close(module(x), by_hand(seen[: min(n + 1, 3)], x))
    close(module.eval()(seen[4]), by_hand(seen[:3], seen[4]))


def test_a_checkpoint_keeps_them():
    """And a run that resumes measures the rest, or nothing."""
    seen = batches(5)
    whole = trained(seen)
    for done in (2, 3, 4):
        resumed = ChannelStandardization(3)
        resumed.load_state_dict(trained(seen[:done]).state_dict())
        close(resumed.eval()(seen[0]), by_hand(seen[: min(done, 3)], seen[0]))
        resumed.train()
        for x in seen[done:]:
            resumed(x)
        for key, value in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[key], value), key
    assert torch.equal(copy.deepcopy(whole).eval()(seen[0]), whole.eval()(seen[0]))


def test_evaluation_before_training_is_refused():
    with pytest.raises(RuntimeError, match='first training iterations, and there were none'):
        ChannelStandardization(3).eval()(batches(1)[0])


def test_features_that_are_trained_are_said_to_drift(monkeypatch):
    said = []
    monkeypatch.setattr(standardization, 'print_log', lambda text, **_: said.append(text))
    trained(batches(2))
    assert not said
    module = trained(x.requires_grad_() for x in batches(2))
    (text,) = said
    assert 'the features are trained, and will drift' in text
    x = batches(1)[0].requires_grad_()
    module(x).sum().backward()
    assert x.grad.any()


@pytest.mark.parametrize('timesteps', [1, 2])
def test_necks(timesteps):
    """Each channel of each block at each timestep by itself."""
    features = [
        [scale * torch.randn(2, 3, 8, 8) + 9 * scale for scale in (1.0, 100.0)]
        for _ in range(timesteps)
    ]
    blocks = dict(in_strides=(4, 4), out_channels=5, out_strides=(4, 4), standardize=True)
    standardized = [[by_hand([m], m) for m in maps] for maps in features]
    adapter = FeatureAdapter(in_channels=(3 * timesteps,) * 2, **blocks)
    plain = FeatureAdapter(in_channels=(3 * timesteps,) * 2, **blocks | dict(standardize=False))
    plain.load_state_dict({k: v for k, v in adapter.state_dict().items() if 'standard' not in k})
    for level, expected in zip(adapter(features), plain(standardized), strict=True):
        close(level, expected)
    aggregator = FeatureAggregator((3, 3), num_timesteps=timesteps, **blocks)
    mixed = sum(
        conv(feature) / (2 * timesteps)
        for maps in standardized
        for conv, feature in zip(aggregator.convs, maps, strict=True)
    )
    close(aggregator(features)[0], mixed)
