"""The U-Net against guided-diffusion's own, with the same weights."""

from dataclasses import asdict

import pytest
import torch
from guided_diffusion.script_util import create_model
from guided_diffusion_unet import guided_diffusion_unet, numbered_blocks, tapped

from mmdiff.diffusion import ARCHITECTURES, Architecture, UNet, get_architecture
from mmdiff.torch_compat import has_custom_operators

SMALL = dict(
    image_size=64,
    model_channels=32,
    channel_mult=(1, 2, 3),
    num_res_blocks=1,
    attention_resolutions=(32, 16),
    num_head_channels=16,
)
VARIANTS = {
    'resblock_updown': dict(),
    'conv_resample': dict(resblock_updown=False),
    'new_attention_order': dict(use_new_attention_order=True),
    'num_heads': dict(num_head_channels=None, num_heads=4),
    'added_embedding': dict(use_scale_shift_norm=False),
    'no_learn_sigma': dict(learn_sigma=False),
    'class_conditional': dict(num_classes=1000),
    'half_width_level': dict(model_channels=64, channel_mult=(0.5, 1, 2)),
    'three_res_blocks': dict(num_res_blocks=3),
    'no_attention': dict(attention_resolutions=()),
}


def reference_unet(arch: Architecture) -> torch.nn.Module:
    """guided-diffusion's U-Net, with weights that keep activations near unit scale."""
    torch.manual_seed(0)
    model = guided_diffusion_unet(arch)
    # Zero-initialised layers would hide the rest of their block.
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if not parameter.any():
            fan_in = parameter[0].numel()
            std = 0.3 / fan_in**0.5 if parameter.dim() > 1 else 0.1
            parameter.data.normal_(std=std, generator=generator)
    return model.eval()


def reference_features(model, x, timesteps, labels=None) -> list[torch.Tensor]:
    """The output of every numbered block, and that of the U-Net."""
    with tapped(dict(enumerate(numbered_blocks(model)))) as features:
        output = model(x, timesteps, labels)
    return [*features.values(), output]


def with_weights_of(reference, arch, **kwargs) -> UNet:
    with torch.device('meta'):
        unet = UNet(arch, **kwargs)
    state_dict = reference.state_dict()
    unet.to_empty(device='cpu')
    unet.load_state_dict({key: state_dict[key] for key in unet.state_dict()})
    return unet.eval()


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    differences = []
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True), start=1):
        assert a.shape == b.shape, f'block {number}'
        scale = b.std().clamp(min=1)
        differences.append(((a - b).abs().max() / scale).item())
        assert differences[-1] <= 1e-4, f'block {number}'
    stds = [b.std().item() for b in theirs]
    # For docs/results.md, with pytest -s.
    print(
        f'largest difference {max(differences):.1e} over {len(theirs)} maps, '
        f'whose standard deviations are {min(stds):.2f} to {max(stds):.2f}'
    )


def x_and_timesteps(height, width):
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))
    return x, torch.tensor([90, 700])


@pytest.mark.parametrize('size', [(32, 32), (24, 40)])
@pytest.mark.parametrize('variant', VARIANTS)
def test_every_block_equals_guided_diffusion(variant, size):
    arch = Architecture(**(SMALL | VARIANTS[variant]))
    reference = reference_unet(arch)
    x, timesteps = x_and_timesteps(*size)
    labels = torch.tensor([3, 999]) if arch.num_classes else None
    unet = with_weights_of(reference, arch)
    with torch.no_grad():
        theirs = reference_features(reference, x, timesteps, labels)
        blocks = range(1, arch.num_blocks + 1)
        ours = [
            *unet.features(x, timesteps, blocks, labels),
            unet(x, timesteps, labels),
        ]
    assert theirs[-2].std() > 0.1
    assert_same(ours, theirs)


def test_class_conditional_without_a_label():
    arch = Architecture(**SMALL, num_classes=10)
    reference = reference_unet(arch)
    unet = with_weights_of(reference, arch)
    reference.num_classes = None  # guided-diffusion's forward then adds no label
    x, timesteps = x_and_timesteps(32, 32)
    with torch.no_grad():
        assert_same([unet(x, timesteps)], reference_features(reference, x, timesteps)[-1:])


def test_label_for_an_unconditional_model_is_refused():
    unet = UNet(Architecture(**SMALL))
    with pytest.raises(ValueError, match='not class-conditional'):
        unet(torch.zeros(1, 3, 32, 32), torch.tensor([0]), torch.tensor([1]))


@pytest.mark.parametrize('gradient_checkpointing', [False, True])
@pytest.mark.parametrize('variant', ['resblock_updown', 'conv_resample', 'new_attention_order'])
def test_gradients_equal_guided_diffusion(variant, gradient_checkpointing):
    arch = Architecture(**(SMALL | VARIANTS[variant]))
    reference = reference_unet(arch)
    unet = with_weights_of(reference, arch, gradient_checkpointing=gradient_checkpointing)
    x, timesteps = x_and_timesteps(24, 40)
    for model in (reference, unet):
        for parameter in model.parameters():
            parameter.requires_grad_()
    theirs = torch.autograd.grad(
        reference(x, timesteps).square().mean(), list(reference.parameters())
    )
    ours = torch.autograd.grad(unet(x, timesteps).square().mean(), list(unet.parameters()))
    names = dict(zip([n for n, _ in reference.named_parameters()], theirs, strict=True))
    # Some are zero but for rounding: a bias before a norm of one channel a group does nothing.
    rounding = 1e-6 * max(gradient.abs().max() for gradient in theirs)
    for (name, _), gradient in zip(unet.named_parameters(), ours, strict=True):
        tolerance = 1e-4 * names[name].abs().max() + rounding
        assert (gradient - names[name]).abs().max() <= tolerance, name


@pytest.mark.parametrize('variant', ['resblock_updown', 'added_embedding', 'class_conditional'])
def test_one_timestep_for_all_equals_guided_diffusion(variant):
    """Its scale and shift go into the norm's own, which a timestep for each image does not."""
    arch = Architecture(**(SMALL | VARIANTS[variant]))
    reference = reference_unet(arch)
    unet = with_weights_of(reference, arch).requires_grad_()
    x, _ = x_and_timesteps(32, 32)
    t, label = torch.tensor([90]), torch.tensor([7]) if arch.num_classes else None
    both = (t.expand(2), None if label is None else label.expand(2))
    blocks = range(1, arch.num_blocks + 1)
    with torch.no_grad():
        theirs = reference_features(reference, x, *both)[:-1]
        assert_same(unet.features(x, t, blocks, label), theirs)

    reference.requires_grad_()
    names, parameters = zip(*unet.named_parameters(), strict=True)
    ours = torch.autograd.grad(unet(x, t, label).square().mean(), parameters)
    theirs = torch.autograd.grad(
        reference(x, *both).square().mean(), [reference.get_parameter(name) for name in names]
    )
    rounding = 1e-6 * max(gradient.abs().max() for gradient in theirs)
    for name, a, b in zip(names, ours, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max() + rounding, name


def test_gradients_of_biases_alone():
    arch = Architecture(**SMALL)
    reference = reference_unet(arch)
    unet = with_weights_of(reference, arch)
    x, timesteps = x_and_timesteps(32, 32)
    for model in (reference, unet):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.endswith('.bias'))
        model(x, timesteps).square().mean().backward()
    for name, parameter in reference.named_parameters():
        if parameter.requires_grad:
            gradient = unet.get_parameter(name).grad
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)


def test_gradients_of_some_parameters_alone():
    """Without those of the inputs of norms, of which PyTorch's backward makes a crash."""
    arch = Architecture(**SMALL)
    reference = reference_unet(arch).requires_grad_()
    unet = with_weights_of(reference, arch).requires_grad_()
    x, timesteps = x_and_timesteps(32, 32)
    names = ('output_blocks.3.0.in_layers.0.weight', 'out.0.bias', 'out.2.weight')
    ours, theirs = (
        torch.autograd.grad(
            model(x, timesteps).square().mean(), [model.get_parameter(name) for name in names]
        )
        for model in (unet, reference)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_input_and_features_are_not_written_to():
    arch = Architecture(**SMALL)
    unet = with_weights_of(reference_unet(arch), arch)
    x, _ = x_and_timesteps(32, 32)
    x = x.contiguous(memory_format=torch.channels_last)
    before = x.clone()
    with torch.no_grad():
        together = unet.features(x, torch.tensor([90]), range(1, 14))
        alone = [unet.features(x, torch.tensor([90]), (block,))[0] for block in range(1, 14)]
    assert torch.equal(x, before)
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('frozen', [1, 2, 7, 9])
def test_gradients_after_frozen_blocks(frozen, memory_format):
    """The first norm after them gets an input without gradient."""
    arch = Architecture(**SMALL)
    reference = reference_unet(arch)
    x, timesteps = x_and_timesteps(32, 32)
    x = x.contiguous(memory_format=memory_format)
    whole, partly = (with_weights_of(reference, arch).requires_grad_() for _ in range(2))
    partly.freeze(range(1, frozen + 1))
    for unet in (whole, partly):
        unet(x, timesteps).square().mean().backward()
    for name, parameter in partly.named_parameters():
        if parameter.requires_grad:
            expected = whole.get_parameter(name).grad
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ('name', 'flags'),
    [
        (
            'adm-64',
            dict(
                image_size=64,
                num_channels=192,
                num_head_channels=64,
                num_res_blocks=3,
                use_new_attention_order=True,
                class_cond=True,
                dropout=0.1,
            ),
        ),
        (
            'adm-128',
            dict(image_size=128, num_channels=256, num_heads=4, num_res_blocks=2, class_cond=True),
        ),
        (
            'adm-256',
            dict(
                image_size=256,
                num_channels=256,
                num_head_channels=64,
                num_res_blocks=2,
                class_cond=True,
            ),
        ),
        (
            'adm-256-uncond',
            dict(image_size=256, num_channels=256, num_head_channels=64, num_res_blocks=2),
        ),
        (
            'adm-512',
            dict(
                image_size=512,
                num_channels=256,
                num_head_channels=64,
                num_res_blocks=2,
                class_cond=True,
            ),
        ),
        (
            'adm-256-lsun',
            dict(
                image_size=256,
                num_channels=256,
                num_head_channels=64,
                num_res_blocks=2,
                dropout=0.1,
            ),
        ),
    ],
)
def test_published_state_dicts_need_no_renaming(name, flags):
    """The flags are those of guided-diffusion's README."""
    with torch.device('meta'):
        reference = create_model(
            attention_resolutions='32,16,8',
            learn_sigma=True,
            resblock_updown=True,
            use_scale_shift_norm=True,
            **flags,
        )
        unet = UNet(get_architecture(name))
    ours = {key: value.shape for key, value in unet.state_dict().items()}
    theirs = {key: value.shape for key, value in reference.state_dict().items()}
    assert ours == theirs
    heads = [m.attention.n_heads for m in reference.modules() if hasattr(m, 'attention')]
    assert [m.num_heads for m in unet.modules() if hasattr(m, 'num_heads')] == heads
    assert unet.arch.dropout == flags.get('dropout', 0)


def test_our_state_dict_loads_in_guided_diffusion():
    arch = Architecture(**SMALL)
    unet, reference = UNet(arch).eval(), reference_unet(arch)
    for parameter in unet.parameters():
        parameter.data.normal_(std=0.05)
    reference.load_state_dict(unet.state_dict())
    x, timesteps = x_and_timesteps(32, 32)
    with torch.no_grad():
        assert_same([unet(x, timesteps)], [reference(x, timesteps)])


def test_parameter_count_of_the_256_model():
    with torch.device('meta'):
        unet = UNet(ARCHITECTURES['adm-256-uncond'])
    assert sum(p.numel() for p in unet.parameters()) == 552_814_086


@pytest.mark.slow
@pytest.mark.parametrize('size', [(64, 64), (64, 96)])
def test_every_block_of_the_256_model_equals_guided_diffusion(size):
    arch = ARCHITECTURES['adm-256-uncond']
    reference = reference_unet(arch)
    unet = with_weights_of(reference, arch)
    x, timesteps = x_and_timesteps(*size)
    with torch.no_grad():
        theirs = reference_features(reference, x[:1], timesteps[:1])
        ours = [*unet.features(x[:1], timesteps[:1], range(1, 38)), unet(x[:1], timesteps[:1])]
    assert_same(ours, theirs)


@pytest.mark.parametrize('blocks', [(1,), (5,), (7, 3), (9, 6, 8), (11, 4)])
def test_truncated_unet_has_the_same_features(blocks):
    arch = Architecture(**SMALL)
    complete = UNet(arch).eval()
    unet = with_weights_of(complete, arch, last_block=max(blocks))
    x, timesteps = x_and_timesteps(32, 32)
    with torch.no_grad():
        everything = complete.features(x, timesteps, range(1, arch.num_blocks + 1))
        some = unet.features(x, timesteps, blocks)
    assert len(list(unet.blocks())) == max(blocks)
    for number, feature in zip(blocks, some, strict=True):
        assert torch.equal(feature, everything[number - 1])


def test_later_blocks_do_not_run():
    arch = Architecture(**SMALL)
    unet = UNet(arch)
    ran = []
    for number, block in enumerate(unet.blocks(), start=1):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    unet.features(*x_and_timesteps(32, 32), blocks=(2, 7))
    assert ran == [1, 2, 3, 4, 5, 6, 7]


def test_output_of_a_truncated_unet_is_refused():
    unet = UNet(Architecture(**SMALL), last_block=4)
    with pytest.raises(RuntimeError, match='ends with block 4'):
        unet(*x_and_timesteps(32, 32))


def test_numbers_channels_and_strides_of_the_256_model():
    """The table of the paper's numbering (section 2.1), by hand."""
    blocks = {block.number: block for block in ARCHITECTURES['adm-256-uncond'].blocks}
    assert len(blocks) == 37
    expected = {
        1: (256, 1), 3: (256, 1), 4: (256, 2), 7: (256, 4), 8: (512, 4), 10: (512, 8),
        13: (512, 16), 14: (1024, 16), 16: (1024, 32), 19: (1024, 32), 21: (1024, 32),
        22: (1024, 16), 24: (1024, 16), 25: (1024, 8), 26: (512, 8), 27: (512, 8),
        30: (512, 4), 31: (512, 2), 33: (256, 2), 34: (256, 1), 37: (256, 1),
    }  # fmt: skip
    assert {n: (blocks[n].channels, blocks[n].stride) for n in expected} == expected
    assert blocks[18].name == 'input_blocks.17'
    assert blocks[19].name == 'middle_block'
    assert blocks[37].name == 'output_blocks.17'
    assert [n for n, b in blocks.items() if b.resample == 'down'] == [4, 7, 10, 13, 16]
    assert [n for n, b in blocks.items() if b.resample == 'up'] == [22, 25, 28, 31, 34]


def test_every_architecture_says_what_its_unet_gives():
    arch = ARCHITECTURES['adm-64-small']
    unet = UNet(arch)
    features = unet.features(*x_and_timesteps(32, 64), blocks=range(1, arch.num_blocks + 1))
    for block, feature in zip(arch.blocks, features, strict=True):
        assert feature.shape[1:] == (block.channels, 32 // block.stride, 64 // block.stride)


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (dict(model_channels=40), ValueError, 'level 0 has 40 channels'),
        (dict(model_channels='32'), TypeError, "model_channels must be an int, got '32'"),
        (dict(num_res_blocks=0), ValueError, 'num_res_blocks must be at least 1, got 0'),
        (dict(channel_mult=()), ValueError, 'at least one level'),
        (dict(channel_mult=4), TypeError, 'channel_mult must be a sequence'),
        (dict(num_head_channels=24), ValueError, 'num_head_channels=24 does not divide'),
        (dict(dropout=1.5), ValueError, r'dropout must be in \[0, 1\), got 1.5'),
        (dict(noise_schedule='sigmoid'), ValueError, "got 'sigmoid'"),
        (dict(width=3), ValueError, r"unknown fields \['width'\]; known are image_size"),
    ],
)
def test_bad_architecture(change, error, message):
    with pytest.raises(error, match=message):
        get_architecture(SMALL | change)


def test_unknown_architecture_name():
    with pytest.raises(ValueError, match=r"arch='adm-257' is unknown; known are adm-64"):
        get_architecture('adm-257')
    with pytest.raises(TypeError, match='arch must be a name'):
        get_architecture(256)


def test_architecture_from_its_own_fields():
    arch = ARCHITECTURES['adm-512']
    assert get_architecture(asdict(arch)) == arch
    assert get_architecture(arch) is arch


@pytest.mark.parametrize('frozen', [0, 1, 4, 7, 9])
def test_frozen_blocks_keep_no_graph(frozen):
    unet = UNet(Architecture(**SMALL, dropout=0.5))
    unet.freeze(range(1, frozen + 1))
    unet.train()
    blocks = range(1, unet.last_block + 1)
    features = unet.features(*x_and_timesteps(32, 32), blocks=blocks)
    for number, (block, feature) in enumerate(zip(unet.blocks(), features, strict=True), 1):
        assert feature.requires_grad == (number > frozen)
        assert block.training == (number > frozen)
        assert all(p.requires_grad == (number > frozen) for p in block.parameters())
    assert all(p.requires_grad == (frozen == 0) for p in unet.time_embed.parameters())


@pytest.mark.skipif(
    not has_custom_operators(), reason='torch.compile of older PyTorch breaks the graph'
)
@pytest.mark.parametrize('trained', [False, True])
def test_compiles_without_graph_breaks(trained):
    unet = UNet(Architecture(**SMALL)).requires_grad_(trained)
    explained = torch._dynamo.explain(unet)(*x_and_timesteps(32, 32))
    assert explained.graph_break_count == 0
    assert explained.graph_count == 1
