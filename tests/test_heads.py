"""Classification heads: sizes of the paper, and independent references."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample
from torch import nn

from mmdiff.classification import (
    AttentionHead,
    CNNHead,
    DifFormerHead,
    GuidedDiffusionClassifierHead,
    LinearHead,
    MLPHead,
)
from mmdiff.diffusion import ARCHITECTURES, CheckpointError, UNet
from mmdiff.diffusion.adm import EncoderUNet, get_encoder_architecture
from mmdiff.models import DifFeedBackbone

B24 = dict(in_channels=1024, feature_size=16)
# Blocks 19, 24 and 30 of the 256x256 model.
DIFFORMER = dict(in_channels=(1024, 1024, 512), feature_sizes=(8, 16, 64), num_timesteps=3)


def millions(build, *args, **kwargs):
    with torch.device('meta'):
        module = build(*args, **kwargs)
    return sum(p.numel() for p in module.parameters()) / 1e6


@pytest.mark.parametrize(('layers', 'expected'), [(1, 15.19), (2, 27.79), (4, 52.97)])
def test_attention_head_has_the_papers_size(layers, expected):
    """Table 2."""
    assert millions(AttentionHead, 1000, num_layers=layers, **B24) == pytest.approx(
        expected, abs=0.005
    )


def test_heads_of_table_16():
    assert millions(AttentionHead, 50, **B24) == pytest.approx(26.81, abs=0.005)
    assert millions(DifFormerHead, 50, **DIFFORMER) == pytest.approx(28.88, abs=0.005)
    feedback = millions(lambda: DifFeedBackbone(blocks=24).feedback)
    assert millions(AttentionHead, 50, **B24) + feedback == pytest.approx(29.57, abs=0.005)


def test_whole_systems_of_table_8():
    unet = millions(UNet, ARCHITECTURES['adm-256-uncond'])
    feedback = millions(lambda: DifFeedBackbone(blocks=24).feedback)
    assert unet == pytest.approx(552.8, abs=0.05)
    assert unet + millions(DifFormerHead, 1000, **DIFFORMER) == pytest.approx(584.6, abs=0.05)
    assert unet + feedback + millions(AttentionHead, 1000, **B24) == pytest.approx(583.4, abs=0.05)


@pytest.mark.parametrize(('pool_size', 'expected'), [(1, 1), (2, 4), (4, 16), (8, 65)])
def test_linear_heads_of_table_12(pool_size, expected):
    assert millions(LinearHead, 1000, 1024, pool_size) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ('pool_size', 'hidden', 'expected'),
    [(1, (2048,), 4), (2, (2048,), 10), (2, (2048, 2048), 14), (4, (2048,), 34)],
)
def test_mlp_heads_of_table_12(pool_size, hidden, expected):
    size = millions(MLPHead, 1000, 1024, pool_size, hidden)
    # The paper's millions are 2**20 there.
    assert size * 1e6 / 2**20 == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ('channels', 'expected'),
    [
        ((512, 256), 3.5), ((1024, 256), 6), ((1024, 1024), 12), ((2048, 512), 14),
        ((2048, 2048), 32), ((4096, 2560), 66),
    ],
)  # fmt: skip
def test_cnn_heads_of_table_13(channels, expected):
    size = millions(CNNHead, 1000, 1024, channels)
    assert size * 1e6 / 2**20 == pytest.approx(expected, rel=0.03)


def test_pooled_heads_by_hand():
    torch.manual_seed(0)
    feature = torch.randn(2, 6, 12, 8)
    head = MLPHead(5, 6, pool_size=2, hidden_channels=(7,))
    cells = feature.unflatten(2, (2, 6)).unflatten(4, (2, 4)).mean((3, 5)).flatten(1)
    first, second = (m for m in head.modules() if isinstance(m, nn.Linear))
    torch.testing.assert_close(head([feature]), second(first(cells).relu()))
    linear = LinearHead(5, 6, pool_size=2)
    (only,) = (m for m in linear.modules() if isinstance(m, nn.Linear))
    torch.testing.assert_close(linear([feature]), only(cells))

    cnn = CNNHead(5, 6, channels=(3, 4), pool_size=4)
    pooled = feature.unflatten(2, (4, 3)).unflatten(4, (4, 2)).mean((3, 5))
    first, second = (m for m in cnn.modules() if isinstance(m, nn.Conv2d))
    (last,) = (m for m in cnn.modules() if isinstance(m, nn.Linear))
    hidden = F.conv2d(pooled, first.weight, first.bias, stride=2).relu()
    hidden = F.conv2d(hidden, second.weight, second.bias, stride=2).relu()
    torch.testing.assert_close(cnn([feature]), last(hidden.flatten(1)))


@pytest.mark.parametrize(
    ('layers', 'parameters'), enumerate([13.62, 26.21, 38.81, 51.40, 63.99], start=1)
)
def test_attention_heads_of_table_14(layers, parameters, root):
    """13.7, 26.2, 38.8, 51.4 and 64.0 M in the paper, for 1000 classes."""
    cfg = Config.fromfile(root / f'configs/imagenet-50/attention-1k-{layers}_gd_in50.py')
    init_default_scope('mmpretrain')
    size = millions(lambda: MODELS.build(cfg.model.head | dict(num_classes=1000)))
    assert f'{size:.2f}' == f'{parameters:.2f}'
    page = (root / 'docs/paper_tables.md').read_text()
    row = next(line for line in page.splitlines() if cfg.filename.rpartition('/')[2] in line)
    assert f'| {size:.2f}M |' in row


def test_tokens_of_table_14_are_means_of_cells():
    """The authors' code: a 2x2 average pool, and the class token before."""
    torch.manual_seed(0)
    head = AttentionHead(
        5, in_channels=8, feature_size=16, num_layers=1, embed_dims=8, num_heads=2, pool_size=8,
        norm=False, project=False,
    )  # fmt: skip
    feature = torch.randn(2, 8, 16, 16)
    tokens = F.avg_pool2d(feature, 2).flatten(2).transpose(1, 2)
    tokens = torch.cat([torch.zeros(2, 1, 8), tokens], dim=1)
    out = reference_layer(head.layers[0], 8, 2)(tokens)[:, 0]
    torch.testing.assert_close(head([feature]), head.fc(out), rtol=1e-4, atol=1e-4)


def test_transformer_starts_as_pytorchs_linear_layers():
    """As the authors' and timm's: up to one over the square root of the input channels."""
    torch.manual_seed(0)
    head = AttentionHead(5, in_channels=8, feature_size=4, embed_dims=64)
    head.init_weights()
    linear = [m for m in head.layers.modules() if isinstance(m, nn.Linear)]
    assert len(linear) == 2 * 4
    for layer in linear:
        bound = layer.in_features**-0.5
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert layer.bias is None or 0.8 * bound < layer.bias.abs().max() <= bound


def reference_layer(layer, dims, heads):
    """PyTorch's own Transformer layer, with the same weights."""
    reference = nn.TransformerEncoderLayer(
        dims, heads, 4 * dims, dropout=0, activation='gelu', batch_first=True, norm_first=True
    )
    attention, first, second = (
        reference.self_attn,
        *(m for m in layer.ffn.modules() if isinstance(m, nn.Linear)),
    )
    pairs = [
        (attention.in_proj_weight, layer.attn.qkv.weight),
        (attention.out_proj.weight, layer.attn.proj.weight),
        (attention.out_proj.bias, layer.attn.proj.bias),
        (reference.linear1.weight, first.weight), (reference.linear1.bias, first.bias),
        (reference.linear2.weight, second.weight), (reference.linear2.bias, second.bias),
    ]  # fmt: skip
    for ours, theirs in ((reference.norm1, layer.ln1), (reference.norm2, layer.ln2)):
        pairs += [(ours.weight, theirs.weight), (ours.bias, theirs.bias)]
        ours.eps = theirs.eps
    with torch.no_grad():
        for ours, theirs in pairs:
            ours.copy_(theirs)
        attention.in_proj_bias.zero_()
    return reference


@pytest.mark.parametrize('num_timesteps', [1, 3])
def test_difformer_by_hand(num_timesteps):
    """Timestep after timestep, block after block, on PyTorch's own modules."""
    torch.manual_seed(0)
    dims, heads = 16, 4
    head = DifFormerHead(
        5, in_channels=(8, 6), feature_sizes=(4, 12), num_timesteps=num_timesteps,
        embed_dims=dims, num_heads=heads, pool_size=6,
    )  # fmt: skip
    for parameter in head.parameters():
        parameter.data.normal_(std=0.3)
    feats = [(torch.randn(2, 8, 4, 4), torch.randn(2, 6, 12, 12)) for _ in range(num_timesteps)]
    classes = []
    for maps in feats:
        tokens = [head.cls_token.expand(2, 1, dims)]
        for tokenizer, feature in zip(head.tokenizers, maps, strict=True):
            if feature.shape[-1] == 12:
                feature = F.avg_pool2d(feature, 2)
            norm, conv = tokenizer.norm, tokenizer.project
            normed = F.layer_norm(feature, feature.shape[1:], norm.weight, norm.bias)
            projected = torch.einsum('nchw,dc->nhwd', normed, conv.weight[..., 0, 0]) + conv.bias
            tokens.append(projected.reshape(2, -1, dims))
        out = torch.cat(tokens, dim=1)
        for layer in head.layers:
            out = reference_layer(layer, dims, heads)(out)
        classes.append(out[:, 0])
    expected = torch.cat(classes, dim=1) @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head(feats), expected, rtol=1e-4, atol=1e-4)
    if num_timesteps == 1:
        # The maps of one timestep need no list around them.
        torch.testing.assert_close(head(feats[0]), expected, rtol=1e-4, atol=1e-4)


CLASSIFIER = dict(
    image_size=16, model_channels=32, channel_mult=(1, 2), num_res_blocks=1,
    attention_resolutions=(), num_head_channels=16,
)  # fmt: skip


def pretrained(path, **kwargs):
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    return GuidedDiffusionClassifierHead(3, CLASSIFIER, init_cfg=init_cfg, **kwargs)


def test_head_of_a_published_classifier(tmp_path):
    encoder = EncoderUNet(get_encoder_architecture(CLASSIFIER | dict(num_outputs=3))).eval()
    path = tmp_path / 'classifier.pt'
    torch.save(encoder.state_dict(), path)
    head = pretrained(path, loss=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 3.0]))
    assert {key.split('.')[0] for key, _ in head.named_parameters()} == {'out'}
    head.init_weights()
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([90])
    with torch.no_grad():
        assert torch.equal(head(encoder.features(x, t, (2, 5))), encoder(x, t))
    # As MMPretrain's, which does not load again either.
    torch.save({}, path)
    head.init_weights()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: w.pop('out.2.c_proj.weight'), r'hold a .* classifier: it has no out\.2\.c_proj'),
        (lambda w: w.pop('out.0.bias'), r'head with num_classes=3; missing: out\.0\.bias'),
        (lambda w: w.update({'out.3.bias': torch.zeros(1)}), r'unexpected: out\.3\.bias'),
        (
            lambda w: w.update({'out.2.c_proj.bias': torch.zeros(5)}),
            r'out\.2\.c_proj\.bias \(checkpoint \(5,\), head with num_classes=3 \(3,\)',
        ),
        (lambda w: w['out.0.bias'].fill_(torch.nan), r'NaN or infinite weights: out\.0\.bias'),
    ],
)
def test_checkpoints_that_do_not_fit_the_head(change, message, tmp_path):
    weights = {f'out.{key}': v for key, v in pretrained('').out.state_dict().items()}
    change(weights)
    path = tmp_path / 'classifier.pt'
    torch.save(weights, path)
    with pytest.raises(CheckpointError, match=message):
        pretrained(path).init_weights()


HEADS = {
    'GuidedDiffusionClassifierHead': dict(
        arch=dict(
            image_size=8,
            model_channels=8,
            channel_mult=(4,),
            attention_resolutions=(),
            num_head_channels=8,
        )
    ),
    'LinearHead': dict(in_channels=8),
    'MLPHead': dict(in_channels=8, hidden_channels=(16,)),
    'CNNHead': dict(in_channels=8, channels=(16, 16)),
    'AttentionHead': dict(in_channels=8, feature_size=8, embed_dims=16),
    'DifFormerHead': dict(
        in_channels=(8,), feature_sizes=(8,), num_timesteps=2, embed_dims=16, num_layers=1
    ),
}


@pytest.mark.parametrize('name', HEADS)
def test_loss_and_prediction_in_a_classifier(name):
    """As MMPretrain's runner calls them; every parameter gets a gradient."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    head = MODELS.build(dict(type=f'mmdiff.{name}', num_classes=3, **HEADS[name]))
    channels = 32 if name == 'GuidedDiffusionClassifierHead' else 8
    maps = (torch.randn(4, channels, 8, 8),)
    feats = (maps, maps) if name == 'DifFormerHead' else maps
    samples = [DataSample().set_gt_label(i % 3) for i in range(4)]
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = head.loss(feats, samples)['loss']
        loss.backward()
        assert all(p.grad is not None for p in head.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    predictions = head.eval().predict(feats, samples)
    assert [p.pred_label.item() for p in predictions] == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: LinearHead(0, 8), 'num_classes must be an int of at least 1, got 0'),
        (lambda: LinearHead(3, 8, pool_size=0), 'pool_size must be an int of at least 1, got 0'),
        (lambda: CNNHead(3, 8, pool_size=6), 'pool_size must be a multiple of 4, got 6'),
        (lambda: AttentionHead(3, 8, 4, num_layers=0), 'num_layers must be .* at least 1, got 0'),
        (
            lambda: LinearHead(3, 8)([(torch.zeros(1, 8, 2, 2),)]),
            'got 1 timesteps, as a sequence; give the backbone one block, and an int',
        ),
        (
            lambda: GuidedDiffusionClassifierHead(3)([(torch.zeros(1, 512, 8, 8),)] * 2),
            'takes maps of one timestep, got 2 timesteps',
        ),
        (
            lambda: GuidedDiffusionClassifierHead(3)([torch.zeros(1, 256, 8, 8)]),
            'has 256 channels, but the middle block of arch has 512; let block 19 be the last',
        ),
        (
            lambda: GuidedDiffusionClassifierHead(3)([torch.zeros(1, 512, 8, 7)]),
            'pools maps of 8x8, .* got 8x7',
        ),
        (lambda: GuidedDiffusionClassifierHead(0), 'num_classes must be an int of at least 1'),
        (lambda: GuidedDiffusionClassifierHead(3, 'adm-256'), 'known are adm-64-classifier'),
        (
            lambda: GuidedDiffusionClassifierHead(3, init_cfg=dict(type='Normal')),
            r"init_cfg must be dict\(type='Pretrained', checkpoint=...\), got",
        ),
        (lambda: DifFormerHead(3, (8, 8), (4,)), 'must name the same blocks'),
        (lambda: DifFormerHead(3, (8,), (4,), project=False), 'needs in_channels of embed_dims'),
        (lambda: AttentionHead(3, 8, 4, num_heads=7), 'num_heads=7 does not divide'),
        (
            lambda: LinearHead(3, 8)([torch.zeros(1, 4, 2, 2)]),
            'has 4 channels, but in_channels=8',
        ),
        (
            lambda: LinearHead(3, 8)([torch.zeros(1, 8, 2, 2)] * 2),
            'one block at one timestep, got 2',
        ),
        (
            lambda: LinearHead(3, 8, pool_size=4)([torch.zeros(1, 8, 4, 2)]),
            'the feature is 4x2, smaller than pool_size=4',
        ),
        (
            lambda: AttentionHead(3, 8, 4)([torch.zeros(1, 8, 2, 2)]),
            r'shape \(8, 2, 2\), but in_channels and feature_sizes say \(8, 4, 4\)',
        ),
        (
            lambda: DifFormerHead(3, (8,), (4,), num_timesteps=2)([torch.zeros(1, 8, 4, 4)]),
            r'1 timesteps with \[1\] blocks, but the head has num_timesteps=2',
        ),
    ],
)
def test_bad_arguments_and_features(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    'build', [LinearHead, MLPHead, lambda *sizes, **kwargs: CNNHead(*sizes, (3, 4), 4, **kwargs)]
)
def test_pooled_heads_on_standardized_features(build):
    """Whatever the scale and the mean of each channel."""
    head = build(5, 6, standardize=True)
    feature = torch.randn(4, 6, 8, 8)
    pooled = F.adaptive_avg_pool2d(feature, head.pool_size)
    mean, deviation = pooled.mean((0, 2, 3)), pooled.std((0, 2, 3), unbiased=False)
    expected = head.layers((pooled - mean[:, None, None]) / deviation[:, None, None])
    scaled = feature * torch.logspace(-1, 2, 6)[:, None, None] + torch.arange(6)[:, None, None]
    torch.testing.assert_close(head([scaled]), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(head.eval()([scaled[:1]]), expected[:1], rtol=1e-3, atol=1e-3)
