"""Bad settings and files: an error of ours that names what is wrong, or a correct result."""

import random
import traceback
from pathlib import Path

import pytest
import torch

import mmdiff
from mmdiff.classification import (
    AttentionHead,
    CNNHead,
    DifFormerHead,
    LinearHead,
    MLPHead,
)
from mmdiff.diffusion import CheckpointError, UNet, get_architecture, load_weights, read_checkpoint
from mmdiff.models import (
    DifFeedBackbone,
    FeatureAdapter,
    FeatureAggregator,
    GuidedDiffusionBackbone,
)

TINY = dict(
    image_size=16,
    model_channels=32,
    channel_mult=(1, 1),
    num_res_blocks=1,
    attention_resolutions=(8,),
    num_head_channels=16,
)
# 9 blocks, of which the fifth is the middle.
GOOD = {
    'arch': [TINY],
    'blocks': [1, 5, (9,), [7, 2], (6, 8, 5)],
    'timestep': [0, 999, (500,), [0, 90, 999]],
    'noise': ['random', 'fixed', 'none', 'clean'],
    'eval_noise': ['random', 'fixed', 'none', 'clean'],
    'seed': [0, 12345],
    'ensemble_size': [1, 2],
    'batch_timesteps': [True, False],
    'frozen': [None, 'none', 'all', 1],
    'label': [None],
    'with_cp': [True, False],
    'amp_dtype': [None, 'bfloat16'],
    'init_cfg': [None],
}
ANY = [object(), b'24', {'a': 1}, [[1]], complex(1), float('nan'), torch.tensor(24)]
BAD = {
    'arch': [
        'adm-65', None, 3, {}, {'image_size': 16}, TINY | {'depth': 3}, TINY | {'image_size': '16'},
        TINY | {'model_channels': 33}, TINY | {'channel_mult': ()},
        TINY | {'channel_mult': (1, -1)}, TINY | {'num_res_blocks': 0},
        TINY | {'num_head_channels': 7}, TINY | {'dropout': 1.0}, TINY | {'num_classes': True},
        TINY | {'noise_schedule': 'sigmoid'},
    ],
    'blocks': [0, -1, 10, 10**30, (), '24', (2, 2), None, 2.0, (1, '2'), True, (1, None), *ANY],
    'timestep': [
        1000, -1, -(10**30), '90', None, 2.5, (), (5, 5), True, (1, 1000), {}, {99: 5}, *ANY,
    ],
    'noise': ['gauss', None, 1, ['random'], *ANY],
    'eval_noise': ['gauss', None, 1, ('fixed',), *ANY],
    'seed': ['x', None, -1, 1.5, True, *ANY],
    'ensemble_size': [0, -2, '2', 1.5, True, None, *ANY],
    'batch_timesteps': ['yes', None, 1, *ANY],
    'frozen': ['some', 0, 10, True, -1, 1.0, *ANY],
    'label': [3, 'cat', *ANY],
    'with_cp': ['yes', None, 1, *ANY],
    'amp_dtype': ['int8', torch.float16, *ANY],
    'initial_timestep': [90, 'x', True, *ANY],
    'init_cfg': [
        'unet.pt', {}, dict(type='Pretrained'), dict(type='Xavier', checkpoint='unet.pt'),
        dict(type='Pretrained', checkpoint='unet.pt', strict=False),
    ],
}  # fmt: skip
BAD_FEEDBACK = {
    'feedback': ['none', None, {}, {99: 1}, {7: 99}, {7: 7}, {'7': 2}, 3, ['bottleneck'], *ANY[:3]],
    'norm_cfg': ['BN', {}, 3, *ANY[:2]],
    'multi_scale_target': [1, 'x'],
}

COUNT = [0, -1, 2.0, '8', None, True, *ANY]
COUNTS = [8, '8', None, (0,), (8, -1), (8, '8'), (8, 2.0), (True,), *ANY[:3]]
FLAG = ['yes', None, 1, *ANY]
# The right arguments, and for each some wrong ones.
PARTS = {
    FeatureAdapter: (
        dict(in_channels=(8, 4), in_strides=(2, 4), out_channels=8, out_strides=(4, 8)),
        {
            'in_channels': [*COUNTS, (), (8,), (8, 8, 8)],
            'in_strides': [*COUNTS, (), (2,), (2, 4, 8)],
            'out_channels': COUNT,
            'out_strides': [*COUNTS, (), (4, 8, 16)],
            'level_convs': FLAG,
            'pooled_level': FLAG,
            'standardize': FLAG,
            'norm_cfg': [*BAD_FEEDBACK['norm_cfg'], dict(type='BN')],
        },
    ),
    FeatureAggregator: (
        dict(in_channels=(8, 4), in_strides=(2, 4), out_channels=8, out_strides=(4, 8)),
        {
            'in_channels': [*COUNTS, (), (8,), (8, 8, 8)],
            'in_strides': [*COUNTS, (), (2,), (2, 4, 8)],
            'num_timesteps': COUNT,
            'out_channels': COUNT,
            'out_strides': [*COUNTS, ()],
            'norm_cfg': BAD_FEEDBACK['norm_cfg'],
            'standardize': FLAG,
            'spatial_gate': FLAG,
            'level_convs': FLAG,
            'level_norm_cfg': [*BAD_FEEDBACK['norm_cfg'], dict(type='BN')],
            'pooled_level': FLAG,
        },
    ),
    LinearHead: (
        dict(num_classes=3, in_channels=8),
        {'num_classes': COUNT, 'in_channels': COUNT, 'pool_size': COUNT, 'standardize': FLAG},
    ),
    MLPHead: (dict(num_classes=3, in_channels=8), {'hidden_channels': COUNTS}),
    CNNHead: (
        dict(num_classes=3, in_channels=8),
        {'channels': [*COUNTS, (), (8,), (8, 8, 8)], 'pool_size': [*COUNT, 6]},
    ),
    AttentionHead: (
        dict(num_classes=3, in_channels=8, feature_size=4, embed_dims=32, num_heads=4),
        {
            'in_channels': COUNT, 'feature_size': COUNT, 'num_layers': COUNT, 'embed_dims': COUNT,
            'num_heads': [*COUNT, 5], 'pool_size': COUNT, 'project': FLAG,
        },
    ),
    DifFormerHead: (
        dict(num_classes=3, in_channels=(8, 8), feature_sizes=(4, 2), embed_dims=32, num_heads=4),
        {
            'in_channels': [*COUNTS, (), (8,)],
            'feature_sizes': [*COUNTS, (), (4,)],
            'num_timesteps': COUNT,
        },
    ),
}  # fmt: skip


def draw(rng):
    settings = {name: rng.choice(values) for name, values in GOOD.items()}
    if settings['ensemble_size'] > 1:
        settings.update(noise='random', eval_noise='fixed')
    return settings


def assert_refused(build, argument, settings):
    with pytest.raises((TypeError, ValueError), match=rf'\b{argument}\b') as error:
        build(**settings)
    last = traceback.extract_tb(error.tb)[-1].filename
    assert Path(mmdiff.__file__).parent in Path(last).parents, settings


@pytest.mark.parametrize('argument', BAD)
def test_one_bad_setting(argument):
    rng = random.Random(argument)
    for value in BAD[argument]:
        named = 'field' if argument == 'arch' and isinstance(value, dict) else argument
        settings = draw(rng) | {argument: value}
        if named == 'field':
            with pytest.raises((TypeError, ValueError)):
                GuidedDiffusionBackbone(**settings)
        else:
            assert_refused(GuidedDiffusionBackbone, named, settings)


@pytest.mark.parametrize('argument', BAD_FEEDBACK)
def test_one_bad_setting_of_diffeed(argument):
    for value in BAD_FEEDBACK[argument]:
        settings = dict(arch=TINY, blocks=(9, 6)) | {argument: value}
        assert_refused(DifFeedBackbone, argument, settings)


@pytest.mark.parametrize('part', PARTS, ids=lambda part: part.__name__)
def test_one_bad_setting_of_necks_and_heads(part):
    good, bad = PARTS[part]
    part(**good)
    for argument, values in bad.items():
        for value in values:
            assert_refused(part, argument, good | {argument: value})


@pytest.mark.parametrize('part', PARTS, ids=lambda part: part.__name__)
def test_features_that_do_not_fit(part):
    good, _ = PARTS[part]
    model = part(**good)
    shapes = [(8, 4, 4), (4, 2, 2), (8, 2, 2), (8, 8, 8), (5, 4, 4), (8, 1, 9)]
    maps = [torch.randn(2, *shape) for shape in shapes]
    rng = random.Random(0)
    for _ in range(60):
        features = rng.choices(maps, k=rng.randrange(4))
        if rng.random() < 0.3:
            features = [features] * rng.randrange(3)
        try:
            result = model(features)
        except ValueError as error:
            last = traceback.extract_tb(error.__traceback__)[-1].filename
            assert Path(mmdiff.__file__).parent in Path(last).parents, features
        else:
            result = result if isinstance(result, tuple) else (result,)
            assert all(value.isfinite().all() for value in result)
            assert {len(value) for value in result} == {2}


def test_good_settings_at_random():
    rng = random.Random(0)
    x_0 = torch.rand(2, 3, 15, 18) * 2 - 1
    for _ in range(40):
        settings = draw(rng)
        model = GuidedDiffusionBackbone(**settings).train(rng.random() < 0.5)
        features = model(x_0)
        features = (features,) if model.single_timestep else features
        assert len(features) == len(model.timesteps), settings
        for maps in features:
            for stride, channels, feature in zip(
                model.strides, model.out_channels, maps, strict=True
            ):
                assert feature.shape == (2, channels, -(-15 // stride), -(-18 // stride))
                assert feature.dtype == torch.float32
                assert feature.isfinite().all(), settings


@pytest.mark.parametrize(
    ('x_0', 'error'),
    [
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), TypeError),
        (torch.zeros(1, 3, 16, 16, dtype=torch.int64), TypeError),
        (torch.zeros(0, 3, 16, 16), ValueError),
        (torch.zeros(1, 3, 0, 16), ValueError),
        (torch.zeros(1, 4, 16, 16), ValueError),
        (torch.zeros(3, 16, 16), ValueError),
    ],
)
def test_bad_images(x_0, error):
    with pytest.raises(error, match='x_0'):
        GuidedDiffusionBackbone(TINY, blocks=5)(x_0)


@pytest.mark.parametrize('size', [(1, 1), (1, 40), (40, 1), (17, 3)])
def test_images_of_any_size(size):
    # Two channels to a group: one value alone cannot be normalised.
    model = GuidedDiffusionBackbone(TINY | {'model_channels': 64}, blocks=6).eval()
    with torch.no_grad():
        (feature,) = model(torch.zeros(1, 3, *size))
    assert feature.shape[-2:] == tuple(-(-side // 2) for side in size)
    assert feature.isfinite().all()


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'unet.pt'
    torch.save(UNet(get_architecture(TINY)).state_dict(), path)
    return path


def test_truncated_checkpoints(checkpoint):
    content = checkpoint.read_bytes()
    rng = random.Random(0)
    lengths = [0, 1, 2, len(content) - 1, *(rng.randrange(len(content)) for _ in range(60))]
    for length in lengths:
        checkpoint.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r'unet\.pt'):
            read_checkpoint(checkpoint)


def test_foreign_bytes(checkpoint):
    rng = random.Random(0)
    for _ in range(60):
        checkpoint.write_bytes(rng.randbytes(rng.randrange(1, 2000)))
        with pytest.raises(CheckpointError, match=r'unet\.pt'):
            read_checkpoint(checkpoint)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_no_numbers(value, checkpoint):
    weights = read_checkpoint(checkpoint)
    weights['output_blocks.1.0.in_layers.2.weight'] = torch.full_like(
        weights['output_blocks.1.0.in_layers.2.weight'], value
    )
    unet = UNet(get_architecture(TINY))
    before = {key: tensor.clone() for key, tensor in unet.state_dict().items()}
    with pytest.raises(CheckpointError, match=r'unet\.pt has NaN .*output_blocks\.1\.0\.in_layers'):
        load_weights(unet, weights, 'unet.pt')
    assert all(torch.equal(tensor, before[key]) for key, tensor in unet.state_dict().items())
    # Of no concern to a U-Net that ends before.
    load_weights(UNet(get_architecture(TINY), last_block=5), weights, 'unet.pt')
