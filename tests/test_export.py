"""Exported files, which run without PyTorch and compute what it does."""

import json
import re
import runpy
import sys

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import Compose
from mmengine.registry import MODELS, init_default_scope
from PIL import Image
from torch import nn

from mmdiff.diffusion import fixed_noise
from mmdiff.engine.cli import load_config
from mmdiff.export import AdaptiveAvgPool, ExportError, NoiseStream, export_model
from mmdiff.export import files as export_files
from mmdiff.export.graph import ExportedModel
from mmdiff.export.preprocessing import Preprocessing
from mmdiff.torch_compat import can_export

onnxruntime = pytest.importorskip('onnxruntime', reason='needs mmdiff[export]')
pytest.importorskip('onnxscript', reason='needs mmdiff[export]')
pytestmark = pytest.mark.skipif(not can_export(), reason='needs a newer PyTorch')

ARCH = dict(
    image_size=32,
    model_channels=32,
    channel_mult=(1, 1, 2),
    num_res_blocks=1,
    attention_resolutions=(8,),
    num_head_channels=16,
)
# The first block is quick to export.
BACKBONE = dict(type='mmdiff.GuidedDiffusionBackbone', arch=ARCH, timestep=50, blocks=(1,))


def built(root, base, **model):
    """The config's model, with settings of its own, and none of its weights 0."""
    cfg = load_config(str(root / 'configs' / base))
    cfg.merge_from_dict(dict(model=model))
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    network = MODELS.build(cfg.model).eval()
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return network, cfg


def segmentor(root, **backbone):
    return built(
        root,
        'upernet_gd_digit-scenes.py',
        backbone=dict(_delete_=True, **{**BACKBONE, **backbone}),
        neck=dict(in_channels=(32,), in_strides=(1,), out_channels=8, out_strides=(2,)),
        decode_head=dict(
            _delete_=True, type='FCNHead', in_channels=8, channels=8, num_convs=1, num_classes=11
        ),
        auxiliary_head=None,
    )


def pixels(batch, height, width):
    return np.random.default_rng(1).integers(256, size=(batch, 3, height, width), dtype=np.uint8)


def run(path, image):
    return onnxruntime.InferenceSession(path).run(None, {'image': image})


@pytest.mark.parametrize('size', [(8, 8), (32, 12), (16, 32)])
def test_noise_of_all_sizes_is_in_one_stream(size):
    stream = NoiseStream(3, (2, 3, 32, 32))
    noise = stream((2, 3, *size), torch.device('cpu'), torch.float32)
    assert torch.equal(noise, fixed_noise(3, (2, 3, *size)))


@pytest.mark.parametrize('output_size', [1, 3, (2, 6)])
def test_pools_maps_of_any_size(output_size):
    maps = torch.randn(2, 3, 7, 12)
    expected = nn.AdaptiveAvgPool2d(output_size)(maps)
    torch.testing.assert_close(AdaptiveAvgPool(output_size)(maps), expected)


@pytest.mark.parametrize(
    ('scope', 'settings'),
    [
        ('mmseg', dict(type='SegDataPreProcessor', bgr_to_rgb=True)),
        ('mmseg', dict(type='SegDataPreProcessor', rgb_to_bgr=True)),
        ('mmdet', dict(type='DetDataPreprocessor')),
        ('mmpretrain', dict(type='ClsDataPreprocessor', to_rgb=True)),
    ],
)
def test_preprocesses_as_the_packages(scope, settings):
    init_default_scope(scope)
    settings = dict(settings, mean=[123.0, 116.0, 103.0], std=[58.0, 57.0, 56.0])
    preprocessing = Preprocessing.of(ConfigDict(model=dict(data_preprocessor=settings)))
    model = nn.Module()
    model.data_preprocessor = MODELS.build(settings)
    images = pixels(2, 8, 12)
    ours = preprocessing.normalize(torch.from_numpy(images))
    torch.testing.assert_close(ours, preprocessing.as_in(model, images))


def test_padding_is_no_part_of_the_graph():
    init_default_scope('mmdet')
    settings = dict(type='DetDataPreprocessor', pad_size_divisor=8)
    model = nn.Module()
    model.data_preprocessor = MODELS.build(settings)
    preprocessing = Preprocessing.of(ConfigDict(model=dict(data_preprocessor=settings)))
    with pytest.raises(ExportError, match=r'pads images of \(8, 12\) pixels to \(8, 16\)'):
        preprocessing.as_in(model, pixels(1, 8, 12))


@pytest.fixture(scope='module')
def segmentor_files(root, tmp_path_factory):
    """A segmentor with adapters, and the ONNX file that the tool made of its checkpoint."""
    folder = tmp_path_factory.mktemp('segmentor')
    model, cfg = segmentor(root, lora=dict(rank=2))
    cfg.dump(folder / 'config.py')
    meta = dict(dataset_meta=dict(classes=tuple('abcdefghijk')))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), folder / 'run.pth')
    out = folder / 'upernet.onnx'
    with pytest.MonkeyPatch.context() as patch:
        files = [str(folder / name) for name in ('config.py', 'run.pth')]
        patch.setattr(sys, 'argv', ['export.py', *files, str(out)])
        runpy.run_path(str(root / 'tools/export.py'), run_name='__main__')
    return model, out


def test_program_of_the_docs_labels_as_the_model(segmentor_files, root, tmp_path, monkeypatch):
    model, file = segmentor_files
    photo = tmp_path / 'photo.png'
    Image.fromarray(pixels(1, 32, 32)[0].transpose(1, 2, 0)).save(photo)
    # As tools/test.py loads it, but for the labels.
    steps = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
    data = Compose(steps)(dict(img_path=str(photo)))
    expected = model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
    program = re.search('```python\n(.*?)```', (root / 'docs/deployment.md').read_text(), re.S)[1]
    monkeypatch.setattr(sys, 'argv', ['program.py', *map(str, (file, photo, tmp_path / 'out.png'))])
    exec(program, {})
    labels = np.asarray(Image.open(tmp_path / 'out.png'))
    assert len(np.unique(labels)) > 1
    assert np.array_equal(labels, expected[0].pred_sem_seg.data[0].numpy())


def test_file_describes_itself(segmentor_files):
    session = onnxruntime.InferenceSession(segmentor_files[1])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata['classes']) == list('abcdefghijk')
    assert json.loads(metadata['size']) == [32, 32]
    assert (metadata['channel_order'], metadata['range']) == ('RGB', '[0, 255]')
    assert metadata['noise'] == 'fixed, seed 0'
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape[1:]) == ('image', 'tensor(uint8)', [3, 32, 32])


def test_file_names_no_place_on_this_machine(segmentor_files, root):
    content = segmentor_files[1].read_bytes()
    assert str(root).encode() not in content
    assert b'site-packages' not in content


def test_adapters_are_merged(segmentor_files):
    model, file = segmentor_files
    assert b'lora' not in file.read_bytes()
    images = pixels(2, 32, 32)
    with torch.no_grad():
        normalized = torch.from_numpy(images) / 127.5 - 1
        expected = model.encode_decode(normalized, [dict(img_shape=(32, 32))])
    np.testing.assert_allclose(run(file, images)[0], expected, atol=1e-4)


def test_batch_of_any_size(segmentor_files):
    file, images = segmentor_files[1], pixels(5, 32, 32)
    (logits,) = run(file, images)
    assert logits.shape == (5, 11, 32, 32)
    np.testing.assert_allclose(logits[3:4], run(file, images[3:4])[0], atol=1e-4)


@pytest.fixture
def export_backbone(root):
    """Export a backbone that averages over two draws of noise."""

    def export(out, change=lambda cfg: None, **kwargs):
        model, cfg = segmentor(root, ensemble_size=2)
        change(cfg)
        return model.backbone, export_model(model, cfg, out, output='backbone', **kwargs)

    return export


def test_any_size_with_the_noise_of_that_size(export_backbone, tmp_path):
    backbone, differences = export_backbone(tmp_path / 'a.onnx', size=(64, 48), dynamic_size=True)
    assert 0 < differences['ONNX Runtime'] < 1e-4
    again = MODELS.build(dict(BACKBONE, ensemble_size=2)).eval()
    again.load_state_dict(backbone.state_dict())
    for size in (64, 48), (20, 36):
        images = pixels(3, *size)
        expected = again(torch.from_numpy(images) / 127.5 - 1)[0].detach().numpy()
        np.testing.assert_allclose(run(tmp_path / 'a.onnx', images)[0], expected, atol=1e-5)


def test_difference_from_pytorch_leaves_no_file(export_backbone, tmp_path):
    def change(cfg):
        cfg.model.data_preprocessor.mean = [120.0, 127.5, 127.5]

    with pytest.raises(ExportError, match=r'ONNX Runtime gives t50_block1 .* differ by .*e-0'):
        export_backbone(tmp_path / 'out' / 'a.onnx', change)
    assert list((tmp_path / 'out').iterdir()) == []


def test_weights_too_large_for_a_file_are_beside_it(export_backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(export_files, 'MOST_BYTES_INSIDE', 0)
    export_backbone(tmp_path / 'a.onnx', input='normalized')
    assert sorted(f.name for f in tmp_path.iterdir()) == ['a.onnx', 'a.onnx.data']
    image = np.zeros((2, 3, 32, 32), np.float32)
    assert run(tmp_path / 'a.onnx', image)[0].shape == (2, 32, 32, 32)


def test_openvino(export_backbone, tmp_path):
    openvino = pytest.importorskip('openvino')
    _, differences = export_backbone(tmp_path / 'a.xml')
    assert list(differences) == ['OpenVINO']
    assert sorted(f.name for f in tmp_path.iterdir()) == ['a.bin', 'a.xml']
    described = openvino.Core().read_model(tmp_path / 'a.xml')
    assert described.get_rt_info(['mmdiff', 'blocks']).value == '[1]'
    assert described.output(0).get_any_name() == 't50_block1'


def test_classifier(root, tmp_path):
    head = dict(in_channels=32, feature_size=8, embed_dims=16, num_heads=2, num_layers=1)
    settings = dict(backbone=dict(_delete_=True, **BACKBONE | dict(blocks=(5,))), head=head)
    model, cfg = built(root, 'attention_gd_digit-scenes.py', **settings)
    images = pixels(3, 32, 32)
    with torch.no_grad():
        inputs = model.data_preprocessor(dict(inputs=torch.from_numpy(images).flip(1)))['inputs']
        expected = model(inputs, mode='tensor').numpy()
    with pytest.raises(ExportError, match=r'takes no images of .*feature_sizes'):
        export_model(model, cfg, tmp_path / 'a.onnx', dynamic_size=True)
    export_model(model, cfg, tmp_path / 'a.onnx')
    np.testing.assert_allclose(run(tmp_path / 'a.onnx', images)[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ('settings', 'arguments', 'error'),
    [
        (dict(eval_noise='random'), dict(), 'eval_noise=fixed'),
        (dict(), dict(out='a.pt'), r'must end in \.onnx or \.xml'),
        (dict(), dict(size=(30, 32), dynamic_size=True), 'multiples of 4'),
        (dict(), dict(size=(32,)), 'a height and a width'),
        (dict(), dict(output='boxes'), 'output must be one of'),
        (dict(arch=dict(ARCH, channel_mult=(1, 2))), dict(dynamic_size=True), 'pieces of 16'),
    ],
)
def test_refuses(root, tmp_path, settings, arguments, error):
    model, cfg = segmentor(root, **settings)
    out = tmp_path / arguments.pop('out', 'a.onnx')
    with pytest.raises((ExportError, ValueError), match=error):
        export_model(model, cfg, out, **{'output': 'backbone', **arguments})
    assert not out.exists()


def test_sliding_window_is_refused(root, tmp_path):
    model, cfg = segmentor(root)
    model.test_cfg.mode = 'slide'
    with pytest.raises(ExportError, match='mode=whole'):
        export_model(model, cfg, tmp_path / 'a.onnx')


def test_missing_package_is_named(root, tmp_path, monkeypatch):
    monkeypatch.setattr('mmdiff.export.errors.find_spec', lambda name: None)
    model, cfg = segmentor(root)
    with pytest.raises(ExportError, match=r'openvino not installed.*pip install .mmdiff\[export\]'):
        export_model(model, cfg, tmp_path / 'a.xml')


def test_detector_has_no_logits(root, tmp_path):
    pytest.importorskip('mmcv.ops')
    model, cfg = built(root, 'mask-rcnn_gd-small_nuclei.py')
    with pytest.raises(ExportError, match='features only'):
        export_model(model, cfg, tmp_path / 'a.onnx')


@pytest.mark.slow
def test_segmentor_of_any_size(root, tmp_path):
    """Also where its head pools to fixed sizes."""
    model, cfg = built(
        root,
        'upernet_gd_digit-scenes.py',
        backbone=dict(_delete_=True, **BACKBONE | dict(blocks=(7, 8), timestep=(50, 300))),
        neck=dict(in_channels=(128, 128), in_strides=(4, 4), out_channels=8, out_strides=(2, 4)),
        decode_head=dict(in_channels=[8, 8], in_index=[0, 1], channels=8, pool_scales=(1, 3)),
        auxiliary_head=None,
    )
    images = pixels(2, 40, 24)
    with torch.no_grad():
        inputs = torch.from_numpy(images) / 127.5 - 1
        expected = model.encode_decode(inputs, [dict(img_shape=(40, 24))]).numpy()
    export_model(model, cfg, tmp_path / 'a.onnx', size=(48, 64), dynamic_size=True)
    np.testing.assert_allclose(run(tmp_path / 'a.onnx', images)[0], expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('config', 'options'),
    [
        ('upernet_diffeed_digit-scenes.py', dict(size=(50, 61))),
        ('mask-rcnn_gd-small_nuclei.py', dict(output='neck', size=(64, 96), dynamic_size=True)),
        ('stable-diffusion/upernet_sd-small_digit-scenes.py', dict()),
    ],
)
def test_every_family(root, tmp_path, config, options):
    model, cfg = built(root, config)
    differences = export_model(model, cfg, tmp_path / 'a.onnx', **options)
    assert max(differences.values()) < 1e-4


@pytest.mark.slow
def test_a_learned_timestep_and_the_aggregator(root, tmp_path):
    backbone = dict(_delete_=True, **BACKBONE | dict(blocks=(8, 6), timestep='learned'))
    neck = dict(
        _delete_=True,
        type='mmdiff.FeatureAggregator',
        in_channels=(64, 64),
        in_strides=(4, 4),
        out_channels=8,
        out_strides=(2,),
    )
    model, cfg = built(
        root, 'upernet_gd_digit-scenes.py', backbone=backbone, neck=neck, auxiliary_head=None
    )
    with torch.no_grad():
        expected = model.extract_feat(torch.from_numpy(pixels(2, 40, 24)) / 127.5 - 1)[0].numpy()
    export_model(model, cfg, tmp_path / 'a.onnx', output='neck', size=(48, 64), dynamic_size=True)
    np.testing.assert_allclose(run(tmp_path / 'a.onnx', pixels(2, 40, 24))[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ('timestep', 'names'),
    [
        ('learned', ['tlearned_block8', 'tlearned_block6']),
        ({8: 50, 6: 300}, ['t50_block8', 't300_block6']),
    ],
)
def test_names_of_maps(root, timestep, names):
    model, _ = segmentor(root, blocks=(8, 6), timestep=timestep)
    assert ExportedModel(model, 'backbone').names(2) == names
