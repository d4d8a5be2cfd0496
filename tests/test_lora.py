"""Adapters of every backbone: what they change, what is trained, which files fit."""

import copy

import pytest
import torch
from test_families import FAMILIES, backbone, every_family, images, same, save_run
from torch import nn

from mmdiff.diffusion import CheckpointError, load_weights, merge_lora

RANK = dict(rank=2)
# What takes the embedding of the timestep.
WITHOUT = ('emb_layers', 'time_emb_proj', 'adaLN_modulation')


def adapted(family, lora=RANK, **kwargs):
    """A backbone with adapters that are not zero."""
    model = backbone(family, lora=lora, noise='fixed', **kwargs)
    for name, parameter in model.named_parameters():
        if name.endswith('lora.up.weight'):
            nn.init.normal_(parameter, std=0.2)
    return model


def base_of(model):
    """The weights without adapters."""
    return {key: value for key, value in model.state_dict().items() if '.lora.' not in key}


def adapters_of(model):
    return {key: value for key, value in model.state_dict().items() if '.lora.' in key}


@every_family
def test_adapters_start_as_zero_beside_the_plain_weights(family):
    model, plain = backbone(family, lora=RANK).eval(), backbone(family, frozen='all').eval()
    # Strict: all have the names that they have without adapters.
    plain.load_state_dict(base_of(model))
    with torch.no_grad():
        same(model(images()), plain(images()), tolerance=0)


@every_family
def test_convolutions_and_linear_layers_of_chosen_blocks_are_adapted(family):
    blocks = tuple({FAMILIES[family]['blocks'][0], 2})
    network = backbone(family, lora=RANK | dict(blocks=blocks)).network
    for number, block in enumerate(network.blocks(), start=1):
        layers = {
            name: hasattr(layer, 'lora')
            for name, layer in block.named_modules()
            if hasattr(layer, 'weight') and layer.weight.dim() > 1 and '.lora.' not in name
        }
        for name, has_adapter in layers.items():
            takes_embedding = not {*name.split('.')}.isdisjoint(WITHOUT)
            assert has_adapter == (number in blocks and not takes_embedding), name
        assert layers


@every_family
def test_merged_adapters_give_the_same_features(family):
    model = adapted(family).eval()
    twin, plain = copy.deepcopy(model).requires_grad_(False), copy.deepcopy(model)
    twin.prepare_for_inference()
    plain.load_state_dict({k: v * ('.lora.' not in k) for k, v in model.state_dict().items()})
    with torch.no_grad():
        features, merged, without = model(images()), twin(images()), plain(images())
    for feature, other, base in zip(features, merged, without, strict=True):
        assert (feature - other).abs().max() <= 1e-5 * feature.abs().max()
        assert (feature - base).abs().max() > 1e-2 * feature.abs().max()
    assert twin.state_dict().keys() == base_of(model).keys()


@every_family
def test_only_adapters_are_trained(family):
    """All of them, also where what comes before is frozen and computed again in the backward."""
    runs = []
    for with_cp in (False, True):
        model = adapted(family, with_cp=with_cp).train()
        trained = {name for name, p in model.named_parameters() if p.requires_grad}
        sum(f.square().mean() for f in model(images())).backward()
        runs.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
        # What DDP needs.
        assert runs[-1].keys() == trained
    assert trained >= adapters_of(model).keys()
    others = trained - adapters_of(model).keys()
    assert all(name.startswith(('feedback.', 'text_tokens')) for name in others)
    for name in adapters_of(model):
        first, second = (gradients[name] for gradients in runs)
        assert first.abs().max() > 0
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('family', ['guided diffusion', 'stable diffusion', 'dit'])
def test_mixed_precision(family):
    model = adapted(family, amp_dtype='bfloat16').eval()
    layer = next(m for m in model.network.modules() if hasattr(m, 'lora'))
    dtypes = []
    layer.lora.up.register_forward_hook(lambda *args: dtypes.append(args[2].dtype))
    with torch.no_grad():
        features = model(images())
        model.amp_dtype = None
        for feature, expected in zip(features, model(images()), strict=True):
            assert (feature - expected).abs().mean() < 0.05 * expected.abs().mean()
    assert dtypes == [torch.bfloat16, torch.float32]


@every_family
def test_loads_what_its_run_saved(family, tmp_path):
    trained, path = adapted(family), tmp_path / 'iter_1.pth'
    save_run(trained, path)
    prefix = 'backbone.' + (f'{trained.network_name}.' * (not hasattr(trained, 'vae')))
    init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix=prefix)
    model = backbone(family, seed=1, lora=RANK, init_cfg=init_cfg)
    model.init_weights()
    for key, value in trained.network.state_dict().items():
        assert torch.equal(model.network.state_dict()[key], value), key
    with pytest.raises(CheckpointError, match=r"has LoRA's adapters \(.*\), which are not built"):
        backbone(family, init_cfg=init_cfg).init_weights()


def test_a_plain_checkpoint_is_loaded_strictly():
    plain, model = backbone('guided diffusion', seed=1), adapted('guided diffusion')
    before, weights = adapters_of(model), plain.network.state_dict()
    before = {key: value.clone() for key, value in before.items()}
    assert load_weights(model.network, weights, 'x') == []
    assert all(torch.equal(base_of(model)[f'unet.{k}'], v) for k, v in weights.items())
    assert all(torch.equal(adapters_of(model)[key], value) for key, value in before.items())
    del weights['input_blocks.0.0.weight']
    with pytest.raises(CheckpointError, match=r'missing: input_blocks\.0\.0\.weight$'):
        load_weights(model.network, weights, 'x')


def test_adapters_of_a_file_must_be_those_of_the_network():
    weights = adapted('guided diffusion').network.state_dict()

    def load(source, **kwargs):
        return load_weights(adapted('guided diffusion', **kwargs).network, source, 'x')

    # Those of blocks that are not built are left out, as their weights are.
    left_out = load(weights, blocks=12)
    assert any(key.startswith('output_blocks.3.0') and '.lora.' in key for key in left_out)
    with pytest.raises(CheckpointError, match=r'misshapen: input_blocks\.0\.0\.lora\.down\.weight'):
        load(weights, lora=dict(rank=3))
    restricted = dict(rank=2, blocks=(1, 2))
    with pytest.raises(CheckpointError, match=r'unexpected: input_blocks\.2\..*lora'):
        load(weights, lora=restricted)
    weights = adapted('guided diffusion', restricted).network.state_dict()
    with pytest.raises(CheckpointError, match=r'missing: input_blocks\.2\..*lora'):
        load(weights)


@pytest.mark.parametrize(
    ('lora', 'frozen', 'error', 'message'),
    [
        (8, None, TypeError, r'lora must be a dict\(rank=\.\.\., blocks=\.\.\.\) or None, got 8'),
        ({}, None, ValueError, 'lora must have rank, and may have blocks'),
        (dict(rank=2, alpha=4), None, ValueError, "nothing else, got {'rank': 2, 'alpha': 4}"),
        (dict(rank=0), None, ValueError, r'lora\.rank must be an int of at least 1, got 0'),
        (dict(rank=-1), None, ValueError, r'lora\.rank must be an int of at least 1, got -1'),
        (dict(rank=2.0), None, TypeError, r'lora\.rank must be an int of at least 1, got 2\.0'),
        (dict(rank=2, blocks=15), None, ValueError, r'lora\.blocks .* 1 to 14, .* got 15'),
        (dict(rank=2, blocks=(0, 2)), None, ValueError, r'from 1 to 14, .* got \(0, 2\)'),
        (dict(rank=2, blocks=(2, 2)), None, ValueError, r'different blocks .* got \(2, 2\)'),
        (dict(rank=2, blocks=()), None, ValueError, r'one or more .* got \(\)'),
        (dict(rank=2, blocks='all'), None, TypeError, r'lora\.blocks must be an int or a sequence'),
        (RANK, 'none', ValueError, "frozen must be 'all' or left out, got frozen='none'"),
        (RANK, 12, ValueError, "frozen must be 'all' or left out, got frozen=12"),
        (RANK, 'some', ValueError, "frozen must be 'all' or left out, got frozen='some'"),
    ],
)
def test_bad_arguments(lora, frozen, error, message):
    with torch.device('meta'), pytest.raises(error, match=message):
        backbone('guided diffusion', lora=lora, frozen=frozen)


def test_blocks_after_the_features_have_no_adapters():
    """DifFeed's first pass alone runs them, and it has no gradient."""
    with torch.device('meta'), pytest.raises(ValueError, match='blocks from 1 to 14, the deepest'):
        backbone('diffeed', lora=dict(rank=2, blocks=16))


def test_features_that_training_changes_are_not_cached():
    from mmdiff.classification.feature_cache import check_frozen

    with pytest.raises(ValueError, match=r'96 of its parameters are trained, such as .*\.lora\.'):
        check_frozen(adapted('guided diffusion'))


def test_weights_are_merged_without_a_trace():
    """In a model around the backbone, too, and where there are none."""
    model = nn.Sequential(adapted('guided diffusion'))
    for _ in range(2):
        merge_lora(model)
    assert not any(module._forward_hooks for module in model.modules())
    assert not any('lora' in name for name, _ in model.named_modules())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='compares a GPU with the CPU')
def test_a_gpu_computes_what_the_cpu_does():
    """Of the U-Net, whose biases and skip connections have kernels of their own there."""
    model = adapted('guided diffusion').train()
    found = []
    for device in ('cpu', 'cuda'):
        twin = copy.deepcopy(model).to(device)
        with torch.backends.cudnn.flags(allow_tf32=False):
            features = twin(images().to(device))
            sum(f.square().mean() for f in features).backward()
        gradients = [p.grad for p in twin.parameters() if p.grad is not None]
        found.append([t.detach().cpu() for t in (*features, *gradients)])
    for expected, value in zip(*found, strict=True):
        assert (value - expected).abs().max() <= 1e-3 * expected.abs().max()
