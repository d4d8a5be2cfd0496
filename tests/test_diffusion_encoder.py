"""The classifier's encoder and pool against guided-diffusion's own, with the same weights."""

from dataclasses import asdict

import pytest
import torch
from guided_diffusion.script_util import classifier_defaults, create_classifier
from guided_diffusion.unet import EncoderUNetModel
from guided_diffusion_unet import guided_diffusion_encoder, tapped

from mmdiff.diffusion import CheckpointError, UNet, get_architecture, load_weights
from mmdiff.diffusion.adm import (
    ENCODER_ARCHITECTURES,
    EncoderArchitecture,
    EncoderUNet,
    get_encoder_architecture,
)
from mmdiff.models.backbones import GuidedDiffusionEncoderBackbone

SMALL = dict(
    image_size=32,
    model_channels=32,
    channel_mult=(1, 2, 3),
    num_res_blocks=1,
    attention_resolutions=(16, 8),
    num_head_channels=16,
    num_outputs=10,
)
VARIANTS = {
    'resblock_updown': dict(),
    'conv_resample': dict(resblock_updown=False),
    'added_embedding': dict(use_scale_shift_norm=False),
    'new_attention_order': dict(use_new_attention_order=True),
    'half_width_level': dict(model_channels=64, channel_mult=(0.5, 1, 2)),
    'three_res_blocks': dict(num_res_blocks=3),
    'no_attention': dict(attention_resolutions=()),
}
T = torch.tensor([90, 700])


def reference_encoder(arch) -> EncoderUNetModel:
    """guided-diffusion's classifier, with weights that keep activations near unit scale."""
    torch.manual_seed(0)
    model = guided_diffusion_encoder(arch)
    # Zero-initialised layers would hide the rest of their block.
    for parameter in model.parameters():
        if not parameter.any():
            fan_in = parameter[0].numel()
            parameter.data.normal_(std=0.3 / fan_in**0.5 if parameter.dim() > 1 else 0.1)
    return model.eval()


def both(change, **kwargs):
    arch = EncoderArchitecture(**(SMALL | change))
    theirs, ours = reference_encoder(arch), EncoderUNet(arch, **kwargs).eval()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def images(height, width):
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))
    return x.clamp(-1, 1)


def assert_same(ours, theirs):
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True), start=1):
        assert a.shape == b.shape, f'block {number}'
        assert (a - b).abs().max() <= 1e-4 * b.std().clamp(min=1), f'block {number}'


@pytest.mark.parametrize('size', [(32, 32), (24, 40)])
@pytest.mark.parametrize('variant', VARIANTS)
def test_every_block_and_the_logits_equal_guided_diffusion(variant, size):
    ours, theirs = both(VARIANTS[variant])
    blocks = range(1, ours.arch.num_blocks + 1)
    x = images(*size)
    # Theirs pools other sizes with an error that names no size.
    theirs.out = theirs.out if size == (32, 32) else torch.nn.Identity()
    with torch.no_grad(), tapped(dict(enumerate([*theirs.input_blocks, theirs.middle_block]))) as h:
        logits = theirs(x, T)
        assert_same(ours.features(x, T, blocks), h.values())
        assert logits.std() > 0.05
        if size == (32, 32):
            assert_same([ours(x, T)], [logits])
    assert len(h) == ours.arch.middle == ours.arch.num_blocks


@pytest.mark.parametrize('variant', VARIANTS)
def test_one_timestep_for_all_equals_guided_diffusion(variant):
    ours, theirs = both(VARIANTS[variant])
    x = images(32, 32)
    with torch.no_grad():
        assert_same([ours(x, T[:1])], [theirs(x, T[:1].expand(2))])


@pytest.mark.parametrize('gradient_checkpointing', [False, True])
@pytest.mark.parametrize('variant', ['resblock_updown', 'conv_resample', 'new_attention_order'])
def test_gradients_equal_guided_diffusion(variant, gradient_checkpointing):
    ours, theirs = both(VARIANTS[variant], gradient_checkpointing=gradient_checkpointing)
    gradients = []
    for model in (ours, theirs):
        x = images(32, 32).requires_grad_()
        model(x, T).square().mean().backward()
        gradients.append({'x': x.grad} | {n: p.grad for n, p in model.named_parameters()})
    rounding = 1e-6 * max(gradient.abs().max() for gradient in gradients[1].values())
    assert gradients[0].keys() == gradients[1].keys()
    for name, expected in gradients[1].items():
        tolerance = 1e-4 * expected.abs().max() + rounding
        assert (gradients[0][name] - expected).abs().max() <= tolerance, name


def test_our_state_dict_loads_in_guided_diffusion():
    arch = EncoderArchitecture(**SMALL)
    ours, theirs = EncoderUNet(arch).eval(), reference_encoder(arch)
    for parameter in ours.parameters():
        parameter.data.normal_(std=0.05)
    theirs.load_state_dict(ours.state_dict())
    x = images(32, 32)
    with torch.no_grad():
        assert_same([ours(x, T)], [theirs(x, T)])


@pytest.mark.parametrize('name', ENCODER_ARCHITECTURES)
def test_published_state_dicts_need_no_renaming(name):
    """The flags are those of guided-diffusion's README."""
    size = int(name.split('-')[1])
    flags = dict(image_size=size, classifier_depth=4 if size == 64 else 2, classifier_width=128)
    with torch.device('meta'):
        theirs = create_classifier(**(classifier_defaults() | flags))
        ours = EncoderUNet(get_encoder_architecture(name))
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    ours_shapes, shapes = (
        {key: value.shape for key, value in model.state_dict().items()} for model in (ours, theirs)
    )
    assert ours_shapes == shapes
    heads = [m.attention.n_heads for m in theirs.modules() if hasattr(m, 'attention')]
    assert [m.num_heads for m in ours.modules() if hasattr(m, 'num_heads')] == heads
    assert ours.arch.image_size == size


@pytest.mark.parametrize('blocks', [(1,), (4, 2), (6, 7)])
def test_truncated_encoder_has_the_same_features(blocks):
    complete, _ = both({})
    encoder = EncoderUNet(complete.arch, last_block=max(blocks)).eval()
    state_dict = complete.state_dict()
    left_out = load_weights(encoder, state_dict, 'x')
    assert set(left_out) == set(state_dict) - set(encoder.state_dict())
    assert 'out.2.c_proj.weight' in left_out
    with torch.no_grad():
        everything = complete.features(images(24, 40), T, range(1, complete.arch.num_blocks + 1))
        some = encoder.features(images(24, 40), T, blocks)
    assert len(list(encoder.blocks())) == max(blocks)
    for number, feature in zip(blocks, some, strict=True):
        assert torch.equal(feature, everything[number - 1])
    # What a run writes of it has no pool either.
    assert load_weights(encoder, encoder.state_dict(), 'x') == []
    with pytest.raises(RuntimeError, match='has features but no output'):
        encoder(images(32, 32), T)


def test_numbers_channels_and_strides_of_the_256_model():
    arch = ENCODER_ARCHITECTURES['adm-256-classifier']
    blocks = {block.number: block for block in arch.blocks}
    expected = {1: (128, 1), 4: (128, 2), 8: (256, 4), 14: (512, 16), 16: (512, 32), 19: (512, 32)}
    assert {n: (blocks[n].channels, blocks[n].stride) for n in expected} == expected
    assert (len(blocks), arch.middle, blocks[19].name) == (19, 19, 'middle_block')
    assert (arch.total_stride, arch.decoder_levels, arch.condition) == (32, (), 'none')
    assert get_encoder_architecture(asdict(arch)) == arch
    assert get_encoder_architecture(arch) is arch


def test_backbone_has_the_features_of_the_encoder():
    theirs = reference_encoder(EncoderArchitecture(**SMALL))
    backbone = GuidedDiffusionEncoderBackbone(
        SMALL, timestep=90, blocks=(4, 7), eval_noise='none', frozen='all'
    ).eval()
    backbone.load_network(theirs.state_dict(), 'x')
    assert backbone.unet.out is None
    assert not any(p.requires_grad for p in backbone.parameters())
    assert (backbone.out_channels, backbone.strides) == ((64, 96), (2, 4))
    modules = {4: theirs.input_blocks[3], 7: theirs.middle_block}
    with torch.no_grad(), tapped(modules) as features:
        ours = backbone(images(32, 32))
        theirs(backbone.noised(images(32, 32), 90), torch.tensor([90, 90]))
    assert_same(ours, features.values())


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (dict(num_outputs=0), ValueError, 'num_outputs must be at least 1, got 0'),
        (dict(num_outputs='10'), TypeError, "num_outputs must be an int, got '10'"),
        (dict(num_head_channels=None), ValueError, 'num_head_channels must be given'),
        (dict(num_head_channels=24), ValueError, 'num_head_channels=24 does not divide'),
        (dict(num_classes=10), ValueError, 'got num_classes=10; num_outputs is what it tells'),
        (dict(width=3), ValueError, r"unknown fields \['width'\]; known are image_size"),
    ],
)
def test_bad_architecture(change, error, message):
    with pytest.raises(error, match=message):
        get_encoder_architecture(SMALL | change)


def test_unknown_architecture_name():
    with pytest.raises(ValueError, match="arch='adm-256' is unknown; known are adm-64-classifier"):
        get_encoder_architecture('adm-256')


def test_images_of_another_size_are_not_pooled():
    encoder = EncoderUNet(EncoderArchitecture(**SMALL))
    with pytest.raises(ValueError, match=r'pools maps of 8x8, .* got 8x16'):
        encoder(images(32, 64), T)


def test_blocks_of_the_decoder_are_refused():
    with torch.device('meta'), pytest.raises(ValueError, match=r'blocks 1 to 19 \(19 is the mid'):
        GuidedDiffusionEncoderBackbone(blocks=24)


def test_checkpoints_of_the_other_network():
    unet = UNet(get_architecture('adm-64-small'))
    encoder = EncoderUNet(EncoderArchitecture(**SMALL))
    with pytest.raises(CheckpointError, match='U-Net: it holds a guided-diffusion classifier'):
        load_weights(unet, encoder.state_dict(), 'x')
    with pytest.raises(CheckpointError, match='x does not fit the architecture'):
        load_weights(encoder, unet.state_dict(), 'x')
