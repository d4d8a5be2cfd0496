"""The diffusion transformer against the released code's outputs and diffusers' DiT."""

import re
import zlib

import numpy as np
import pytest
import torch
from diffusers import DiTTransformer2DModel
from torch import nn

from mmdiff.diffusion import CheckpointError, load_weights
from mmdiff.diffusion.dit import (
    ARCHITECTURES,
    DiffusionTransformer,
    TransformerArchitecture,
    get_transformer_architecture,
)

FIELDS = dict(image_size=64, hidden_size=32, depth=4, num_heads=4, num_classes=5)
ARCH = TransformerArchitecture(**FIELDS)
SIT = TransformerArchitecture(**FIELDS, noise_schedule='linear-path')
TAPS = ('modulated', 'raw')
# The trained one; larger; not square; not square with as many tokens as the trained one.
SIZES = [(8, 8), (16, 16), (8, 18), (4, 16)]
T = torch.tensor([90, 700])


def network(arch=ARCH, seed=0, **kwargs) -> DiffusionTransformer:
    """With weights that keep activations near unit scale: zeros would hide the blocks."""
    torch.manual_seed(seed)
    model = DiffusionTransformer(arch, **kwargs)
    for parameter in model.parameters():
        if parameter.requires_grad and not parameter.any():
            fan_in = parameter[0].numel()
            parameter.data.normal_(std=fan_in**-0.5 if parameter.dim() > 1 else 0.1)
    return model


def loaded(source: DiffusionTransformer, *args, **kwargs) -> DiffusionTransformer:
    model = DiffusionTransformer(source.arch, *args, **kwargs)
    load_weights(model, source.state_dict(), 'x.pt')
    return model


def latents(height=8, width=8, n=2):
    return torch.randn(n, 4, height, width, generator=torch.Generator().manual_seed(1))


def assert_same(ours, theirs, tolerance=1e-5):
    assert len(ours) == len(theirs)
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True), start=1):
        assert a.shape == b.shape, number
        assert (a - b).abs().max() <= tolerance * b.std().clamp(min=1), number


def as_maps(tokens, height, width):
    """What the feature of a block is, for the tokens of (N, T, D)."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, height // 2, width // 2)


@pytest.fixture(scope='module')
def reference(root):
    path = root.parent / 'shared' / 'reference'
    if not path.is_dir():
        pytest.skip(f'needs outputs of the released code in {path}, which are not part of mmdiff')
    return path


def golden_weights(model) -> dict[str, torch.Tensor]:
    """Those that the reference outputs were made with, by its README."""
    weights = model.state_dict()
    for name, value in weights.items():
        if name == 'pos_embed':
            continue
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        r = torch.randn(value.shape, generator=generator)
        if r.dim() > 1:
            weights[name] = r / r[0].numel() ** 0.5
        else:
            weights[name] = 1 + 0.1 * r if name.endswith('weight') else 0.1 * r
    return weights


@pytest.mark.parametrize('timesteps', [1, 2])
@pytest.mark.parametrize(
    ('family', 'schedule', 'timestep'), [('dit', 'linear', 90), ('sit', 'linear-path', 100)]
)
def test_every_block_equals_the_released_code(reference, family, schedule, timestep, timesteps):
    arch = TransformerArchitecture(
        image_size=128, hidden_size=96, depth=4, num_heads=4, num_classes=10,
        noise_schedule=schedule,
    )  # fmt: skip
    golden = {
        k: torch.from_numpy(v) for k, v in np.load(reference / f'{family}_golden.npz').items()
    }
    z, t = golden['z'], torch.full((timesteps,), timestep)
    for tap, entries in (('raw', 'block{}'), ('modulated', 'modulated_in{}')):
        model = DiffusionTransformer(arch, tap=tap)
        model.load_state_dict(golden_weights(model))
        first = 1 if tap == 'raw' else 2
        theirs = [as_maps(golden[entries.format(i)], 16, 16) for i in range(first, first + 4)]
        with torch.no_grad():
            assert_same(model.features(z, t, (1, 2, 3, 4)), theirs)
            assert_same([model(z, t)], [golden['output']])


def diffusers_transformer() -> DiTTransformer2DModel:
    """The DiT of diffusers, made to be the released one."""
    torch.manual_seed(0)
    model = DiTTransformer2DModel(
        num_attention_heads=4, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=4,
        sample_size=8, num_embeds_ada_norm=5, norm_eps=1e-6,
    )  # fmt: skip
    first, *others = model.transformer_blocks
    # It has a copy of the embedding in each block, at other frequencies than the released code.
    first.norm1.emb.time_proj.downscale_freq_shift = 0
    for block in others:
        block.norm1.emb = first.norm1.emb
    return model.eval()


def in_our_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in (
            (r'^pos_embed\.proj', 'x_embedder.proj'),
            (r'.*timestep_embedder\.linear_1', 't_embedder.mlp.0'),
            (r'.*timestep_embedder\.linear_2', 't_embedder.mlp.2'),
            (r'.*class_embedder', 'y_embedder'),
            (r'^transformer_blocks', 'blocks'),
            (r'norm1\.linear', 'adaLN_modulation.1'),
            (r'attn1\.to_out\.0', 'attn.proj'),
            (r'ff\.net\.0\.proj', 'mlp.fc1'),
            (r'ff\.net\.2', 'mlp.fc2'),
            (r'^proj_out_1', 'final_layer.adaLN_modulation.1'),
            (r'^proj_out_2', 'final_layer.linear'),
        ):
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    for name in [name for name in renamed if '.to_q.' in name]:
        parts = [renamed.pop(name.replace('to_q', f'to_{part}')) for part in 'qkv']
        renamed[name.replace('attn1.to_q', 'attn.qkv')] = torch.cat(parts)
    return renamed


@pytest.mark.parametrize('size', SIZES)
def test_features_and_gradients_equal_diffusers(size):
    theirs, labels = diffusers_transformer(), torch.tensor([2, 5])
    raw, modulated, patches = [], [], []
    for block in theirs.transformer_blocks:
        block.register_forward_hook(lambda *hooked: raw.append(hooked[2]))
        block.norm1.register_forward_hook(lambda *hooked: modulated.append(hooked[2][0]))
    theirs.proj_out_2.register_forward_hook(lambda *hooked: modulated.append(hooked[1][0]))
    theirs.proj_out_2.register_forward_hook(lambda *hooked: patches.append(hooked[2]))
    output = theirs(latents(*size), T, labels).sample
    patches[0].square().mean().backward()

    weights = in_our_names(dict(theirs.named_parameters()))
    weights['pos_embed'] = theirs.pos_embed.pos_embed
    for tap, expected in (('raw', raw), ('modulated', modulated[1:])):
        ours = DiffusionTransformer(ARCH, tap=tap)
        assert torch.allclose(ours.pos_embed, weights['pos_embed'], atol=1e-6)
        ours.load_state_dict(weights)
        features = ours.features(latents(*size), T, (1, 2, 3, 4), labels)
        assert_same(features, [as_maps(tokens, *size) for tokens in expected])
    ours_output = ours(latents(*size), T, labels)
    if size[0] == size[1]:  # Else diffusers puts the patches together as if it were.
        assert_same([ours_output], [output])
    ours_output.square().mean().backward()
    gradients = in_our_names({name: p.grad for name, p in theirs.named_parameters()})
    assert gradients.keys() == weights.keys() - {'pos_embed'}
    for name, parameter in ours.named_parameters():
        if name == 'pos_embed':
            assert parameter.grad is None
        else:
            tolerance = 1e-4 * gradients[name].abs().max() + 1e-7
            assert (parameter.grad - gradients[name]).abs().max() <= tolerance, name


def test_labels_are_indices_and_none_is_the_null_class():
    model = network().eval()
    with torch.no_grad():
        null = model(latents(), T)
        assert torch.equal(null, model(latents(), T, torch.tensor([5, 5])))
        assert not torch.allclose(null, model(latents(), T, torch.tensor([5, 3]))[1], atol=1e-2)


def test_positions_of_the_trained_size_are_the_loaded_ones():
    model, changed = network().eval(), network().eval()
    changed.pos_embed.data.neg_()
    with torch.no_grad():
        assert not torch.allclose(model(latents(), T), changed(latents(), T), atol=1e-2)
        assert torch.equal(model(latents(4, 16), T), changed(latents(4, 16), T))


@pytest.mark.parametrize(
    ('name', 'count'),
    [
        ('dit-xl-2', 675_129_632),
        ('dit-l-2', 458_102_816),
        ('dit-b-2', 130_512_416),
        ('dit-s-2', 32_963_360),
    ],
)
def test_published_sizes(name, count):
    arch = get_transformer_architecture(name)
    sit = get_transformer_architecture(name.replace('dit', 'sit'))
    with torch.device('meta'):
        assert sum(p.numel() for p in DiffusionTransformer(arch).parameters()) == count
    assert (arch.noise_schedule, sit.noise_schedule) == ('linear', 'linear-path')
    assert arch.hidden_size == sit.hidden_size
    assert arch.depth == sit.depth


def test_the_512_model_has_its_own_positions():
    with torch.device('meta'):
        model = DiffusionTransformer(get_transformer_architecture('dit-xl-2-512'), 1)
    assert model.pos_embed.shape == (1, 32 * 32, 1152)


@pytest.mark.parametrize('arch', ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_blocks_are_those_of_the_architecture(arch):
    with torch.device('meta'):
        model = DiffusionTransformer(arch)
    named = dict(model.named_modules())
    for block, module in zip(arch.blocks, model.blocks(), strict=True):
        assert named[block.name] is module
        assert model.get_submodule(block.name) is module
        assert (block.channels, block.stride) == (arch.hidden_size, 16)
    assert (arch.num_blocks, arch.total_stride, arch.middle) == (arch.depth, 16, None)
    assert (arch.condition, arch.input.space, arch.input.stride) == ('class', 'latents', 8)


@pytest.mark.parametrize('tap', TAPS)
@pytest.mark.parametrize('blocks', [(1,), (3, 1), (2, 4), (4,)])
@pytest.mark.parametrize('arch', [ARCH, SIT], ids=['dit', 'sit'])
def test_early_exit_equals_the_whole(arch, blocks, tap):
    whole = network(arch, tap=tap).eval()
    part = loaded(whole, max(blocks), tap=tap).eval()
    assert len(list(part.blocks())) == max(blocks)
    ran = []
    for number, block in enumerate(whole.blocks(), start=1):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    with torch.no_grad():
        everything = whole.features(latents(8, 12), T, (1, 2, 3, 4))
        ran.clear()
        for model in (whole, part):
            features = model.features(latents(8, 12), T, blocks)
            assert_same(features, [everything[number - 1] for number in blocks], tolerance=1e-6)
    assert ran == list(range(1, max(blocks) + 1))
    assert features[0].shape == (2, 32, 4, 6)
    with pytest.raises(RuntimeError, match=f'ends with block {max(blocks)}, .*last_block=None'):
        part(latents(), T)


@pytest.mark.parametrize('tap', TAPS)
@pytest.mark.parametrize('last_block', [1, 3, 4])
def test_what_is_not_built_is_not_loaded(last_block, tap):
    weights = network().state_dict()
    after = 'final_layer' if last_block == 4 else f'blocks.{last_block}'
    after = {f'{after}.adaLN_modulation.1.{kind}' for kind in ('weight', 'bias')}
    later = ('final_layer', *(f'blocks.{i}.' for i in range(last_block, 4)))
    unbuilt = [name for name in weights if name.startswith(later)]
    if tap == 'modulated':
        unbuilt = [name for name in unbuilt if name not in after]
    for name in unbuilt:
        weights[name].fill_(float('nan'))
    model = DiffusionTransformer(ARCH, last_block, tap=tap)
    assert set(model.state_dict()) == set(weights) - set(unbuilt)
    assert load_weights(model, weights, 'x.pt') == unbuilt
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])


def test_checkpoints_that_do_not_fit():
    weights = network().state_dict()
    wider = TransformerArchitecture(**(FIELDS | dict(num_classes=6)))
    with pytest.raises(CheckpointError, match=r'misshapen: y_embedder\.embedding_table\.weight'):
        load_weights(DiffusionTransformer(wider, 1), weights, 'x.pt')
    larger = TransformerArchitecture(**(FIELDS | dict(image_size=128)))
    with pytest.raises(CheckpointError, match=r'misshapen: pos_embed \(checkpoint \(1, 16, 32\)'):
        load_weights(DiffusionTransformer(larger, 1), weights, 'x.pt')
    del weights['blocks.2.adaLN_modulation.1.bias']
    with pytest.raises(CheckpointError, match=r'missing: blocks\.2\.adaLN_modulation\.1\.bias'):
        load_weights(DiffusionTransformer(ARCH, 2), weights, 'x.pt')
    load_weights(DiffusionTransformer(ARCH, 2, tap='raw'), weights, 'x.pt')
    with pytest.raises(CheckpointError, match='it holds a guided-diffusion U-Net'):
        load_weights(network(), {'time_embed.0.weight': torch.zeros(1)}, 'x.pt')


@pytest.mark.parametrize('gradient_checkpointing', [False, True])
@pytest.mark.parametrize('frozen', [0, 1, 2])
@pytest.mark.parametrize('last_block', [2, 3, 4])
@pytest.mark.parametrize('tap', TAPS)
def test_exactly_what_is_trained_gets_a_gradient(tap, last_block, frozen, gradient_checkpointing):
    """As DDP needs it."""
    model = network(last_block=last_block, tap=tap, gradient_checkpointing=gradient_checkpointing)
    model.freeze(range(1, frozen + 1))
    features = model.train().features(latents(), T[:1], (last_block,))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert features[0].requires_grad == bool(trained) == (frozen < last_block)
    if trained:
        features[0].square().sum().backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None} == trained
    numbers = range(frozen, last_block)
    expected = {f'blocks.{i}' for i in numbers}
    if tap == 'modulated' and trained:
        expected.add('final_layer.adaLN_modulation' if last_block == 4 else f'blocks.{last_block}')
    if not frozen:
        expected |= {'x_embedder.proj', 't_embedder.mlp', 'y_embedder.embedding_table'}
    assert {'.'.join(name.split('.')[:2]) for name in trained} == expected


@pytest.mark.parametrize('tap', TAPS)
def test_the_whole_network_is_trained_by_its_output(tap):
    model = network(tap=tap)
    model(latents(), T).square().mean().backward()
    assert {n for n, p in model.named_parameters() if p.grad is None} == {'pos_embed'}


@pytest.mark.parametrize('tap', TAPS)
def test_frozen_parts_stay_in_eval_mode(tap):
    model = network(tap=tap)
    model.freeze((1, 2))
    for block, training in zip(model.train().blocks(), (False, False, True, True), strict=True):
        assert all(m.training == training for m in block.modules())
    assert not any(m.training for part in model.embeddings() for m in part.modules())
    model = network(tap=tap)
    model.freeze((1, 2, 3, 4))
    assert not model.features(latents(), T, (4,))[0].requires_grad
    assert model(latents(), T).requires_grad  # by the output layer


@pytest.mark.parametrize('frozen', [(), (1, 2)])
@pytest.mark.parametrize('tap', TAPS)
def test_gradient_checkpointing_gives_the_same_gradients(tap, frozen):
    calls, gradients = [], []
    for gradient_checkpointing in (False, True):
        model = network(tap=tap, last_block=3, gradient_checkpointing=gradient_checkpointing)
        model.freeze(frozen)
        for block in model.blocks():
            block.mlp.register_forward_hook(lambda *_: calls.append(gradient_checkpointing))  # noqa: B023
        maps = model.features(latents(), T, (1, 3))
        sum(m.square().mean() for m in maps).backward()
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
    assert (calls.count(False), calls.count(True)) == (3, 6 - len(frozen))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_one_timestep_for_all():
    model = network().eval()
    label = torch.tensor([3])
    with torch.no_grad():
        one = model.features(latents(), T[:1], (1, 4), label)
        each = model.features(latents(), T[:1].expand(2), (1, 4), label.expand(2))
        assert_same(one, each, tolerance=1e-6)
        assert_same([model(latents(), T[:1])], [model(latents(), T[:1].expand(2))], 1e-6)


def test_higher_timesteps_are_earlier_in_sit():
    """Its time is 0.9 at timestep 100: nearly data."""
    torch.manual_seed(0)
    sit, dit = network(SIT).eval(), network(ARCH).eval()
    with torch.no_grad():
        assert torch.allclose(sit.embed(torch.tensor([100])), dit.embed(torch.tensor([0.9])))


@pytest.mark.parametrize('learn_sigma', [True, False])
def test_channels_of_the_output(learn_sigma):
    for schedule in ('linear', 'linear-path'):
        arch = dict(FIELDS, learn_sigma=learn_sigma, noise_schedule=schedule)
        model = network(TransformerArchitecture(**arch))
        channels = 8 if learn_sigma and schedule == 'linear' else 4
        assert model(latents(8, 12), T).shape == (2, channels, 8, 12)


def test_other_patches():
    arch = TransformerArchitecture(**FIELDS, patch_size=4, mlp_ratio=2)
    model = network(arch)
    assert (arch.total_stride, arch.grid_size) == (32, 2)
    assert model.features(latents(8, 12), T, (2,))[0].shape == (2, 32, 2, 3)
    assert model(latents(8, 12), T).shape == (2, 8, 8, 12)


def test_autocast():
    model = network().eval()
    with torch.no_grad():
        (plain,) = model.features(latents(), T, (4,))
        with torch.autocast('cpu', torch.bfloat16):
            (mixed,) = model.features(latents(), T, (4,))
    assert (mixed - plain).abs().mean() < 0.05 * plain.abs().mean()


def test_fresh_weights_are_the_released_initialisation():
    """Blocks that do nothing, and an output of zeros."""
    torch.manual_seed(0)
    model = DiffusionTransformer(TransformerArchitecture(**(FIELDS | dict(num_classes=1000))))
    assert not model(latents(), T).any()
    raw = loaded(model, 4, tap='raw')
    first, *others = raw.features(latents(), T, (1, 2, 4))
    assert all(torch.equal(first, other) for other in others)
    for layer in (model.y_embedder.embedding_table, *model.t_embedder.mlp[::2]):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
    layers = {
        'x_embedder.proj': (16, 32),
        'blocks.3.attn.qkv': (32, 96),
        'blocks.0.mlp.fc2': (128, 32),
    }
    for name, fans in layers.items():
        largest = model.get_submodule(name).weight.abs().max().item()
        assert largest == pytest.approx((6 / sum(fans)) ** 0.5, rel=0.05)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            assert not module.bias.any()


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (dict(image_size=60), ValueError, r'image_size must be divisible by 16 .*got 60'),
        (dict(image_size=64, patch_size=3), ValueError, 'image_size must be divisible by 24'),
        (
            dict(hidden_size=30, num_heads=5),
            ValueError,
            'hidden_size must be divisible by 4, .* 30',
        ),
        (dict(num_heads=5), ValueError, 'hidden_size must be divisible by num_heads=5, got 32'),
        (dict(depth=0), ValueError, 'depth must be at least 1, got 0'),
        (dict(num_classes=None), TypeError, 'num_classes must be an int, got None'),
        (dict(mlp_ratio='4'), TypeError, "mlp_ratio must be a number, got '4'"),
        (dict(mlp_ratio=0), ValueError, 'mlp_ratio=0 leaves no channels of hidden_size=32'),
        (dict(noise_schedule='path'), ValueError, "noise_schedule must be one of .*'linear-path'"),
        (dict(heads=3), ValueError, r"arch has unknown fields \['heads'\]"),
    ],
)
def test_bad_architectures(change, error, message):
    with pytest.raises(error, match=message):
        get_transformer_architecture(FIELDS | change)


@pytest.mark.parametrize(
    ('kwargs', 'error', 'message'),
    [
        (dict(last_block=0), ValueError, 'last_block has block 0, but .* blocks 1 to 4$'),
        (dict(last_block=5), ValueError, 'last_block has block 5, but .* blocks 1 to 4$'),
        (dict(last_block='3'), TypeError, r"last_block must hold block numbers \(int\), got '3'"),
        (dict(tap='both'), ValueError, "tap must be one of 'modulated', 'raw', got 'both'"),
    ],
)
def test_bad_arguments(kwargs, error, message):
    with pytest.raises(error, match=message):
        DiffusionTransformer(ARCH, **kwargs)


def test_unknown_name():
    with pytest.raises(ValueError, match="arch='dit-xl-4' is unknown; known are dit-xl-2, "):
        get_transformer_architecture('dit-xl-4')
