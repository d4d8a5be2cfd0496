"""GuidedDiffusionBackbone: noise, padding, freezing and loading."""

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS as ROOT
from mmengine.registry import DefaultScope

from mmdiff.diffusion import CheckpointError, UNet, fixed_noise, get_architecture, q_sample
from mmdiff.models import GuidedDiffusionBackbone
from mmdiff.models.backbones import base, image_range, precision

BLOCKS = (14, 12, 10)


def backbone(seed=0, **kwargs):
    torch.manual_seed(seed)
    model = GuidedDiffusionBackbone(**(dict(arch='adm-64-small', blocks=BLOCKS) | kwargs))
    for parameter in model.parameters():
        if not parameter.any():
            parameter.data.normal_(std=0.05)
    return model


def images(n=2, height=32, width=48):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(5)) * 2 - 1


def same(a, b, tolerance=1e-4):
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('scope', ['mmengine', 'mmseg', 'mmdet', 'mmpretrain'])
def test_is_built_from_any_scope(scope):
    with DefaultScope.overwrite_default_scope(scope):
        model = ROOT.build(
            dict(type='mmdiff.GuidedDiffusionBackbone', arch='adm-64-small', blocks=[10])
        )
    assert isinstance(model, GuidedDiffusionBackbone)


def test_features_are_those_of_the_noised_image():
    model = backbone(timestep=200).eval()
    x_0 = images()
    x_t = q_sample(x_0, 200, fixed_noise(0, (1, 3, 32, 48)), 'linear')
    with torch.no_grad():
        features = model(x_0)
        same(features, model.unet.features(x_t, torch.tensor([200, 200]), BLOCKS))
    for feature, channels, stride in zip(features, model.out_channels, model.strides, strict=True):
        assert feature.shape == (2, channels, 32 // stride, 48 // stride)


def test_evaluation_repeats_and_training_does_not():
    model = backbone()
    with torch.no_grad():
        first, second = model.eval()(images()), model(images())
        same(first, second, tolerance=0)
        noisy, noisier = model.train()(images()), model(images())
    assert not torch.equal(noisy[0], noisier[0])


def test_fixed_noise_does_not_depend_on_the_batch():
    model = backbone().eval()
    x_0 = images(4)
    with torch.no_grad():
        together = model(x_0)
        alone = [model(x_0[i : i + 1]) for i in range(4)]
    for i in range(4):
        same([f[i : i + 1] for f in together], alone[i])


def test_seed_changes_the_fixed_noise():
    a, b = backbone(seed=0).eval(), GuidedDiffusionBackbone('adm-64-small', blocks=BLOCKS, seed=1)
    b.load_state_dict(a.state_dict())
    with torch.no_grad():
        assert not torch.equal(a(images())[0], b.eval()(images())[0])


def test_noise_none_is_the_scaled_image():
    model = backbone(eval_noise='none', timestep=500).eval()
    x_t = q_sample(images(), 500, torch.zeros(2, 3, 32, 48), 'linear')
    with torch.no_grad():
        same(model(images()), model.unet.features(x_t, torch.tensor([500, 500]), BLOCKS))


def test_noise_clean_is_the_image():
    model = backbone(noise='clean', eval_noise='clean', timestep=500)
    with torch.no_grad():
        expected = model.eval().unet.features(images(), torch.tensor([500, 500]), BLOCKS)
        same(model(images()), expected)
        same(model.train()(images()), expected)


@pytest.mark.parametrize('ensemble_size', [1, 2])
@pytest.mark.parametrize('batch_timesteps', [True, False])
def test_several_timesteps(batch_timesteps, ensemble_size):
    kwargs = dict(ensemble_size=ensemble_size, batch_timesteps=batch_timesteps)
    model = backbone(timestep=(90, 150, 300), **kwargs).eval()
    with torch.no_grad():
        features = model(images())
        assert len(features) == 3
        for timestep, maps in zip((90, 150, 300), features, strict=True):
            single = backbone(timestep=timestep, ensemble_size=ensemble_size).eval()
            same(maps, single(images()))


def test_several_timesteps_are_the_same_batched_or_not():
    """With fresh noise and gradients too."""
    gradients = []
    for batch_timesteps in (True, False):
        model = backbone(timestep=(90, 150), batch_timesteps=batch_timesteps).train()
        torch.manual_seed(3)
        sum(m.square().mean() for maps in model(images()) for m in maps).backward()
        gradients.append([p.grad for p in model.parameters()])
    largest = max(g.abs().max() for g in gradients[0])
    for a, b in zip(*gradients, strict=True):
        # Some are zero but for rounding: a bias before a norm of one channel a group.
        assert (a - b).abs().max() <= 1e-4 * a.abs().max() + 1e-4 * largest


def test_ensemble_averages_the_features_of_its_draws():
    model = backbone(ensemble_size=3).eval()
    x_0 = images()
    draws = fixed_noise(0, (3, 3, 32, 48))
    with torch.no_grad():
        single = [
            model.unet.features(q_sample(x_0, 90, draw, 'linear'), torch.tensor([90, 90]), BLOCKS)
            for draw in draws
        ]
        same(model(x_0), [torch.stack(f).mean(0) for f in zip(*single, strict=True)])


@pytest.mark.parametrize('size', [(32, 32), (33, 32), (31, 63), (1, 1), (5, 100)])
def test_any_size_is_padded_and_cropped_back(size):
    model = backbone(eval_noise='none').eval()
    x_0 = images(1, *size)
    height, width = (-(-side // 8) * 8 for side in size)
    rows = torch.arange(height).clamp(max=size[0] - 1)
    columns = torch.arange(width).clamp(max=size[1] - 1)
    with torch.no_grad():
        features = model(x_0)
        padded = model(x_0[:, :, rows][..., columns])
    for feature, whole, stride in zip(features, padded, model.strides, strict=True):
        assert feature.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))
        torch.testing.assert_close(feature, whole[..., : feature.shape[2], : feature.shape[3]])


def test_blocks_are_returned_in_the_order_asked_for():
    model = backbone(blocks=(10, 14)).eval()
    other = backbone(blocks=(14, 10)).eval()
    with torch.no_grad():
        same(model(images()), other(images())[::-1])
    assert model.out_channels == other.out_channels[::-1] == (128, 32)
    assert model.strides == (8, 2)


@pytest.mark.parametrize('size', [(32, 32), (30, 44)])
def test_maps_are_contiguous(size):
    """As mmcv's RoIAlign takes them to be."""
    for feature in backbone().eval()(images(*size)):
        assert feature.is_contiguous()


@pytest.mark.parametrize(('frozen', 'first_trained'), [('none', 0), ('all', 15), (9, 10), (1, 2)])
def test_frozen(frozen, first_trained):
    model = backbone(frozen=frozen).train()
    assert model.training
    features = model(images())
    trained = [p for p in model.parameters() if p.requires_grad]
    if frozen == 'all':
        assert not trained
        assert not any(f.requires_grad for f in features)
        assert not any(m.training for b in model.unet.blocks() for m in b.modules())
        return
    sum(f.sum() for f in features).backward()
    # Exactly those that should have a gradient: what DDP needs.
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
    for number, block in enumerate(model.unet.blocks(), start=1):
        assert block.training == (number >= first_trained)
        assert all(p.requires_grad == (number >= first_trained) for p in block.parameters())


def test_frozen_backbone_draws_fresh_noise_in_training():
    model = backbone(frozen='all').train()
    assert not torch.equal(model(images())[0], model(images())[0])


def test_label():
    arch = dict(
        image_size=64, model_channels=32, channel_mult=(1, 2), num_res_blocks=1, num_classes=5,
        attention_resolutions=(), num_heads=1,
    )  # fmt: skip
    with_label, without = (backbone(arch=arch, blocks=[4], label=label) for label in (3, None))
    without.load_state_dict(with_label.state_dict())
    with torch.no_grad():
        a, b = with_label.eval()(images())[0], without.eval()(images())[0]
    assert not torch.allclose(a, b)
    without.train()(images())[0].sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in without.parameters())


def test_gradient_checkpointing_gives_the_same_gradients():
    models = [backbone(with_cp=with_cp, noise='fixed').train() for with_cp in (False, True)]
    for model in models:
        sum(f.square().mean() for f in model(images())).backward()
    for a, b in zip(*(m.parameters() for m in models), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_amp_dtype():
    model, plain = backbone(amp_dtype='bfloat16').eval(), backbone().eval()
    dtypes = []
    model.unet.input_blocks[1].register_forward_hook(lambda *a: dtypes.append(a[2].dtype))
    with torch.no_grad():
        features, expected = model(images()), plain(images())
    assert dtypes == [torch.bfloat16]
    for feature, reference in zip(features, expected, strict=True):
        assert feature.dtype == torch.float32
        assert (feature - reference).abs().mean() < 0.05 * reference.abs().mean()


@pytest.mark.parametrize(
    ('flags', 'dtype'),
    [
        ({'avx512f'}, None),
        ({'avx512f', 'avx512_bf16'}, torch.bfloat16),
        ({'amx_bf16', 'amx_tile'}, torch.bfloat16),
    ],
)
@pytest.mark.parametrize('prepare', [False, True])
def test_amp_dtype_by_the_instructions_of_the_processor(flags, dtype, prepare, monkeypatch):
    messages = []
    monkeypatch.setattr(precision, 'cpu_flags', lambda: frozenset(flags))
    monkeypatch.setattr(precision, 'print_log', lambda message, **_: messages.append(message))
    model, same = (
        backbone(amp_dtype=d, frozen='all').eval() for d in ('auto', dtype and 'bfloat16')
    )
    if prepare:
        model.prepare_for_inference()
        same.prepare_for_inference()
    with torch.no_grad():
        for _ in range(2):
            assert torch.equal(model(images())[0], same(images())[0])
    (message,) = messages
    assert (dtype is None) == ("'auto' is float32" in message)
    assert all(flag in message for flag in flags if 'bf16' in flag)


def test_surrounding_autocast_is_followed():
    model = backbone().eval()
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        assert model(images())[0].dtype == torch.bfloat16


def test_loads_a_published_checkpoint_as_it_is(tmp_path, monkeypatch):
    """A complete state dict in guided-diffusion's names, loaded through ``init_cfg``."""
    unet = UNet(get_architecture('adm-64-small'))
    for parameter in unet.parameters():
        parameter.data.normal_(std=0.05)
    path = tmp_path / 'published.pt'
    torch.save(unet.state_dict(), path)
    model = backbone(
        blocks=(12,), init_cfg=dict(type='Pretrained', checkpoint=str(path)), eval_noise='none'
    )
    logged = []
    monkeypatch.setattr(base, 'print_log', lambda text, **_: logged.append(text))
    model.init_weights()
    (printed,) = logged
    assert 'blocks that are not built, as they come after block 12' in printed
    assert ' output_blocks.3, output_blocks.4, ' in printed
    x_t = q_sample(images(), 90, None, 'linear')
    with torch.no_grad():
        same(model.eval()(images()), unet.eval().features(x_t, torch.tensor([90, 90]), (12,)))


def test_loads_the_backbone_of_a_segmentor(tmp_path):
    trained = backbone()
    path = tmp_path / 'iter_1.pth'
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in trained.state_dict().items()}}, path)
    model = backbone(
        seed=1,
        init_cfg=dict(type='Pretrained', checkpoint=str(path), prefix='backbone.unet.'),
    )
    model.init_weights()
    for key, value in trained.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)


def test_bad_checkpoint_is_an_error(tmp_path):
    path = tmp_path / 'broken.pt'
    path.write_bytes(b'broken')
    model = backbone(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    with pytest.raises(CheckpointError, match='truncated'):
        model.init_weights()
    model = backbone(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'none.pt')))
    with pytest.raises(FileNotFoundError, match=r'none\.pt does not exist'):
        model.init_weights()


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (dict(timestep=1000), ValueError, 'timestep must be an int from 0 to 999, got 1000'),
        (dict(timestep=-1), ValueError, 'timestep must be an int from 0 to 999, got -1'),
        (dict(timestep=9.5), TypeError, r'timestep must be an int or a sequence of ints, got 9\.5'),
        (dict(timestep=[90, 1000]), ValueError, 'timestep must be an int from 0 to 999, got 1000'),
        (dict(timestep=[90, 90]), ValueError, 'a sequence of different ints'),
        (dict(timestep=[]), ValueError, 'a sequence of different ints'),
        (dict(blocks=(0,)), ValueError, 'blocks has block 0, but .* blocks 1 to 17'),
        (dict(blocks=18), ValueError, 'blocks has block 18'),
        (dict(blocks=()), TypeError, 'one or more block numbers'),
        (dict(blocks='12'), TypeError, 'blocks must be an int or a sequence of ints'),
        (dict(blocks=('12',)), TypeError, r"blocks must be an int .*, got \('12',\)"),
        (dict(timestep=np.array([[1]])), TypeError, 'timestep must be an int or a sequence of'),
        (dict(blocks=(12, 12)), ValueError, 'must not repeat'),
        (dict(noise='gauss'), ValueError, 'noise must be one of random, fixed, none, clean'),
        (dict(eval_noise=None), ValueError, 'eval_noise must be one of random, fixed, none'),
        (dict(ensemble_size=0), ValueError, 'ensemble_size must be an int of at least 1'),
        (dict(ensemble_size=2, noise='none'), ValueError, "neither may be 'none' or 'clean'"),
        (dict(ensemble_size=2, eval_noise='clean'), ValueError, "eval_noise='clean'; neither may"),
        (dict(timestep='learnt'), ValueError, "several, 'learned' or {block: timestep}, got 'lea"),
        (dict(timestep='learned', blocks=1), ValueError, 'block 1, .* takes no embedding'),
        (dict(timestep='learned', initial_timestep=1000), ValueError, 'initial_timestep must be'),
        (dict(timestep=90, initial_timestep=9), ValueError, "but timestep is not 'learned'"),
        (dict(timestep={14: 9, 12: 9}), ValueError, r'each of blocks=\(14, 12, 10\), and no other'),
        (dict(timestep={12: 'learned'}, blocks=12), TypeError, r'timestep\[12\] must be an int'),
        (dict(timestep={12: 1000}, blocks=12), ValueError, r'timestep\[12\] must be an int from 0'),
        (dict(frozen='some'), ValueError, "'none', 'all', or a block number from 1 to 14"),
        (dict(frozen=15), ValueError, 'a block number from 1 to 14'),
        (dict(frozen=True), ValueError, 'a block number from 1 to 14'),
        (dict(label=3), ValueError, 'is not class-conditional'),
        (dict(arch='adm-256', label=1000), ValueError, 'label must be an int from 0 to 999'),
        (dict(amp_dtype='int8'), ValueError, 'amp_dtype must be one of float16, bfloat16, auto'),
        (dict(arch='resnet'), ValueError, "arch='resnet' is unknown"),
        (dict(init_cfg=dict(type='Normal')), ValueError, 'init_cfg must be dict'),
        (dict(init_cfg=[]), ValueError, 'init_cfg must be dict'),
    ],
)
def test_bad_arguments(change, error, message):
    with torch.device('meta'), pytest.raises(error, match=message):
        GuidedDiffusionBackbone(**(dict(arch='adm-64-small', blocks=BLOCKS) | change))


@pytest.mark.parametrize(
    ('integers', 'expected'),
    [
        (range(100, 400, 150), (100, 250)),
        (np.arange(100, 400, 150), (100, 250)),
        ([np.int64(100), np.uint16(250)], (100, 250)),
        (np.int32(100), (100,)),
    ],
)
def test_integers_of_any_kind(integers, expected):
    model = backbone(timestep=integers, frozen=np.int64(2), seed=np.int64(7), eval_noise='fixed')
    assert model.timesteps == expected
    assert {type(t) for t in model.timesteps} == {int}
    assert model.single_timestep == (len(expected) == 1)
    plain = backbone(timestep=expected[0] if model.single_timestep else expected, frozen=2, seed=7)
    features, reference = model.eval()(images(1)), plain.eval()(images(1))
    for maps, others in zip(features, reference, strict=True):
        same(maps, others, tolerance=0)
    blocks = np.array(integers) // 50
    assert backbone(blocks=blocks).blocks == tuple(t // 50 for t in expected)


@pytest.mark.parametrize('shape', [(3, 32, 32), (1, 1, 32, 32), (1, 4, 32, 32), (1, 32, 32, 3)])
def test_bad_input(shape):
    with pytest.raises(ValueError, match=r'x_0 must have shape \(N, 3, H, W\), .*got') as error:
        backbone()(torch.zeros(shape))
    assert ('x_0[None]' in str(error.value)) == (len(shape) == 3)


IMAGENET = (torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375]))


@pytest.mark.parametrize(
    ('to_input', 'message'),
    [
        (lambda x: x, r'\[-1, 1\], got values from 0 to 255\. .*: x_0 / 127\.5 - 1'),
        (
            lambda x: ((x.movedim(1, -1) - IMAGENET[0]) / IMAGENET[1]).movedim(-1, 1),
            r'got values from -2\.\d+ to 2\.\d+\. .*mean=\[127\.5\] \* 3, std=\[127\.5\] \* 3',
        ),
        (lambda x: x - 127.5, r'got values from -127\.5 to 127\.5'),
        (lambda x: (x / 127.5 - 1).where(x != 7, torch.nan), 'x_0 has NaN'),
        (lambda x: (x / 127.5 - 1).where(x != 7, torch.inf), 'x_0 has NaN or infinite'),
    ],
)
def test_images_in_another_range(to_input, message):
    pixels = torch.arange(256.0).repeat(12).reshape(1, 3, 32, 32)
    model = backbone().eval()
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            model(to_input(pixels))
        model(pixels / 127.5 - 1)


def test_uint8_images_are_told_what_to_do():
    with pytest.raises(TypeError, match=r'got torch\.uint8: of uint8 images, x_0 / 127\.5 - 1'):
        backbone()(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


def test_a_gpu_is_waited_for_once(monkeypatch):
    """On another device than the CPU, the range is read in the first forward alone."""
    reads = []
    monkeypatch.setattr(image_range, 'check_image_range', lambda x_0: reads.append(x_0.device.type))
    model = backbone().to('meta')
    for _ in range(3):
        model(images().to('meta'))
    assert reads == ['meta']
