"""Baselines: other backbones in our settings. Their configs at full size: test_configs.py."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from mmengine.structures import InstanceData, PixelData

ARCH = dict(embed_dims=32, num_layers=24, num_heads=2, feedforward_channels=64)
UPERNET = dict(
    decode_head=dict(in_channels=[32] * 4, channels=16), auxiliary_head=dict(in_channels=32)
)
RESNET = dict(
    backbone=dict(depth=18),
    decode_head=dict(in_channels=[64, 128, 256, 512], channels=16),
    auxiliary_head=dict(in_channels=256),
)
ADM = dict(arch='adm-64-small', blocks=(14, 12, 10, 9), with_cp=False)
ADAPTER = dict(out_channels=32)
VIT = dict(img_size=70, frozen_stages=24)
# What of each config is smaller here. Everything else is as it stands.
SEGMENTORS = {
    'upernet_mae-vit-b': dict(neck=dict(embed_dim=32), **UPERNET),
    'upernet_mae-vit-l': dict(neck=dict(embed_dim=32), **UPERNET),
    'upernet_r50': RESNET,
    'upernet_swav-r50': RESNET,
    'upernet_dinov2-vit-b': dict(
        backbone=VIT, neck=dict(in_channels=(32,) * 4, **ADAPTER), **UPERNET
    ),
    'linear_dinov2-vit-b': dict(
        backbone=dict(out_indices=(23,), **VIT),
        neck=dict(in_channels=(32,)),
        decode_head=dict(in_channels=32, channels=32),
    ),
    'upernet_dinov3-vit-s': dict(neck=ADAPTER, **UPERNET),
    'linear_dinov3-vit-s': {},
    'upernet_gd-dinov2-vit-b': dict(
        neck=dict(in_channels=(32, 64, 128, 128, *[32] * 4), in_strides=(2, 4, 8, 8, *[16] * 4))
        | ADAPTER,
        **UPERNET,
    ),
}


def small(root, name, **model):
    """A config with a smaller model, whose weights are random."""
    cfg = Config.fromfile(root / f'configs/baselines/{name}.py')
    cfg.merge_from_dict(copy.deepcopy(dict(model=model)))
    for part in (cfg.model.backbone, *(b.backbone for b in cfg.model.backbone.get('branches', []))):
        part.init_cfg = None
        if part.type.endswith(('VisionTransformer', 'BEiTViT')):
            part.arch = ARCH
        if part.type == 'mmpretrain.TIMMBackbone':
            pytest.importorskip('timm', reason='timm is not installed, and no part of mmdiff')
            part.pretrained = False
    return cfg


def build(cfg):
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    return revert_sync_batchnorm(MODELS.build(cfg.model))


def train_and_test(model, inputs, samples, optim_wrapper):
    """One step, and a prediction after it; return which weights moved."""
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = build_optim_wrapper(model, optim_wrapper)
    losses = model.train().train_step(dict(inputs=inputs, data_samples=samples), optimizer)
    assert losses['loss'].isfinite()
    with torch.no_grad():
        results = model.eval().test_step(dict(inputs=inputs, data_samples=samples))
    return {
        name for name, p in model.named_parameters() if not torch.equal(p, before[name])
    }, results


@pytest.mark.parametrize('name', SEGMENTORS)
def test_segmentor_takes_a_step(name, root):
    from mmseg.structures import SegDataSample

    cfg = small(root, f'{name}_ade20k', **SEGMENTORS[name])
    if name == 'upernet_gd-dinov2-vit-b':
        unet, vit = (branch.backbone for branch in cfg.model.backbone.branches)
        unet.update(ADM)
        vit.update(img_size=70)
    if 'img_size' in cfg.model.backbone and 'mae' in name:
        cfg.model.backbone.img_size = 64
    cfg.model.data_preprocessor.size = (64, 64)
    cfg.model.test_cfg = dict(mode='whole')
    model = build(cfg)
    inputs = [torch.randint(256, (3, 64, 64), dtype=torch.uint8) for _ in range(2)]
    labels = PixelData(data=torch.randint(150, (1, 64, 64)))
    samples = [
        SegDataSample(gt_sem_seg=labels, metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)))
        for _ in inputs
    ]
    trained, results = train_and_test(model, inputs, samples, cfg.optim_wrapper)
    assert all(result.pred_sem_seg.data.shape == (1, 64, 64) for result in results)
    frozen = ('backbone.backbones.1.', 'backbone.layers.') if 'dino' in name else ()
    assert not any(part.startswith(frozen) for part in trained)
    assert any(part.startswith('decode_head.') for part in trained)
    of_backbone = any(part.startswith('backbone.') for part in trained)
    assert of_backbone == ('dinov' not in name or '_gd-' in name)


def test_detector_takes_a_step(root):
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    cfg = small(root, 'mask-rcnn_mae-vit-l_coco', backbone=dict(img_size=64, out_indices=(1,)))
    # As wide as the neck wants it.
    cfg.model.backbone.arch = ARCH | dict(embed_dims=1024, num_layers=2)
    cfg.model.train_cfg.rpn_proposal.max_per_img = cfg.model.test_cfg.rpn.max_per_img = 20
    cfg.model.train_cfg.rcnn.sampler.num = 16
    model = build(cfg)
    sample = DetDataSample(
        metainfo=dict(
            img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1.0, 1.0), pad_shape=(64, 64)
        )
    )
    mask = np.zeros((1, 64, 64), np.uint8)
    mask[:, 8:40, 8:48] = 1
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[8.0, 8.0, 48.0, 40.0]]),
        labels=torch.tensor([3]),
        masks=BitmapMasks(mask, 64, 64),
    )
    inputs = [torch.randint(256, (3, 64, 64), dtype=torch.uint8)]
    trained, results = train_and_test(model, inputs, [sample], cfg.optim_wrapper)
    assert {'backbone.pos_embed', 'backbone.layers.1.attn.qkv.weight'} <= trained
    assert results[0].pred_instances.masks.shape[1:] == (64, 64)


@pytest.mark.parametrize('name', ['linear_swav-r50', 'linear_mae-vit-l'])
def test_linear_probe_takes_a_step(name, root):
    from mmpretrain.structures import DataSample

    vit = dict(
        backbone=dict(img_size=32),
        neck=dict(input_features=32),
        head=dict(in_channels=32),
    )
    resnet = dict(backbone=dict(depth=18), head=dict(in_channels=512))
    model = vit if 'vit' in name else resnet
    cfg = small(root, f'{name}_in1k', **model)
    model = build(cfg)
    inputs = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    samples = [DataSample().set_gt_label(label) for label in (3, 5)]
    trained, results = train_and_test(model, inputs, samples, cfg.optim_wrapper)
    assert trained
    assert all(part.startswith('head.') for part in trained)
    assert results[0].pred_score.shape == (1000,)


def depth_of(name, layers):
    """How many layers come after a weight's."""
    if name.startswith('backbone.layers.'):
        return layers - int(name.split('.')[2])
    return layers + 1 if name.startswith('backbone.') else 0


@pytest.mark.parametrize(
    ('name', 'rate', 'decay', 'weight_decay'),
    [
        ('upernet_mae-vit-b_ade20k', 1e-4, 0.65, 0.05),
        ('upernet_mae-vit-l_ade20k', 1e-4, 0.8, 0.1),
        ('mask-rcnn_mae-vit-l_coco', 1e-4, 0.8, 0.1),
    ],
)
def test_layer_decay(name, rate, decay, weight_decay, root):
    """At full size: each layer's rate is that of the next one times the decay."""
    cfg = Config.fromfile(root / f'configs/baselines/{name}.py')
    with torch.device('meta'):
        model = build(cfg)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    groups = {id(p): group for group in wrapper.param_groups for p in group['params']}
    norms = {
        f'{path}.{key}'
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.LayerNorm | torch.nn.GroupNorm)
        for key, _ in module.named_parameters(recurse=False)
    }
    layers = len(model.backbone.layers)
    for key, parameter in model.named_parameters():
        group = groups[id(parameter)]
        assert group['lr'] == pytest.approx(rate * decay ** depth_of(key, layers)), key
        # mae_segmentation leaves what has one dimension, ViTDet norms and positions.
        free = parameter.ndim == 1 if 'upernet' in name else key in norms or 'pos_embed' in key
        if 'cls_token' not in key and ('pos_embed' not in key or 'upernet' not in name):
            assert group['weight_decay'] == (0 if free else weight_decay), key


@pytest.mark.parametrize('name', ['upernet_mae-vit-b', 'upernet_dinov2-vit-b'])
def test_published_weights_are_loaded(name, root, tmp_path):
    """As MMPretrain saves them: a classifier's, with a position embedding of another size."""
    published = dict(type='VisionTransformer', arch=ARCH, img_size=28, patch_size=14)
    if 'mae' in name:
        published.update(patch_size=16, img_size=32)
    else:
        published.update(layer_scale_init_value=1e-5)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        weights = MODELS.build(published).state_dict()
    weights = {f'backbone.{key}': torch.randn_like(value) for key, value in weights.items()}
    path = tmp_path / 'published.pth'
    torch.save(dict(state_dict=weights, meta={}), path)

    cfg = Config.fromfile(root / f'configs/baselines/{name}_ade20k.py')
    init_cfg = cfg.model.backbone.init_cfg
    backbone = small(root, f'{name}_ade20k').model.backbone
    backbone.update(init_cfg=init_cfg | dict(checkpoint=str(path)))
    model = MODELS.build(backbone)
    model.init_weights()
    patches = backbone.img_size // backbone.patch_size
    assert model.pos_embed.shape == (1, 1 + patches**2, 32)
    torch.testing.assert_close(model.pos_embed[:, :1], weights['backbone.pos_embed'][:, :1])
    for key, value in model.state_dict().items():
        if key == 'pos_embed':
            continue
        if f'backbone.{key}' in weights:
            assert torch.equal(value, weights[f'backbone.{key}']), key
        elif 'gamma' in key:
            assert (value == 1).all(), key
        else:
            assert 'relative_position' in key, key
            # It begins next to zero.
            assert 'index' in key or value.abs().max() < 0.1, key


def test_weights_of_mmpretrains_resnet_fit_mmsegs():
    states = []
    for scope in ('mmpretrain', 'mmseg'):
        with DefaultScope.overwrite_default_scope(scope):
            resnet = MODELS.build(dict(type='ResNet', depth=50))
        states.append({key: value.shape for key, value in resnet.state_dict().items()})
    assert states[0] == states[1]


def test_linear_head_is_linear(root):
    """Batch norm and one 1x1 convolution: of the sum of two features, the sum."""
    cfg = small(root, 'linear_dinov2-vit-b_ade20k')
    init_default_scope('mmseg')
    neck, head = MODELS.build(cfg.model.neck), MODELS.build(cfg.model.decode_head)
    assert sum(p.numel() for p in neck.parameters()) == 2 * 768
    assert sum(p.numel() for p in head.parameters()) == 768 * 150 + 150
    torch.nn.init.normal_(head.conv_seg.weight)
    feature = torch.randn(4, 768, 6, 6) * 3 + 1
    mean, std = feature.mean((0, 2, 3)), feature.std((0, 2, 3), correction=0)
    normalised = (feature - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(neck([feature])[0], normalised, rtol=1e-3, atol=1e-4)
    a, b = torch.randn(2, 1, 768, 6, 6)

    def logits(x):
        return head.eval()(neck.eval()([x]))

    torch.testing.assert_close(
        logits(a + b) + logits(torch.zeros_like(a)), logits(a) + logits(b), rtol=1e-3, atol=1e-3
    )
