"""The diffusion model to be trained, its metric and its hooks."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from guided_diffusion_unet import guided_diffusion_unet
from mmengine.registry import MODELS
from PIL import Image

from mmdiff.diffusion import UNet, get_architecture, load_weights, read_checkpoint
from mmdiff.engine import IterationSeedHook, SaveUNetHook
from mmdiff.evaluation import NoiseError
from mmdiff.utils import local_file

PREPROCESSOR = dict(type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True)
TINY = dict(
    image_size=16,
    model_channels=32,
    channel_mult=(1, 1),
    num_res_blocks=1,
    attention_resolutions=(),
)


def build(**changes):
    torch.manual_seed(0)
    cfg = dict(type='mmdiff.DenoisingModel', arch=TINY, data_preprocessor=PREPROCESSOR)
    return MODELS.build({**cfg, **changes})


@pytest.mark.parametrize('learn_sigma', [True, False])
@pytest.mark.parametrize('amp_dtype', [None, 'bfloat16'])
def test_one_step_lowers_the_loss(learn_sigma, amp_dtype):
    model = build(arch=dict(TINY, learn_sigma=learn_sigma), amp_dtype=amp_dtype)
    images = torch.rand(16, 3, 16, 16) * 2 - 1
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def losses():
        torch.manual_seed(1)
        return model(images, mode='loss')

    first = losses()
    assert ('loss_vlb' in first) == learn_sigma
    assert 'loss_simple' in first
    # The last layer starts at zero: it predicts none of the noise.
    assert first['loss_simple'].item() == pytest.approx(1, abs=0.05)
    sum(first.values()).backward()
    optimizer.step()
    assert sum(losses().values()) < sum(first.values())


def test_errors_in_evaluation_repeat_and_go_into_the_metric():
    model = build().eval()
    images = torch.rand(40, 3, 16, 16) * 2 - 1
    results = model(images, mode='predict')
    torch.manual_seed(5)
    assert results == model(images, mode='predict')
    metric = NoiseError()
    metric.process({}, results)
    computed = metric.compute_metrics(metric.results)
    errors = [result['error'] for result in results]
    assert computed['mean'] == pytest.approx(sum(errors) / 40)
    late = [result['error'] for result in results if result['timestep'] >= 750]
    assert computed['t750-999'] == pytest.approx(sum(late) / len(late))
    assert metric.compute_metrics([(300, 0.5)]) == {'mean': 0.5, 't250-499': 0.5}


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_the_saved_unet_loads_here_and_in_guided_diffusion(dtype, tmp_path):
    model = build()
    # What EMAHook would have put there.
    state_dict = {key: value + 0.01 for key, value in model.state_dict().items()}
    hook = SaveUNetHook(dtype)
    checkpoint = {'state_dict': state_dict, 'meta': {'iter': 250}}
    hook.before_save_checkpoint(SimpleNamespace(work_dir=tmp_path), checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ['unet.pt']
    saved = read_checkpoint(tmp_path / 'unet.pt')
    assert {value.dtype for value in saved.values()} == {getattr(torch, dtype)}
    ours = UNet(get_architecture(TINY)).eval()
    assert load_weights(ours, saved, 'unet.pt') == []
    theirs = guided_diffusion_unet(get_architecture(TINY)).eval()
    theirs.load_state_dict(torch.load(tmp_path / 'unet.pt', weights_only=True))
    x_t, timesteps = torch.randn(2, 3, 16, 16), torch.tensor([3, 500])
    with torch.no_grad():
        torch.testing.assert_close(ours(x_t, timesteps), theirs(x_t, timesteps))


def test_the_model_that_comes_with_mmdiff_denoises_digit_scenes(digit_scenes):
    model = build(arch='adm-64-small').eval()
    path = local_file('mmdiff://adm-64-small_digit-scenes.pt')
    load_weights(model.unet, read_checkpoint(path), path)
    paths = sorted(digit_scenes.glob('images/test/*.jpg'))
    images = np.stack([np.asarray(Image.open(path)) for path in paths])
    images = torch.from_numpy(images).float().permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        errors = [result['error'] for result in model(images.repeat(4, 1, 1, 1), mode='predict')]
    # 1 is the error of predicting none of the noise.
    assert np.mean(errors) < 0.1


def test_unets_over_training_time_are_kept(tmp_path):
    hook = SaveUNetHook(keep_every=500)
    for iteration in (250, 500, 750, 1000):
        state_dict = {'unet.iteration': torch.tensor(iteration)}
        checkpoint = {'state_dict': state_dict, 'meta': {'iter': iteration}}
        hook.before_save_checkpoint(SimpleNamespace(work_dir=tmp_path), checkpoint)
    found = {
        path.name: int(torch.load(path, weights_only=True)['iteration'])
        for path in tmp_path.iterdir()
    }
    assert found == {'unet.pt': 1000, 'unet_iter_500.pt': 500, 'unet_iter_1000.pt': 1000}


def test_random_numbers_depend_on_seed_iteration_and_rank(monkeypatch):
    hook = IterationSeedHook()

    def draw(seed, iteration, rank):
        monkeypatch.setattr('mmdiff.engine.hooks.iteration_seed.get_rank', lambda: rank)
        hook.before_train_iter(SimpleNamespace(seed=seed, iter=iteration), batch_idx=0)
        return torch.rand(1).item()

    drawn = [draw(s, i, r) for s in (0, 1) for i in (0, 1, 300) for r in (0, 1)]
    assert len(set(drawn)) == 12
    assert draw(0, 300, 1) == drawn[5]


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: build(arch=dict(TINY, num_classes=10)), 'not be class-conditional, got num_cla'),
        (lambda: build(amp_dtype='float16'), "amp_dtype must be None or 'bfloat16', got 'float16'"),
        (
            lambda: build()(torch.zeros(1, 3, 16, 24), mode='loss'),
            r'inputs must have shape \(N, 3, 16, 16\), got \(1, 3, 16, 24\): resize',
        ),
        (lambda: build()(torch.zeros(1, 3, 16, 16), mode='x'), "mode must be 'loss', .* got 'x'"),
        (lambda: SaveUNetHook('int8'), "dtype must be one of float32, float16, got 'int8'"),
        (lambda: SaveUNetHook(keep_every=0), 'keep_every must be None or at least 1, got 0'),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
