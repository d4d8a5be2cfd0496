"""Stable Diffusion against diffusers and transformers: blocks, latents and file formats."""

import copy
import subprocess
import sys
import types

import numpy as np
import pytest
import stable_diffusion_files as files
import torch
from guided_diffusion_unet import tapped
from safetensors.torch import save_file

from mmdiff.diffusion import CheckpointError, alphas_cumprod
from mmdiff.diffusion.autoencoder import LatentEncoder
from mmdiff.diffusion.stable_diffusion import (
    ARCHITECTURES,
    StableDiffusionUNet,
    get_stable_diffusion_architecture,
)
from mmdiff.models import StableDiffusionBackbone

ARCHS = {
    'as 1.x': files.ARCH,
    'as 2.x': files.ARCH
    | dict(
        block_out_channels=(32, 64, 64), layers_per_block=2, num_attention_heads=(1, 2, 4),
        use_linear_projection=True, text_encoder='open-clip',
    ),
}  # fmt: skip


def same(a, b, tolerance=1e-4):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def theirs_blocks(unet):
    """The last layer of each block of diffusers' U-Net, by number, from its forward's order."""
    order = [unet.conv_in]
    for block in [*unet.down_blocks, unet.mid_block, *unet.up_blocks]:
        attentions = getattr(block, 'attentions', None)
        if block is unet.mid_block:
            order.append(block)
            continue
        order += list(attentions if attentions is not None else block.resnets)
        if getattr(block, 'downsamplers', None):
            order.append(block.downsamplers[0])
        if getattr(block, 'upsamplers', None):
            order[-1] = block.upsamplers[0]
    return dict(enumerate(order, start=1))


@pytest.mark.parametrize('size', [(8, 8), (8, 24)])
@pytest.mark.parametrize('arch', ARCHS)
def test_every_block_equals_diffusers_forward_and_gradient(arch, size):
    torch.manual_seed(0)
    theirs = files.unet(**ARCHS[arch])
    ours = StableDiffusionUNet(get_stable_diffusion_architecture(ARCHS[arch])).eval()
    ours.load_state_dict(theirs.state_dict())
    numbers = range(1, ours.arch.num_blocks + 1)
    x_t, t = torch.randn(2, 4, *size), torch.tensor([90, 300])
    text = torch.randn(2, 5, 128)
    text = [text.clone().requires_grad_() for _ in range(2)]
    with tapped(theirs_blocks(theirs)) as outputs:
        expected = theirs(x_t, t, text[0]).sample
    maps = [
        output if isinstance(output, torch.Tensor) else output[0]
        for output in (outputs[number] for number in numbers)
    ]
    features = ours.features(x_t, t, numbers, text[1])
    for block, feature, reference in zip(ours.arch.blocks, features, maps, strict=True):
        same(feature, reference)
        # Of latents, whose stride is 8.
        sides = [8 * side // block.stride for side in size]
        assert feature.shape == (2, block.channels, *sides), block
        assert block.name in {name for name, _ in ours.named_modules()}
    same(ours(x_t, t, text[1]), expected)
    for outputs, tokens in ((maps, text[0]), (features, text[1])):
        sum(m.square().mean() for m in outputs).backward()
        assert tokens.grad.abs().max() > 0
    same(text[1].grad, text[0].grad)
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        if not name.startswith('conv_out') and not name.startswith('conv_norm_out'):
            same(parameter.grad, gradients[name].grad)


def test_one_timestep_and_text_for_all():
    torch.manual_seed(0)
    unet = StableDiffusionUNet(get_stable_diffusion_architecture(files.ARCH)).eval()
    x_t, text = torch.randn(3, 4, 8, 8), torch.randn(1, 5, 128)
    with torch.no_grad():
        same(
            unet(x_t, torch.tensor([90]), text),
            unet(x_t, torch.full((3,), 90), text.expand(3, -1, -1)),
        )


def test_latents_are_the_scaled_mode_of_diffusers():
    torch.manual_seed(0)
    theirs = files.autoencoder()
    ours = LatentEncoder(ARCHITECTURES['sd-1'].input, files.VAE_CHANNELS)
    ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if k in ours.state_dict()})
    images = torch.rand(2, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        expected = theirs.encode(images).latent_dist.mode() * 0.18215
        same(ours(images), expected)
    assert not ours.train().training
    assert not ours.encoder.training
    assert expected.std() > 0.01
    with pytest.raises(ValueError, match=r'vae_channels=\(32, 32\) must have 4 levels'):
        LatentEncoder(ARCHITECTURES['sd-1'].input, (32, 32))


def test_noise_process_is_that_of_diffusers():
    from diffusers import DDPMScheduler

    # As in the published scheduler configs.
    scheduler = DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule='scaled_linear', num_train_timesteps=1000
    )
    same(alphas_cumprod('scaled-linear').float(), scheduler.alphas_cumprod, 1e-6)


@pytest.mark.parametrize(('arch', 'count'), [('sd-1', 859_520_964), ('sd-2', 865_910_724)])
def test_published_sizes(arch, count):
    with torch.device('meta'):
        unet = StableDiffusionUNet(ARCHITECTURES[arch])
        vae = LatentEncoder(unet.arch.input)
    assert sum(p.numel() for p in unet.parameters()) == count
    assert sum(p.numel() for p in vae.parameters()) == 34_163_664
    blocks = unet.arch.blocks
    assert len(blocks) == len(list(unet.blocks())) == 25
    assert unet.arch.middle == 13
    # Channels and strides as in the paper of latent diffusion, at 512 px: 64x64 to 8x8.
    assert [(b.channels, b.stride) for b in blocks] == [
        (320, 8), (320, 8), (320, 8), (320, 16), (640, 16), (640, 16), (640, 32), (1280, 32),
        (1280, 32), (1280, 64), (1280, 64), (1280, 64), (1280, 64), (1280, 64), (1280, 64),
        (1280, 32), (1280, 32), (1280, 32), (1280, 16), (640, 16), (640, 16), (640, 8), (320, 8),
        (320, 8), (320, 8),
    ]  # fmt: skip
    assert unet.arch.decoder_levels[0] == (14, 15, 16)


@pytest.fixture(scope='module')
def parts():
    torch.manual_seed(3)
    return dict(unet=files.unet(), vae=files.autoencoder(), text_encoder=files.text_encoder())


@pytest.fixture(scope='module')
def folder(parts, tmp_path_factory):
    return files.save_folder(tmp_path_factory.mktemp('folder'), **parts)


def original(parts, **others):
    """The content of an original file, with what published ones have besides."""
    state_dict = {
        **files.original_unet(parts['unet']),
        **files.original_autoencoder(parts['vae'], 'first_stage_model.'),
        **files.original_text_encoder(parts['text_encoder']),
        **others,
    }
    averaged = {
        'model_ema.' + key.removeprefix('model.').replace('.', ''): torch.zeros_like(value)
        for key, value in state_dict.items()
        if key.startswith('model.diffusion_model.')
    }
    return state_dict | averaged | {'betas': torch.zeros(1000), 'model_ema.decay': torch.ones(())}


def backbone(checkpoint=None, text='null', blocks=(7, 5), arch=files.ARCH, **init):
    torch.manual_seed(9)
    init_cfg = None
    if checkpoint is not None:
        init_cfg = dict(type='Pretrained', checkpoint=str(checkpoint), **init)
    model = StableDiffusionBackbone(
        arch, blocks=blocks, text=text, init_cfg=init_cfg, vae_channels=files.VAE_CHANNELS
    )
    model.init_weights()
    return model.eval()


def check_loaded(model, parts, text=True):
    for key, value in model.unet.state_dict().items():
        assert torch.equal(value, parts['unet'].state_dict()[key]), key
    for key, value in model.vae.state_dict().items():
        assert torch.equal(value, parts['vae'].state_dict()[key]), key
    if text:
        ids = torch.tensor([[4, 5] + [5] * (files.NUM_TOKENS - 2)])
        with torch.no_grad():
            same(model.text_tokens.data, parts['text_encoder'](ids).last_hidden_state)


def test_loads_a_folder(folder, parts):
    check_loaded(backbone(folder), parts)
    check_loaded(backbone(folder, text='learnable'), parts)


def test_features_of_images_are_those_of_diffusers(folder, parts):
    """From pixels to features: latents, noise, text and U-Net together."""
    model = backbone(folder)
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    ids = torch.tensor([[4, 5] + [5] * (files.NUM_TOKENS - 2)])
    with torch.no_grad(), tapped(theirs_blocks(parts['unet'])) as outputs:
        latents = parts['vae'].encode(images).latent_dist.mode() * 0.18215
        text = parts['text_encoder'](ids).last_hidden_state.expand(2, -1, -1)
        x_t = model.noised(latents, 90)
        parts['unet'](x_t, 90, text)
        for feature, number in zip(model(images), model.blocks, strict=True):
            same(feature, outputs[number])


@pytest.mark.parametrize('name', ['model.safetensors', 'model.ckpt'])
def test_loads_an_original_file(name, parts, tmp_path, monkeypatch):
    path = tmp_path / name
    state_dict = original(parts)
    if name.endswith('.safetensors'):
        save_file({k: v.contiguous() for k, v in state_dict.items()}, path)
    else:
        # What Lightning saves besides: a class by name, and counts.
        lightning = types.ModuleType('pytorch_lightning.callbacks.model_checkpoint')
        lightning.ModelCheckpoint = type('ModelCheckpoint', (), dict(__module__=lightning.__name__))
        with monkeypatch.context() as patch:
            for package in ('pytorch_lightning', 'pytorch_lightning.callbacks', lightning.__name__):
                patch.setitem(sys.modules, package, lightning)
            scores = {'best_model_score': torch.ones(()), 'best': np.float64(0.5)}
            callbacks = {lightning.ModelCheckpoint: scores}
            torch.save({'state_dict': state_dict, 'global_step': 7, 'callbacks': callbacks}, path)
    check_loaded(backbone(path), parts)
    # And as an autoencoder for another.
    check_loaded(backbone(path, vae=str(path)), parts)


def test_loads_the_original_file_of_2(tmp_path):
    torch.manual_seed(0)
    arch = ARCHS['as 2.x']
    text = files.text_encoder(hidden_act='gelu', pad_token_id=0)
    parts = dict(unet=files.unet(**arch), vae=files.autoencoder(), text_encoder=text)
    state_dict = {k: v for k, v in original(parts).items() if not k.startswith('cond_stage_model.')}
    path = tmp_path / 'v2.safetensors'
    save_file(
        {k: v.contiguous() for k, v in (state_dict | files.original_open_clip(text)).items()}, path
    )
    model = backbone(path, arch=arch)
    check_loaded(model, parts, text=False)
    ids = torch.tensor([[4, 5] + [0] * (files.NUM_TOKENS - 2)])
    with torch.no_grad():
        same(model.text_tokens, text(ids).last_hidden_state)
    # Text is taken from the encoder that the arch names.
    with pytest.raises(CheckpointError, match=r"text encoder 'open-clip', but .*'clip'"):
        backbone(path, arch=arch | dict(text_encoder='clip'))


def test_loads_half_precision_and_older_names(parts, folder, tmp_path):
    """As in many published folders: fp16 variants, pickled weights, old names of the attention."""
    halves = {name: copy.deepcopy(model).half() for name, model in parts.items()}
    for name, model in halves.items():
        model.save_pretrained(tmp_path / name, variant='fp16')
    (tmp_path / 'tokenizer').symlink_to(folder / 'tokenizer')
    new = {'to_q': 'query', 'to_k': 'key', 'to_v': 'value', r'to_out\.0': 'proj_attn'}
    (tmp_path / 'vae' / 'diffusion_pytorch_model.fp16.safetensors').unlink()
    torch.save(
        files.renamed(halves['vae'].state_dict(), new.items()),
        tmp_path / 'vae' / 'diffusion_pytorch_model.fp16.bin',
    )
    model = backbone(tmp_path)
    assert model.unet.conv_in.weight.dtype == torch.float32
    for key, value in model.vae.state_dict().items():
        same(value, parts['vae'].state_dict()[key], 1e-3)


def test_another_autoencoder(folder, parts, tmp_path):
    """From a folder of its own, or a file in the original names without a prefix."""
    torch.manual_seed(8)
    other = files.autoencoder()
    other.save_pretrained(tmp_path / 'vae-ft')
    path = tmp_path / 'vae-ft.safetensors'
    weights = files.original_autoencoder(other, '')
    save_file({k: v.contiguous() for k, v in weights.items()}, path)
    for vae in (tmp_path / 'vae-ft', path):
        check_loaded(backbone(folder, vae=str(vae)), parts | dict(vae=other))


@pytest.mark.parametrize('suffix', ['pt', 'npy', 'safetensors'])
def test_text_from_a_file(suffix, parts, folder, tmp_path, monkeypatch):
    tokens, path = torch.randn(9, 128), tmp_path / f'text.{suffix}'
    if suffix == 'pt':
        torch.save(tokens[None], path)
    elif suffix == 'npy':
        np.save(path, tokens.numpy())
    else:
        save_file({'text': tokens}, path)
    # No text encoder is needed then.
    monkeypatch.setitem(sys.modules, 'transformers', None)
    model = backbone(folder, text=str(path))
    assert torch.equal(model.text_tokens, tokens[None])
    check_loaded(model, parts, text=False)


def test_what_is_wrong_with_a_text(tmp_path):
    torch.save(torch.zeros(3, 5), tmp_path / 'width.pt')
    torch.save({'a': torch.zeros(3, 128)}, tmp_path / 'dict.pt')
    torch.save(torch.zeros(2, 3, 128), tmp_path / 'two.pt')
    torch.save(torch.full((3, 128), torch.nan), tmp_path / 'nan.pt')
    for name, message in (
        ('width.pt', r'\(L, 128\) or \(1, L, 128\), got \(3, 5\)'),
        ('dict.pt', 'got dict'),
        ('two.pt', 'one text, got 2'),
        ('nan.pt', 'NaN or infinite'),
    ):
        with pytest.raises(CheckpointError, match=message):
            backbone(text=str(tmp_path / name))
    with pytest.raises(FileNotFoundError, match="'null', 'learnable' or a file"):
        backbone(text='nul')
    with pytest.raises(TypeError, match="'null', 'learnable' or a file"):
        backbone(text=None)


@pytest.mark.parametrize(
    ('missing', 'error', 'message'),
    [
        ('unet', FileNotFoundError, 'has no unet/'),
        ('vae', FileNotFoundError, r'has no vae/: copy .* vae=\.\.\. in init_cfg'),
        ('text_encoder', FileNotFoundError, r"has no text_encoder/.*text='\.\.\.' with a file"),
        ('tokenizer', FileNotFoundError, 'has no tokenizer/'),
        ('unet/config.json', FileNotFoundError, 'unet is not a model that diffusers saved'),
        (
            'unet/diffusion_pytorch_model.safetensors',
            FileNotFoundError,
            r'unet has no weights: none of diffusion_pytorch_model\.safetensors',
        ),
    ],
)
def test_an_incomplete_folder(folder, missing, error, message, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / 'copy')
    gone = tmp_path / 'copy' / missing
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    with pytest.raises(error, match=message):
        backbone(tmp_path / 'copy')


@pytest.mark.parametrize(
    ('left_out', 'message'),
    [
        ('first_stage_model.', r'holds no autoencoder .*vae=\.\.\. in init_cfg'),
        ('cond_stage_model.', r"holds no text encoder .*text='\.\.\.'"),
        ('cond_stage_model.transformer.text_model.final', 'has no whole text encoder'),
        ('model.diffusion_model.', "does not hold a U-Net in diffusers' names"),
        ('model.diffusion_model.output_blocks.2.0.in_layers.0', r'missing: .*resnets\.'),
    ],
)
def test_an_incomplete_file(parts, left_out, message, tmp_path):
    state_dict = {k: v for k, v in original(parts).items() if not k.startswith(left_out)}
    torch.save(state_dict, tmp_path / 'part.ckpt')
    with pytest.raises(CheckpointError, match=message):
        backbone(tmp_path / 'part.ckpt', blocks=(9,))


def test_another_version(folder, parts, tmp_path):
    with pytest.raises(CheckpointError, match=r"text has width 128, but .*=1024.*'sd-2' 1024"):
        StableDiffusionBackbone(
            files.ARCH | dict(cross_attention_dim=1024),
            blocks=2,
            vae_channels=files.VAE_CHANNELS,
            init_cfg=dict(type='Pretrained', checkpoint=str(folder)),
        ).init_weights()
    torch.save(original(parts), tmp_path / 'model.ckpt')
    with pytest.raises(CheckpointError, match='text has width 128, but'):
        backbone(tmp_path / 'model.ckpt', arch=files.ARCH | dict(cross_attention_dim=32))


def test_other_heads(folder):
    """Which no weight shows."""
    with pytest.raises(CheckpointError, match=r'config\.json has 2 heads, .*=\(4, 4\)'):
        backbone(folder, arch=files.ARCH | dict(num_attention_heads=4))


def test_what_a_run_lacks_or_has_besides(folder, tmp_path):
    trained = backbone(folder)
    weights = {f'backbone.{key}': value for key, value in trained.state_dict().items()}
    path, text = tmp_path / 'run.pth', tmp_path / 'text.pt'
    torch.save({'state_dict': weights}, path)
    torch.save(torch.randn(files.NUM_TOKENS, 128), text)
    # A text of one's own stays.
    model = backbone(path, text=str(text), prefix='backbone.')
    assert torch.equal(model.text_tokens[0], torch.load(text))
    model = backbone(path, prefix='backbone.')
    assert torch.equal(model.text_tokens, trained.text_tokens)
    del weights['backbone.text_tokens']
    torch.save({'state_dict': weights}, path)
    with pytest.raises(CheckpointError, match=r'must have the tokens of a text, .* got None'):
        backbone(path, prefix='backbone.')
    with pytest.raises(CheckpointError, match=r'has no unet\. and vae\. below prefix'):
        backbone(path, prefix='backbone.unet.')


def test_a_layer_that_is_replaced_counts(folder):
    """As adapters and wrappers do it."""
    model = backbone(folder, blocks=2)
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        before = model(images)[0]
        model.unet.conv_in = torch.nn.Conv2d(4, 32, 3, padding=1)
        assert not torch.allclose(model(images)[0], before)


def test_another_scaling_factor(folder, tmp_path):
    import json
    import shutil

    shutil.copytree(folder, tmp_path / 'copy')
    config = tmp_path / 'copy' / 'vae' / 'config.json'
    config.write_text(json.dumps(json.loads(config.read_text()) | dict(scaling_factor=0.13025)))
    with pytest.raises(CheckpointError, match=r'scaling_factor is 0\.13025.*times 0\.18215'):
        backbone(tmp_path / 'copy')


def test_files_of_other_families(parts, tmp_path):
    from mmdiff.diffusion import UNet, get_architecture
    from mmdiff.models import DiffusionTransformerBackbone, GuidedDiffusionBackbone

    torch.save(original(parts), tmp_path / 'sd.ckpt')
    torch.save(UNet(get_architecture('adm-64-small')).state_dict(), tmp_path / 'adm.pt')

    def loads(backbone, path, **kwargs):
        init_cfg = dict(type='Pretrained', checkpoint=str(path), **kwargs.pop('init', {}))
        backbone(init_cfg=init_cfg, **kwargs).init_weights()

    with pytest.raises(CheckpointError, match='it holds a guided-diffusion U-Net'):
        backbone(tmp_path / 'adm.pt')
    with pytest.raises(CheckpointError, match="it holds Stable Diffusion's original file"):
        loads(GuidedDiffusionBackbone, tmp_path / 'sd.ckpt', arch='adm-64-small', blocks=2)
    dit = dict(image_size=64, hidden_size=32, depth=2, num_heads=2)
    with pytest.raises(CheckpointError, match=r'diffusion transformer.*: it holds a guided-diff'):
        loads(
            DiffusionTransformerBackbone, tmp_path / 'adm.pt', arch=dit, blocks=2,
            vae_channels=files.VAE_CHANNELS, init=dict(vae='vae'),
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"init_cfg must name vae, .*'hf://stabilityai/sd-vae"):
        loads(DiffusionTransformerBackbone, tmp_path / 'adm.pt', arch=dit, blocks=2)


def test_an_entry_of_a_folder(folder):
    with pytest.raises(CheckpointError, match=r"entry='ema' is of files, but .* is a folder"):
        backbone(folder, entry='ema')


@pytest.mark.parametrize('content', [b'', b'broken', b'\xff' * 100])
def test_broken_files(content, tmp_path):
    for suffix in ('safetensors', 'ckpt'):
        path = tmp_path / f'broken.{suffix}'
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r'is (empty|truncated, or is no)'):
            backbone(path)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        backbone(tmp_path / 'none.safetensors')


def test_only_what_the_config_names_is_fetched(folder, parts, tmp_path, monkeypatch):
    import huggingface_hub
    from huggingface_hub.utils import filter_repo_objects

    asked = []
    there = [str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()]

    def download(name, revision, allow_patterns):
        asked.append((name, revision, allow_patterns))
        target = tmp_path / str(len(asked))
        for file in filter_repo_objects(there, allow_patterns=allow_patterns):
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            (target / file).symlink_to(folder / file)
        return str(target)

    monkeypatch.setattr(huggingface_hub, 'snapshot_download', download)
    backbone(folder)
    assert not asked
    check_loaded(backbone('hf://stable-diffusion-v1-5/stable-diffusion-v1-5@main'), parts)
    ((name, revision, patterns),) = asked
    assert (name, revision) == ('stable-diffusion-v1-5/stable-diffusion-v1-5', 'main')
    # Safe formats alone, and once.
    assert 'unet/diffusion_pytorch_model.safetensors' in patterns
    assert not any('.bin' in pattern or 'fp16' in pattern for pattern in patterns)
    # The autoencoder of a pipeline, by its folder or without.
    for vae in ('hf://a/pipeline', 'hf://a/pipeline/vae'):
        check_loaded(backbone(folder, vae=vae), parts)
    with pytest.raises(ValueError, match=r'must be hf://ORGANISATION/NAME\[/FILE\], got hf://name'):
        backbone('hf://name')


def test_without_diffusers():
    code = (
        'import sys; sys.modules["diffusers"] = None\n'
        'from mmdiff.models import GuidedDiffusionBackbone, StableDiffusionBackbone\n'
        'GuidedDiffusionBackbone("adm-64-small", blocks=2)\n'
        'StableDiffusionBackbone("sd-64-small", blocks=2)'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )
    assert 'ImportError: diffusers is not installed' in result.stderr
    assert "pip install 'mmdiff[sd]'" in result.stderr


def test_importing_mmdiff_does_not_import_diffusers():
    code = 'import sys, mmdiff.models, mmdiff.apis; print("diffusers" in sys.modules)'
    printed = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == 'False'
