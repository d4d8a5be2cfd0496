"""A copy of a denoiser that learns features of clean images, and its hooks."""

import copy
from types import SimpleNamespace

import pytest
import torch
from guided_diffusion_unet import guided_diffusion_unet
from PIL import Image
from test_families import FAMILIES
from tiny_denoiser import ARCH, PREPROCESSOR, backbone, images

from mmdiff import models
from mmdiff.diffusion import get_architecture, read_checkpoint
from mmdiff.engine import FeaturePictureHook, SavePartHook
from mmdiff.evaluation import FeatureError
from mmdiff.models import CleanFeatures, GuidedDiffusionBackbone
from mmdiff.models.clean_features import stratified_timesteps


def build(checkpoint, **changes):
    torch.manual_seed(0)
    model = CleanFeatures(backbone(checkpoint, **changes), PREPROCESSOR)
    model.init_weights()
    return model


def mean_error(model):
    with torch.no_grad():
        results = model.eval()(images(), mode='predict')
    return FeatureError().compute_metrics(results)['mean']


@pytest.mark.parametrize('amp_dtype', [None, 'bfloat16'])
def test_a_few_steps_lower_the_error(amp_dtype, tiny_unet):
    model = build(tiny_unet, amp_dtype=amp_dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    frozen = copy.deepcopy(model.teacher.state_dict())
    before = mean_error(model)
    model.train()
    for _ in range(15):
        optimizer.zero_grad()
        losses = model(images(), mode='loss')
        assert losses.keys() == {'loss_b5', 'loss_b6'}
        sum(losses.values()).backward()
        optimizer.step()
    assert mean_error(model) < 0.95 * before
    assert all(torch.equal(v, frozen[k]) for k, v in model.teacher.state_dict().items())


def test_it_starts_as_the_denoiser_and_with_heads_that_do_nothing(tiny_unet):
    model = build(tiny_unet).eval()
    stored = read_checkpoint(tiny_unet)
    weights = model.backbone.unet.state_dict()
    assert weights.keys() == stored.keys()
    assert all(torch.equal(value, stored[key]) for key, value in weights.items())
    settings = backbone(tiny_unet, eval_noise='clean')
    alone = GuidedDiffusionBackbone(**{k: v for k, v in settings.items() if k != 'type'}).eval()
    alone.init_weights()
    timesteps = torch.tensor([400])
    with torch.no_grad():
        for ours, theirs in zip(model(images()), alone(images()), strict=True):
            torch.testing.assert_close(ours, theirs)
            torch.testing.assert_close(model.heads[0](ours, timesteps), ours)


@pytest.mark.parametrize('family', [f for f in FAMILIES if not f.startswith('diffeed')])
def test_the_copy_and_the_heads_are_trained_and_only_these(family):
    """What DDP needs, in every family."""
    settings = FAMILIES[family]
    init_cfg = dict(type='Pretrained', checkpoint='unet.pt')
    if 'vae_channels' in settings:
        init_cfg['vae'] = 'vae'
    kind = f'mmdiff.{settings["type"]}'
    cfg = {**settings, 'type': kind, 'timestep': 0, 'init_cfg': init_cfg}
    model = CleanFeatures(cfg, PREPROCESSOR).train()
    sum(model(images(2, 64), mode='loss').values()).backward()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in model.named_parameters() if p.grad is not None}
    assert any(name.startswith(f'backbone.{model.backbone.network_name}.') for name in trained)
    assert not any(p.requires_grad for p in model.teacher.parameters())
    assert not any(m.training for block in model.teacher.network.blocks() for m in block.modules())


def test_the_teacher_is_asked_but_not_owned(tiny_unet):
    model = build(tiny_unet)
    assert not any(key.startswith(('teacher', '_teacher')) for key in model.state_dict())
    owned = {id(p) for p in model.parameters()}
    assert owned.isdisjoint(id(p) for p in model.teacher.parameters())
    twin = copy.deepcopy(model)
    assert twin.teacher is model.teacher
    assert twin.backbone is not model.backbone
    assert {p.dtype for p in model.double().teacher.parameters()} == {torch.float64}


def test_draws_repeat_in_evaluation_alone(tiny_unet):
    model = build(tiny_unet).eval()

    def drawn():
        with torch.no_grad():
            return model.errors(images())['b5']

    assert torch.equal(drawn(), drawn())
    model.train()
    assert not torch.equal(drawn(), drawn())
    torch.manual_seed(3)
    first = drawn()
    torch.manual_seed(3)
    assert torch.equal(first, drawn())


@pytest.mark.parametrize('count', [1, 7, 32, 1000, 1500])
def test_timesteps_are_stratified(count):
    torch.manual_seed(0)
    timesteps = stratified_timesteps(count)
    assert timesteps.min() >= 0
    assert timesteps.max() <= 999
    ordered = timesteps.sort().values
    starts = torch.arange(count) * (1000 / count)
    assert (ordered >= starts.floor()).all()
    assert (ordered <= (starts + 1000 / count).ceil()).all()
    assert count == 1 or not torch.equal(ordered, timesteps)


def test_what_is_saved_loads_here_and_in_guided_diffusion(tiny_unet, tmp_path):
    model = build(tiny_unet)
    hook = SavePartHook('backbone.unet', 'unet.pt', dtype='float16')
    checkpoint = {'state_dict': model.state_dict(), 'meta': {'iter': 2}}
    hook.before_save_checkpoint(SimpleNamespace(work_dir=tmp_path), checkpoint)
    saved = torch.load(tmp_path / 'unet.pt', weights_only=True)
    guided_diffusion_unet(get_architecture(ARCH)).load_state_dict(saved)
    loaded = GuidedDiffusionBackbone(
        ARCH, 0, (5, 6), init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'unet.pt'))
    )
    loaded.init_weights()


@pytest.mark.parametrize('family', ['stable diffusion', 'dit'])
def test_a_latent_model_starts_from_the_runs_checkpoint(family, tmp_path):
    """With its autoencoder and its text."""
    settings = FAMILIES[family] | dict(timestep=0)
    kind = settings.pop('type')
    init_cfg = dict(type='Pretrained', checkpoint='model', vae='vae')
    model = CleanFeatures(dict(settings, type=f'mmdiff.{kind}', init_cfg=init_cfg), PREPROCESSOR)
    path = tmp_path / 'iter_2.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {'iter': 2}}, path)
    init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.')
    loaded = getattr(models, kind)(**settings, init_cfg=init_cfg)
    loaded.init_weights()
    weights = model.backbone.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in loaded.state_dict().items())


def test_pictures_of_latents(tmp_path):
    """Their noise has the latents' shape."""
    settings = FAMILIES['dit'] | dict(
        type='mmdiff.DiffusionTransformerBackbone',
        timestep=0,
        init_cfg=dict(type='Pretrained', checkpoint='dit.pt', vae='vae'),
    )
    model = CleanFeatures(settings, PREPROCESSOR).eval()
    dataset = [dict(inputs=((image + 1) * 127.5).byte()) for image in images(3, 64)]
    runner = SimpleNamespace(
        model=model, val_dataloader=SimpleNamespace(dataset=dataset), work_dir=tmp_path, iter=7
    )
    FeaturePictureHook(num_images=2).after_val_epoch(runner)
    picture = Image.open(tmp_path / 'features/iter_7.png')
    # Image, and three blocks twice; two rows.
    assert picture.size == (round(1.6 * 7 * 120), round((1.6 * 2 + 0.4) * 120))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(frozen=2), 'denoiser must not set frozen: the copy has clean images'),
        (dict(noise='none', seed=1), 'denoiser must not set noise, seed'),
        (dict(type='mmdiff.DifFeedBackbone'), "one pass, got type='mmdiff.DifFeedBackbone'"),
        (dict(init_cfg=None), 'a teacher with random weights has nothing to teach: name its'),
        (dict(timestep=1000), r'denoiser\.timestep must be .*999, got 1000'),
    ],
)
def test_bad_settings(changes, message, tiny_unet):
    with pytest.raises(ValueError, match=message):
        CleanFeatures({**backbone(tiny_unet), **changes}, PREPROCESSOR)


def test_bad_calls(tiny_unet):
    with pytest.raises(
        TypeError, match=r'denoiser\.timestep must be an int from 0 to 999, got \(1, 2\)'
    ):
        CleanFeatures({**backbone(tiny_unet), 'timestep': (1, 2)}, PREPROCESSOR)
    model = build(tiny_unet)
    with pytest.raises(ValueError, match=r'multiples of 2, got \(4, 3, 15, 15\): resize'):
        model(images(side=15), mode='loss')
    with pytest.raises(ValueError, match="mode must be 'loss', 'predict' or 'tensor', got 'x'"):
        model(images(), mode='x')
