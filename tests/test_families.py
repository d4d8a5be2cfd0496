"""Every backbone x every ability that the backbones share."""

import copy
from argparse import Namespace

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.registry import MODELS as ROOT
from mmengine.registry import DefaultScope

from mmdiff import models
from mmdiff.apis import FeatureExtractor
from mmdiff.diffusion import fixed_noise, get_architecture, q_sample
from mmdiff.models import backbone_of

SD = dict(
    image_size=64, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=16,
    num_attention_heads=2,
)  # fmt: skip
DIT = dict(image_size=64, hidden_size=32, depth=3, num_heads=2, num_classes=3)
ENCODER = dict(
    image_size=64, model_channels=32, channel_mult=(1, 2), num_res_blocks=1,
    attention_resolutions=(32,), num_head_channels=32, num_outputs=5,
)  # fmt: skip
VAE = dict(vae_channels=(32, 32, 32, 32))
# A small backbone of each family, with three blocks, the deepest first.
FAMILIES = {
    'guided diffusion': dict(
        type='GuidedDiffusionBackbone', arch='adm-64-small', blocks=(14, 12, 2)
    ),
    'guided diffusion encoder': dict(
        type='GuidedDiffusionEncoderBackbone', arch=ENCODER, blocks=(5, 3, 1)
    ),
    'stable diffusion': dict(type='StableDiffusionBackbone', arch=SD, blocks=(7, 5, 2), **VAE),
    'stable diffusion, learnable text': dict(
        type='StableDiffusionBackbone', arch=SD, blocks=(7, 5, 2), text='learnable', **VAE
    ),
    'dit': dict(type='DiffusionTransformerBackbone', arch=DIT, blocks=(3, 2, 1), **VAE),
    'dit, raw': dict(
        type='DiffusionTransformerBackbone', arch=DIT, blocks=(2, 1), tap='raw', **VAE
    ),
    'sit': dict(
        type='DiffusionTransformerBackbone',
        arch=DIT | dict(noise_schedule='linear-path'),
        blocks=(2, 1),
        **VAE,
    ),
    'diffeed': dict(type='DifFeedBackbone', arch='adm-64-small', blocks=(14, 12)),
    'diffeed on stable diffusion': dict(
        type='StableDiffusionDifFeedBackbone', arch=SD, blocks=(8, 7), **VAE
    ),
}
with_several_timesteps = pytest.mark.parametrize(
    'family', [name for name in FAMILIES if not name.startswith('diffeed')]
)
every_family = pytest.mark.parametrize('family', FAMILIES)


def backbone(family, seed=0, **kwargs):
    torch.manual_seed(seed)
    settings = FAMILIES[family] | kwargs
    model = getattr(models, settings.pop('type'))(**settings)
    for name, parameter in model.named_parameters():
        if not parameter.any() and '.lora.' not in name:
            parameter.data.normal_(std=0.05)
    return model


def images(n=2, height=32, width=64):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(5)) * 2 - 1


def same(a, b, tolerance=1e-4):
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance)


def near(found, expected, tolerance=2e-5):
    """As of other kernels, relative to the norm of each map."""
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert (a - b).norm() <= tolerance * b.norm()


@every_family
def test_is_built_from_another_scope(family):
    settings = FAMILIES[family]
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = ROOT.build(settings | dict(type=f'mmdiff.{settings["type"]}'))
    assert type(model) is getattr(models, settings['type'])


@every_family
def test_maps_are_as_announced(family):
    """Channels, strides, order and layout."""
    model = backbone(family).eval()
    blocks = model.blocks[::-1]
    other = backbone(family, blocks=blocks).eval()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        features = model(images())
        same(features, other(images())[::-1])
    for feature, number, channels, stride in zip(
        features, model.blocks, model.out_channels, model.strides, strict=True
    ):
        block = model.arch.blocks[number - 1]
        assert (block.number, block.channels, block.stride) == (number, channels, stride)
        assert feature.shape == (2, channels, 32 // stride, 64 // stride)
        # As mmcv's RoIAlign takes them to be.
        assert feature.is_contiguous()


@every_family
def test_later_blocks_are_not_built(family):
    model = backbone(family).eval()
    network = model.network
    last = network.last_block
    assert len(list(network.blocks())) == last <= model.arch.num_blocks
    whole = type(network)(model.arch, **(dict(tap='raw') if 'raw' in family else {}))
    weights = whole.state_dict()
    assert set(network.state_dict()) < set(weights)
    whole.load_state_dict(weights | network.state_dict())
    x_0 = model.encode(images())
    t = torch.tensor([90])
    with torch.no_grad():
        same(
            network.features(x_0, t, model.blocks, model.condition(t)),
            whole.eval().features(x_0, t, model.blocks, model.condition(t)),
        )


@every_family
def test_features_are_those_of_the_noised_input(family):
    model = backbone(family, timestep=200, eval_noise='fixed').eval()
    if family.startswith('diffeed'):
        model.feedback_targets.clear()
        model._features = super(models.backbones.diffeed.DifFeedMixin, model)._features
    x_0 = model.encode(images())
    assert x_0.shape[1] == model.arch.input.channels
    assert x_0.shape[2] == 32 // model.arch.input.stride
    x_t = q_sample(x_0, 200, fixed_noise(0, (1, *x_0.shape[1:])), model.arch.noise_schedule)
    t = torch.tensor([200, 200])
    with torch.no_grad():
        same(model(images()), model.network.features(x_t, t, model.blocks, model.condition(t)))


@every_family
def test_evaluation_repeats_and_training_does_not(family):
    model = backbone(family, frozen='all')
    with torch.no_grad():
        first, second = model.eval()(images()), model(images())
        alone = model(images()[:1])
        same(first, second, tolerance=0)
        same([feature[:1] for feature in first], alone)
        noisy, noisier = model.train()(images()), model(images())
    assert not torch.equal(noisy[0], noisier[0])


@with_several_timesteps
@pytest.mark.parametrize('batch_timesteps', [True, False])
def test_several_timesteps_and_draws(family, batch_timesteps):
    kwargs = dict(ensemble_size=2)
    model = backbone(family, timestep=(90, 300), batch_timesteps=batch_timesteps, **kwargs).eval()
    with torch.no_grad():
        features = model(images())
        for timestep, maps in zip((90, 300), features, strict=True):
            single = backbone(family, timestep=timestep, **kwargs).eval()
            single.load_state_dict(model.state_dict())
            same(maps, single(images()))
    assert not torch.allclose(features[0][0], features[1][0], rtol=1e-3)


@every_family
def test_a_learned_timestep_starts_as_the_integer(family):
    integer = backbone(family, timestep=200).eval()
    learned = backbone(family, timestep='learned', initial_timestep=200).eval()
    learned.load_state_dict(integer.state_dict(), strict=False)
    with torch.no_grad():
        for noise in ('fixed', 'clean'):
            integer.eval_noise = learned.eval_noise = noise
            same(learned(images()), integer(images()), tolerance=0)
        learned.learned_timestep.add_(0.5)
        assert not torch.allclose(learned(images())[0], integer(images())[0], rtol=1e-3)


@every_family
@pytest.mark.parametrize('frozen', ['none', 'all'])
def test_a_learned_timestep_is_trained(family, frozen):
    model = backbone(family, timestep='learned', frozen=frozen, noise='clean').train()
    sum(f.square().mean() for f in model(images())).backward()
    trained = {name for name, p in model.named_parameters() if p.grad is not None}
    # What DDP needs.
    assert trained == {name for name, p in model.named_parameters() if p.requires_grad}
    assert model.learned_timestep.grad.any()
    of_network = [name for name in trained if name.startswith(f'{model.network_name}.')]
    assert bool(of_network) == (frozen == 'none')


@with_several_timesteps
def test_blocks_with_their_own_timesteps(family):
    blocks = FAMILIES[family]['blocks']
    # The deepest at one, and the others at another timestep.
    timestep = dict.fromkeys(blocks, 300) | {blocks[0]: 90}
    model = backbone(family, timestep=timestep, eval_noise='fixed').eval()
    runs = []
    for block in model.network.blocks():
        block.register_forward_hook(lambda module, *_: runs.append(module))
    with torch.no_grad():
        features = model(images())
        for feature, number in zip(features, blocks, strict=True):
            single = backbone(family, timestep=timestep[number], blocks=number).eval()
            single.load_state_dict(model.state_dict(), strict=False)
            same([feature], single(images()))
    assert model.taps == (tuple((timestep[number], number) for number in blocks),)
    # Each walk ends with the last of its blocks.
    counts = [runs.count(block) for block in model.network.blocks()]
    assert counts == [2] * max(blocks[1:]) + [1] * (blocks[0] - max(blocks[1:]))


@every_family
def test_draws_are_averaged(family):
    model = backbone(family, ensemble_size=2, frozen='all').eval()
    single = backbone(family, frozen='all').eval()
    single.load_state_dict(model.state_dict())
    x_0 = model.encode(images())
    draws = fixed_noise(0, (2, *x_0.shape[1:]))
    with torch.no_grad():
        each = []
        for draw in draws:
            single.noised = lambda x, t, draw=draw: q_sample(x, t, draw, model.arch.noise_schedule)
            each.append(single(images()))
        same(model(images()), [torch.stack(f).mean(0) for f in zip(*each, strict=True)])


@every_family
@pytest.mark.parametrize('size', [(32, 32), (33, 64), (17, 5), (50, 70)])
def test_any_size_is_padded_and_cropped_back(family, size):
    model = backbone(family, eval_noise='none').eval()
    stride = model.arch.total_stride
    x = images(1, *size)
    rows, columns = (torch.arange(-(-side // stride) * stride).clamp(max=side - 1) for side in size)
    with torch.no_grad():
        features, whole = model(x), model(x[:, :, rows][..., columns])
    for feature, uncut, s in zip(features, whole, model.strides, strict=True):
        assert feature.shape[-2:] == (-(-size[0] // s), -(-size[1] // s))
        same([feature], [uncut[..., : feature.shape[2], : feature.shape[3]]])


@every_family
def test_block_1_alone(family):
    """A U-Net's first block takes no embedding, so that none may wait for a gradient."""
    if family.startswith('diffeed'):
        return
    if 'learnable' in family:
        with pytest.raises(ValueError, match=r'block 1, .* does not attend'):
            backbone(family, blocks=1)
        return
    model = backbone(family, blocks=1).train()
    model(images())[0].square().mean().backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


@every_family
@pytest.mark.parametrize('frozen', ['none', 'all', 1, 'deepest'])
def test_what_is_trained_and_only_that_gets_gradients(family, frozen):
    """What DDP needs."""
    number = FAMILIES[family]['blocks'][0] if frozen == 'deepest' else frozen
    model = backbone(family, frozen=number).train()
    features = model(images())
    assert model.training
    if hasattr(model, 'vae'):
        assert not any(p.requires_grad for p in model.vae.parameters())
        assert not any(module.training for module in model.vae.modules())
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    if trained:
        # Not all features alike: the sum of what a norm gives has no gradient.
        sum(f.square().mean() for f in features if f.requires_grad).backward()
    assert trained == {name for name, p in model.named_parameters() if p.grad is not None}
    of_network = {name for name in trained if name.startswith(f'{model.network_name}.')}
    if frozen in ('all', 'deepest'):
        assert not of_network
        assert all(name.startswith(('feedback.', 'text_tokens')) for name in trained)
        for block in model.network.blocks():
            assert not any(module.training for module in block.modules())
    else:
        assert of_network
    first, *_, deepest = list(model.network.blocks())[: max(model.blocks)]
    assert first.training == (frozen == 'none')
    assert deepest.training == (frozen in ('none', 1))


@every_family
def test_gradient_checkpointing_gives_the_same_gradients(family):
    runs = []
    for with_cp in (False, True):
        model = backbone(family, with_cp=with_cp, noise='fixed').train()
        sum(f.square().mean() for f in model(images())).backward()
        runs.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert runs[0].keys() == runs[1].keys()
    largest = max(g.abs().max() for g in runs[0].values())
    for name, gradient in runs[0].items():
        assert (gradient - runs[1][name]).abs().max() <= 1e-5 * largest, name


@every_family
def test_gradient_checkpointing_recomputes(family):
    # Where only the text has gradients, too.
    frozen = 'all' if 'text' in family else 'none'
    model = backbone(family, with_cp=True, noise='fixed', frozen=frozen).train()
    calls = []
    block = list(model.network.blocks())[min(model.blocks)]
    # A hook after it would not be called: what is computed again ends with what was asked for.
    block.register_forward_pre_hook(lambda *args: calls.append(1))
    features = model(images())
    before = len(calls)
    sum(f.square().mean() for f in features).backward()
    assert len(calls) == before + 1


@every_family
def test_amp_dtype(family):
    model, plain = (backbone(family, amp_dtype=d).eval() for d in ('bfloat16', None))
    dtypes = []
    conv = next(
        m for m in list(model.network.blocks())[1].modules()
        if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)
    )  # fmt: skip
    conv.register_forward_hook(lambda *args: dtypes.append(args[2].dtype))
    with torch.no_grad():
        features, expected = model(images()), plain(images())
    assert set(dtypes) == {torch.bfloat16}
    for feature, reference in zip(features, expected, strict=True):
        assert feature.dtype == torch.float32
        assert (feature - reference).abs().mean() < 0.05 * reference.abs().mean()
    if hasattr(model, 'vae'):
        # The autoencoder too; what is noised has the images' type again.
        latents, expected = (m.encode(images()) for m in (model, plain))
        assert latents.dtype == torch.float32
        assert 0 < (latents - expected).abs().mean() < 0.05 * expected.abs().mean()


@with_several_timesteps
def test_weights_in_half_precision_give_the_same_features(family):
    settings = dict(amp_dtype='bfloat16', timestep=(90, 300))
    if 'learnable' in family:
        with pytest.raises(ValueError, match='nothing is trained'):
            backbone(family, frozen='all', **settings).prepare_for_inference()
        return
    model, held = (backbone(family, frozen='all', **settings).eval() for _ in range(2))
    held.prepare_for_inference()
    sizes = [sum(v.nbytes for v in m.state_dict().values()) for m in (model, held)]
    assert sizes[1] < 0.7 * sizes[0]
    with torch.no_grad():
        for maps, others in zip(model(images()), held(images()), strict=True):
            near(maps, others, tolerance=0.02)


@every_family
def test_surrounding_autocast_is_followed_in_training(family):
    """What --amp sets, here in bfloat16: the same gradients, nearly."""
    gradients = []
    for enabled in (True, False):
        model = backbone(family, noise='fixed', with_cp=True).train()
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            loss = sum(f.float().square().mean() for f in model(images()))
        loss.backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    largest = max(g.abs().mean() for g in gradients[1].values())
    for name, expected in gradients[1].items():
        error = (gradients[0][name] - expected).abs().mean()
        assert error <= 0.1 * expected.abs().mean() + 0.01 * largest, name


@every_family
def test_a_copy_is_whole_and_its_own(family):
    model = backbone(family, frozen='all').eval()
    twin = copy.deepcopy(model)
    with torch.no_grad():
        before = model(images())
        for parameter in twin.network.parameters():
            parameter.mul_(1.5)
        same(model(images()), before, tolerance=0)
        assert not torch.allclose(twin(images())[0], before[0], rtol=1e-2)


def save_run(model, path):
    """As MMEngine does: with what was logged."""
    logged = {'log_scalars': {'loss': HistoryBuffer([1.0], [1])}}
    state_dict = {f'backbone.{key}': value for key, value in model.state_dict().items()}
    torch.save({'state_dict': state_dict, 'message_hub': logged, 'meta': {'iter': 1}}, path)


@every_family
def test_loads_what_a_run_saved(family, tmp_path):
    trained, path = backbone(family), tmp_path / 'iter_1.pth'
    save_run(trained, path)
    latent = hasattr(trained, 'vae')
    prefix = 'backbone.' if latent else f'backbone.{trained.network_name}.'
    model = backbone(
        family, seed=1, init_cfg=dict(type='Pretrained', checkpoint=str(path), prefix=prefix)
    )
    model.init_weights()
    for key, value in trained.state_dict().items():
        if not key.startswith('feedback.'):
            assert torch.equal(model.state_dict()[key], value), key


@pytest.mark.parametrize('content', ['weights', 'as DiT trains', 'entry', 'wrapped'])
@pytest.mark.filterwarnings('ignore:.*several state dicts')
def test_loads_a_transformer_and_its_autoencoder(content, tmp_path):
    import stable_diffusion_files as files

    trained = backbone('dit')
    whole = type(trained.network)(trained.arch)
    whole.load_state_dict(whole.state_dict() | trained.network.state_dict())
    weights, path = whole.state_dict(), tmp_path / 'dit.pt'
    entry = {}
    if content == 'wrapped':
        weights = {f'module.{key}': value for key, value in weights.items()}
    elif content != 'weights':
        ema, raw = ('ema', 'model') if content == 'as DiT trains' else ('model', 'ema')
        other = {key: torch.zeros_like(value) for key, value in weights.items()}
        weights = {ema: weights, raw: other, 'args': Namespace(lr=1e-4), 'opt': {'state': {}}}
        entry = dict(entry='model') if content == 'entry' else {}
    torch.save(weights, path)
    vae = files.autoencoder()
    vae.save_pretrained(tmp_path / 'vae')
    init_cfg = dict(type='Pretrained', checkpoint=str(path), vae=str(tmp_path / 'vae'), **entry)
    model = backbone('dit', seed=1, init_cfg=init_cfg, blocks=(2, 1))
    model.init_weights()
    for key, value in model.network.state_dict().items():
        assert torch.equal(value, whole.state_dict()[key]), key
    for key, value in model.vae.state_dict().items():
        assert torch.equal(value, vae.state_dict()[key]), key


def test_label_of_a_transformer():
    labelled, null = backbone('dit', label=1).eval(), backbone('dit').eval()
    with torch.no_grad():
        assert not torch.allclose(labelled(images())[0], null(images())[0])
    with pytest.raises(ValueError, match='label must be an int from 0 to 2, got 3'):
        backbone('dit', label=3)
    with pytest.raises(ValueError, match='tap must be one of modulated, raw'):
        backbone('dit', tap='mlp')


def on(device, dtype, train, family):
    """Features, and in training the gradients, of a copy with fixed noise."""
    model = backbone(family, noise='fixed', amp_dtype=dtype).to(device).train(train)
    with torch.set_grad_enabled(train):
        features = model(images().to(device))
    if not train:
        return dict(enumerate(features))
    # In float16, what is small would be lost in the backward.
    scale = 2.0**10 if dtype == 'float16' else 1.0
    (scale * sum(f.square().mean() for f in features)).backward()
    gradients = {n: p.grad / scale for n, p in model.named_parameters() if p.grad is not None}
    return dict(enumerate(features)) | gradients


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='compares a GPU with the CPU')
@every_family
@pytest.mark.parametrize('dtype', [None, 'float16', 'bfloat16'])
@pytest.mark.parametrize('train', [False, True], ids=['evaluation', 'training step'])
def test_a_gpu_computes_what_the_cpu_does(family, dtype, train):
    expected = on('cpu', None, train, family)
    # As PyTorch comes, convolutions are in TF32, of 10 bits, as float16.
    with torch.backends.cudnn.flags(allow_tf32=False):
        found = on('cuda', dtype, train, family)
    assert found.keys() == expected.keys()
    tolerance = {None: 1e-4, 'float16': 0.02, 'bfloat16': 0.1}[dtype]
    largest = max(value.abs().mean() for value in expected.values())
    for name, value in expected.items():
        assert found[name].isfinite().all(), name
        error = (found[name].cpu().float() - value).abs().mean()
        # Some gradients are zero but for rounding.
        assert error <= tolerance * (value.abs().mean() + 1e-2 * largest), name


def test_learnable_text_alone_is_trained_where_the_network_is_frozen():
    model = backbone('stable diffusion, learnable text', frozen='all', noise='none').train()
    features = model(images())
    # Block 2 attends to the text, so all that follows has gradients, and nothing else gets them.
    assert all(feature.requires_grad for feature in features)
    sum(f.square().mean() for f in features).backward()
    assert [n for n, p in model.named_parameters() if p.grad is not None] == ['text_tokens']
    assert model.text_tokens.grad.abs().max() > 0


@with_several_timesteps
def test_feature_extractor(family):
    """Takes any family, and gives what its backbone does."""
    settings = FAMILIES[family] | dict(timestep=(90, 300))
    torch.manual_seed(0)
    model = getattr(models, settings.pop('type'))(**settings).eval()
    torch.manual_seed(0)
    extractor = FeatureExtractor(checkpoint=None, **settings)
    assert type(extractor.backbone) is type(model)
    image = torch.rand(3, 64, 64)
    features = extractor(image)
    with torch.no_grad():
        expected = model(2 * (image[None] * 255).round() / 255 - 1)
    assert list(features) == [(t, b) for t in (90, 300) for b in model.blocks]
    for t, maps in zip((90, 300), expected, strict=True):
        same([features[t, b] for b in model.blocks], maps)


def test_feature_extractor_of_blocks_with_their_own_timesteps():
    extractor = FeatureExtractor('adm-64-small', None, blocks=(12, 5), timestep={5: 90, 12: 300})
    assert list(extractor(torch.rand(3, 64, 64))) == [(300, 12), (90, 5)]


def test_feature_extractor_names_the_autoencoder(tmp_path):
    weights = dict.fromkeys(('checkpoint', 'vae'), tmp_path / 'file')
    with pytest.raises(FileNotFoundError, match='file does not exist'):
        FeatureExtractor(DIT, blocks=1, **weights, **VAE)
    with pytest.raises(ValueError, match=r'init_cfg must name vae'):
        FeatureExtractor(DIT, tmp_path / 'file', blocks=1, **VAE)
    with pytest.raises(ValueError, match='checkpoint=None leaves the weights random'):
        FeatureExtractor(DIT, None, vae='file', blocks=1, **VAE)


@pytest.mark.parametrize(
    ('arch', 'expected'),
    [
        ('adm-256-uncond', 'GuidedDiffusionBackbone'),
        ('adm-256-classifier', 'GuidedDiffusionEncoderBackbone'),
        ('sd-2', 'StableDiffusionBackbone'),
        ('dit-xl-2', 'DiffusionTransformerBackbone'),
        ('sit-b-2', 'DiffusionTransformerBackbone'),
        (SD, 'StableDiffusionBackbone'),
        (DIT, 'DiffusionTransformerBackbone'),
        (ENCODER, 'GuidedDiffusionEncoderBackbone'),
        (dict(image_size=64, model_channels=32, channel_mult=(1, 2)), 'GuidedDiffusionBackbone'),
    ],
)
def test_family_of_an_architecture(arch, expected):
    assert backbone_of(arch) is getattr(models, expected)


PUBLISHED = {
    # Heads, noise process, condition and what images become: no weight shows them.
    'adm-256-uncond': (64, 'linear', 'none', ('pixels', 3, 1, 1.0)),
    'adm-64': (64, 'cosine', 'class', ('pixels', 3, 1, 1.0)),
    'adm-64-classifier': (64, 'cosine', 'none', ('pixels', 3, 1, 1.0)),
    'adm-256-classifier': (64, 'linear', 'none', ('pixels', 3, 1, 1.0)),
    'sd-1': ((8, 8, 8, 8), 'scaled-linear', 'text', ('latents', 4, 8, 0.18215)),
    'sd-2': ((5, 10, 20, 20), 'scaled-linear', 'text', ('latents', 4, 8, 0.18215)),
    'dit-xl-2': (16, 'linear', 'class', ('latents', 4, 8, 0.18215)),
    'dit-xl-2-512': (16, 'linear', 'class', ('latents', 4, 8, 0.18215)),
    'dit-l-2': (16, 'linear', 'class', ('latents', 4, 8, 0.18215)),
    'dit-b-2': (12, 'linear', 'class', ('latents', 4, 8, 0.18215)),
    'dit-s-2': (6, 'linear', 'class', ('latents', 4, 8, 0.18215)),
    'sit-xl-2': (16, 'linear-path', 'class', ('latents', 4, 8, 0.18215)),
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_settings_that_weights_do_not_show(name):
    arch = get_architecture(name)
    heads = next(
        getattr(arch, field)
        for field in ('num_head_channels', 'num_attention_heads', 'num_heads')
        if hasattr(arch, field)
    )
    given = arch.input
    found = (given.space, given.channels, given.stride, given.scale)
    assert (heads, arch.noise_schedule, arch.condition, found) == PUBLISHED[name]
    if name.startswith('sd'):
        assert arch.text_encoder == {'sd-1': 'clip', 'sd-2': 'open-clip'}[name]


def test_unknown_family():
    with pytest.raises(ValueError, match=r"arch='resnet' is unknown.*adm-64.*sd-1.*dit-xl-2"):
        backbone_of('resnet')
    with pytest.raises(ValueError, match=r"unknown fields \['width'\]; known are image_size"):
        backbone_of(dict(width=3))


@pytest.mark.parametrize('arch', ['adm-64-small', 'dit-xl-2', 'sd-1'])
def test_an_architecture_of_another_family_is_refused(arch):
    for name in (
        'GuidedDiffusionBackbone',
        'StableDiffusionBackbone',
        'DiffusionTransformerBackbone',
    ):
        if backbone_of(arch).__name__ != name:
            with pytest.raises(ValueError, match=f"arch='{arch}' is unknown; known are"):
                getattr(models, name)(arch=arch)


def test_diffeed_takes_one_timestep_for_all_blocks():
    with pytest.raises(ValueError, match=r'one for all blocks for DifFeed.* got \{12: 9, 14: 90\}'):
        backbone('diffeed', timestep={12: 9, 14: 90})


def test_diffeed_needs_skip_connections():
    from mmdiff.diffusion.adm import get_encoder_architecture
    from mmdiff.diffusion.dit import get_transformer_architecture
    from mmdiff.models.backbones import feedback_targets

    for arch in (get_transformer_architecture('dit-b-2'), get_encoder_architecture(ENCODER)):
        with pytest.raises(ValueError, match=rf'{type(arch).__name__} does not have'):
            feedback_targets(arch, 'bottleneck')
