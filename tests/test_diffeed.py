"""DifFeedBackbone against two full passes of guided-diffusion's U-Net, added up by hand."""

import pytest
import torch
import torch.nn.functional as F
from guided_diffusion.nn import timestep_embedding
from mmengine.registry import MODELS as ROOT
from test_diffusion_unet import SMALL, VARIANTS, reference_unet, x_and_timesteps

from mmdiff.diffusion import ARCHITECTURES, Architecture, get_architecture
from mmdiff.models import DifFeedBackbone, GuidedDiffusionBackbone
from mmdiff.models.backbones import feedback_targets

# By hand from the paper's section 4.1.1; the target of multi-scale from the authors' code.
TARGETS_256 = {
    'bottleneck': {21: 17, 24: 14, 27: 11, 30: 8, 33: 5, 36: 2},
    'all': {b: 38 - b for b in range(20, 38)},
    'windowed': {20: 18, 21: 17, 22: 16, 23: 15, 24: 14},
    'multi-scale': {20: 14, 21: 14, 22: 14, 23: 14, 24: 14},
}
# Block 7 is the middle of SMALL's 13.
TARGETS_SMALL = {
    'bottleneck': {8: 6, 10: 4, 12: 2},
    'all': {8: 6, 9: 5, 10: 4, 11: 3, 12: 2, 13: 1},
    'windowed': {8: 6, 9: 5, 10: 4, 11: 3, 12: 2},
    'multi-scale': {8: 2, 9: 2, 10: 2, 11: 2, 12: 2},
}
STRATEGIES = list(TARGETS_SMALL)


def images(height, width):
    return x_and_timesteps(height, width)[0].clamp(-1, 1)


def diffeed(weights=None, seed=0, **kwargs):
    """A small DifFeed with random feedback layers, of which even the norm does something."""
    torch.manual_seed(seed)
    model = DifFeedBackbone(**(dict(arch=SMALL, blocks=(12, 10, 8)) | kwargs))
    if weights is not None:
        model.unet.load_state_dict({key: weights[key] for key in model.unet.state_dict()})
    for name, parameter in model.feedback.named_parameters():
        parameter.data.normal_(mean=1.0 if name.endswith('bn.weight') else 0.0, std=0.3)
    return model


def before_relu(model):
    """A dict that each forward of ``model`` fills with what goes into the ReLUs, by block."""
    outputs = {}
    for source, layer in model.feedback.items():
        layer.bn.register_forward_hook(
            lambda module, args, output, source=source: outputs.update(
                {int(source): output.detach().clone()}
            )
        )
    return outputs


def reference_features(unet, layers, targets, x_t, timesteps, blocks, ours_before_relu):
    """DifFeed's features, by two full passes over guided-diffusion's modules.

    Its ReLUs let pass what ours let pass, as rounding may put a value on the other side of zero.
    """

    def full_pass(additions):
        emb = unet.time_embed(timestep_embedding(timesteps, unet.model_channels))
        h, skips, outputs = x_t, [], []
        for number, block in enumerate(unet.input_blocks, start=1):
            h = block(h, emb)
            for addition in additions.get(number, []):
                h = h + F.interpolate(addition, h.shape[-2:], mode='bilinear', align_corners=False)
            skips.append(h)
            outputs.append(h)
        h = unet.middle_block(h, emb)
        outputs.append(h)
        for block in unet.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), emb)
            outputs.append(h)
        return outputs

    with torch.no_grad():
        first = full_pass({})
    additions = {}
    for source, target in targets.items():
        weight, norm = layers[f'{source}.conv.weight'], f'{source}.bn.'
        projected = F.conv2d(first[source - 1], weight)
        mean, var = projected.mean((0, 2, 3)), projected.var((0, 2, 3), correction=0)
        projected = (projected - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        scale, shift = layers[norm + 'weight'], layers[norm + 'bias']
        projected = projected * scale[:, None, None] + shift[:, None, None]
        torch.testing.assert_close(projected, ours_before_relu[source], rtol=1e-4, atol=1e-4)
        projected = projected * (ours_before_relu[source] > 0)
        additions.setdefault(target, []).append(projected)
    second = full_pass(additions)
    return [second[number - 1] for number in blocks]


def assert_close(ours, theirs, names):
    rounding = 1e-6 * max(value.abs().max() for value in theirs)
    for a, b, name in zip(ours, theirs, names, strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max() + rounding, name


def mean_square(features):
    return sum(feature.square().mean() for feature in features)


@pytest.mark.parametrize('size', [(32, 32), (24, 40)])
@pytest.mark.parametrize('frozen', ['none', 'all'])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_equals_two_full_passes(strategy, frozen, size):
    arch = Architecture(**SMALL)
    unet = reference_unet(arch).requires_grad_(frozen == 'none')
    model = diffeed(unet.state_dict(), feedback=strategy, frozen=frozen, noise='none').train()
    x_0 = images(*size)
    x_t, t = model.noised(x_0, 90), torch.tensor([90, 90])
    layers = dict(model.feedback.named_parameters())

    outputs = before_relu(model)
    ours = model(x_0)
    theirs = reference_features(
        unet, layers, TARGETS_SMALL[strategy], x_t, t, model.blocks, outputs
    )
    assert_close(ours, theirs, model.blocks)

    names = [name for name, p in model.named_parameters() if p.requires_grad]
    reference = {f'unet.{name}': p for name, p in unet.named_parameters()}
    reference |= {f'feedback.{name}': p for name, p in layers.items()}
    assert any(name.startswith('unet') for name in names) == (frozen == 'none')
    parameters = [model.get_parameter(name) for name in names]
    assert_close(
        torch.autograd.grad(mean_square(ours), parameters),
        torch.autograd.grad(mean_square(theirs), [reference[name] for name in names]),
        names,
    )


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_without_feedback_equals_the_plain_backbone(strategy):
    plain = GuidedDiffusionBackbone(arch=SMALL, blocks=(12, 10, 8)).eval()
    for parameter in plain.parameters():
        parameter.data.normal_(std=0.05)
    model = DifFeedBackbone(arch=SMALL, blocks=(12, 10, 8), feedback=strategy).eval()
    model.unet.load_state_dict(plain.unet.state_dict(), strict=False)
    x_0 = images(24, 40)
    with torch.no_grad():
        assert not torch.equal(model(x_0)[0], plain(x_0)[0])
        for parameter in model.feedback.parameters():
            parameter.zero_()
        for feature, expected in zip(model(x_0), plain(x_0), strict=True):
            assert torch.equal(feature, expected)


@pytest.mark.parametrize('last', [0, 1, 4, 6, 9])
def test_starting_from_a_prefix_changes_nothing(last):
    unet = diffeed(reference_unet(Architecture(**SMALL)).state_dict(), blocks=13).unet
    x_t, t = x_and_timesteps(24, 40)
    start = unet.prefix(x_t, t, last, deepest=13)
    for _ in range(2):
        features = unet.features_after(start, (13, 10))
        for feature, expected in zip(features, unet.features(x_t, t, (13, 10)), strict=True):
            assert torch.equal(feature, expected)


def test_walk_cannot_go_back():
    unet = diffeed().unet
    start = unet.prefix(*x_and_timesteps(32, 32), last=4, deepest=10, blocks=(2,))
    with pytest.raises(ValueError, match='block 4 is not after block 4, the start'):
        unet.features_after(start, (4, 10))
    with pytest.raises(ValueError, match='block 2 is not after block 4'):
        unet.features_after(start, (10,), {2: torch.zeros(1)})


@pytest.mark.parametrize(
    ('kwargs', 'expected'),
    [
        # The prefix once, each pass as deep as it must.
        (dict(feedback={8: 6}, blocks=10), [*range(1, 6), 6, 7, 8, 6, 7, 8, 9, 10]),
        (dict(feedback={12: 3}, blocks=8), [1, 2, *range(3, 13), *range(3, 9)]),
        # A block of the prefix is asked for too.
        (dict(feedback={8: 6}, blocks=(3, 8)), [*range(1, 6), 6, 7, 8, 6, 7, 8]),
    ],
)
@pytest.mark.parametrize('frozen', ['none', 'all'])
def test_runs_no_more_than_it_must(kwargs, expected, frozen):
    model = diffeed(frozen=frozen, **kwargs)
    ran = []
    for number, block in enumerate(model.unet.blocks(), start=1):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    model(images(32, 32))
    assert ran == expected


@pytest.mark.parametrize('amp_dtype', [None, 'bfloat16'])
@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('frozen', ['none', 4, 'all'])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_what_should_have_gradients_has_them(strategy, frozen, with_cp, amp_dtype):
    """So that DDP needs no ``find_unused_parameters``."""
    model = diffeed(
        reference_unet(Architecture(**SMALL)).state_dict(),
        feedback=strategy,
        blocks=(10, 8),
        frozen=frozen,
        with_cp=with_cp,
        amp_dtype=amp_dtype,
    ).train()
    mean_square(model(images(32, 32))).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    frozen_up_to = {'none': 0, 4: 4, 'all': 13}[frozen]
    for number, block in enumerate(model.unet.blocks(), start=1):
        trained = frozen_up_to < number <= 10
        assert all(p.requires_grad == trained for p in block.parameters()), number
        assert block.training == trained
    assert all(p.requires_grad for p in model.feedback.parameters())
    assert all(p.requires_grad == (frozen == 'none') for p in model.unet.time_embed.parameters())


def test_the_first_pass_leaves_nothing_in_the_autocast_cache():
    """Where PyTorch would reuse it, the second pass would have no gradient."""
    model = diffeed(reference_unet(Architecture(**SMALL)).state_dict()).train()
    cached = []
    model.unet.middle_block.register_forward_hook(
        lambda *_: cached.append((torch.is_grad_enabled(), torch.is_autocast_cache_enabled()))
    )
    with torch.autocast('cpu', torch.bfloat16):
        features = model(images(32, 32))
        assert torch.is_autocast_cache_enabled()
    assert cached == [(False, False), (True, True)]
    mean_square(feature.float() for feature in features).backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


def test_features_of_blocks_before_the_feedback():
    """They are those of the plain backbone, with the gradient of the whole walk."""
    model = diffeed(feedback={8: 6}, blocks=(3, 8), noise='none').train()
    plain = GuidedDiffusionBackbone(arch=SMALL, blocks=(3,), noise='none').train()
    plain.unet.load_state_dict(model.unet.state_dict(), strict=False)
    x_0 = images(32, 32)
    feature, expected = model(x_0)[0], plain(x_0)[0]
    assert torch.equal(feature, expected)
    feature.square().mean().backward()
    expected.square().mean().backward()
    key = 'unet.input_blocks.1.0.out_layers.3.weight'
    assert torch.equal(model.get_parameter(key).grad, plain.get_parameter(key).grad)


def test_both_passes_see_the_same_noise():
    model = diffeed(feedback='all', noise='random').train()
    seen = []
    model.unet.input_blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(images(32, 32))
    first, second = seen
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ('strategy', 'parameters'),
    [
        ('all', 7_622_144),
        ('bottleneck', 2_759_680),
        ('windowed', 5_253_120),
        ('multi-scale', 5_253_120),
    ],
)
def test_parameter_count(strategy, parameters):
    """7.6, 2.8, 5.2 and 5.2 M in the paper's table 4; here by hand."""
    with torch.device('meta'):
        model = DifFeedBackbone(feedback=strategy)
    assert model.feedback_targets == TARGETS_256[strategy]
    assert sum(p.numel() for p in model.feedback.parameters()) == parameters
    assert model.unet.last_block == max(TARGETS_256[strategy])


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_strategies_on_a_small_model(strategy):
    assert feedback_targets(Architecture(**SMALL), strategy) == TARGETS_SMALL[strategy]


def test_bottleneck_is_one_block_a_level():
    arch = Architecture(**(SMALL | VARIANTS['three_res_blocks']))
    blocks = [arch.blocks[b - 1] for b in feedback_targets(arch, 'bottleneck')]
    assert [b.stride for b in blocks] == [4, 2, 1]
    assert not any(b.resample for b in blocks)


def test_target_of_multi_scale():
    arch = ARCHITECTURES['adm-256-uncond']
    assert feedback_targets(arch, 'multi-scale', 15) == dict.fromkeys(range(20, 25), 15)


def test_convolutions_start_as_pytorchs():
    """As in the authors' code: uniform up to one over the square root of the input channels."""
    torch.manual_seed(0)
    model = DifFeedBackbone(arch=SMALL, blocks=12)
    model.init_weights()
    for layer in model.feedback.values():
        bound = layer.conv.in_channels**-0.5
        assert 0.99 * bound < layer.conv.weight.abs().max() <= bound


def test_explicit_mapping_in_a_config():
    model = ROOT.build(
        dict(
            type='mmdiff.DifFeedBackbone',
            arch='adm-64-small',
            blocks=(12,),
            feedback={10: 8, 12: 2, 14: 2},
            norm_cfg=dict(type='SyncBN'),
        )
    )
    assert model.feedback_targets == {10: 8, 12: 2, 14: 2}
    assert model.unet.last_block == 14
    norms = [m for m in model.feedback.modules() if isinstance(m, torch.nn.SyncBatchNorm)]
    assert len(norms) == 3


def test_loads_a_published_checkpoint(tmp_path):
    torch.manual_seed(0)
    unet = reference_unet(get_architecture(SMALL))
    path = tmp_path / 'published.pt'
    torch.save(unet.state_dict(), path)
    model = diffeed(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    model.init_weights()
    for key, value in model.unet.state_dict().items():
        assert torch.equal(value, unet.state_dict()[key])


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (dict(feedback='some'), ValueError, 'one of bottleneck, all, windowed, multi-scale'),
        (dict(feedback=None), TypeError, 'feedback must be a strategy or'),
        (dict(feedback={}), ValueError, 'at least one decoder block'),
        (dict(feedback={7: 3}), ValueError, 'decoder block 7, but .* decoder blocks 8 to 13'),
        (dict(feedback={14: 3}), ValueError, 'decoder block 14'),
        (dict(feedback={8: 7}), ValueError, 'encoder block 7, but .* encoder blocks 1 to 6'),
        (dict(feedback={8: 0}), ValueError, 'encoder block 0'),
        (dict(feedback={'8': 1}), TypeError, r"feedback must hold block numbers \(int\), got '8'"),
        (dict(multi_scale_target=3), ValueError, "is for feedback='multi-scale'"),
        (
            dict(feedback='multi-scale', multi_scale_target=7),
            ValueError,
            'multi_scale_target has encoder block 7',
        ),
        (
            dict(feedback='multi-scale', multi_scale_target='3'),
            TypeError,
            r"multi_scale_target must hold block numbers \(int\), got '3'",
        ),
        (dict(blocks=(5,)), ValueError, r'encoder blocks \[6\] does not reach blocks=\(5,\)'),
        (dict(frozen=13), ValueError, 'a block number from 1 to 12'),
        (dict(timestep=1000), ValueError, 'timestep must be an int from 0 to 999'),
        (dict(timestep=(90, 150)), ValueError, r'one int for DifFeed, got \(90, 150\)'),
    ],
)
def test_bad_arguments(change, error, message):
    with torch.device('meta'), pytest.raises(error, match=message):
        diffeed(**change)
