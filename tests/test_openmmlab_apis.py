"""OpenMMLab's own inference, on mmdiff's configs as their users call it."""

import mmcv
import numpy as np
import pytest
import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

from mmdiff.models import GuidedDiffusionBackbone
from mmdiff.torch_compat import has_custom_operators


@pytest.fixture(scope='module')
def image(tmp_path_factory):
    """A photo that its camera's note turns: of 64x32 pixels in the file, 32x64 upright."""
    path = tmp_path_factory.mktemp('images') / 'photo.jpg'
    pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).resize((64, 32)).save(path, exif=exif, quality=95)
    return path


@pytest.fixture(autouse=True)
def no_scope_of_others():
    """Each of these sets the default scope for good, and some take one that is there."""
    before = DefaultScope._instance_dict.copy()
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def config_of(root, tmp_path, name, **changes):
    """A config file with random weights."""
    cfg = Config.fromfile(root / 'configs' / f'{name}.py')
    cfg.model.backbone.init_cfg = None
    cfg.merge_from_dict(changes)
    path = tmp_path / 'config.py'
    cfg.dump(path)
    return str(path)


def weights_of(model, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return str(path)


def upright(image):
    return mmcv.rgb2bgr(np.asarray(Image.open(image).transpose(Image.Transpose.ROTATE_270)))


def test_segmentation(root, tmp_path, image):
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    torch.manual_seed(0)
    config = config_of(root, tmp_path, 'upernet_gd-random_digit-scenes')
    model = init_model(config, device='cpu')
    found = inference_model(model, str(image)).pred_sem_seg.data[0].numpy()
    assert found.shape == (64, 32)
    assert len(np.unique(found)) > 1
    # mmseg changes the model's config for arrays.
    inferencer = MMSegInferencer(config, weights_of(model, tmp_path), device='cpu')
    for given in (str(image), upright(image)):
        assert np.array_equal(inferencer(given)['predictions'], found)
    again = inference_model(model, upright(image)).pred_sem_seg.data[0].numpy()
    assert np.array_equal(again, found)


def test_detection(root, tmp_path, image):
    from mmdet.apis import DetInferencer, inference_detector, init_detector

    torch.manual_seed(0)
    config = config_of(root, tmp_path, 'mask-rcnn_gd_digit-scenes')
    model = init_detector(config, device='cpu', palette='random')
    found = inference_detector(model, str(image)).pred_instances
    assert found.masks.shape[1:] == (64, 32)
    inferencer = DetInferencer(config, weights_of(model, tmp_path), device='cpu', palette='random')
    for given in (str(image), upright(image)):
        (predicted,) = inferencer(given, no_save_vis=True)['predictions']
        np.testing.assert_allclose(predicted['scores'], found.scores, rtol=1e-5)
        np.testing.assert_allclose(predicted['bboxes'], found.bboxes, rtol=1e-4, atol=1e-3)


def test_classification(root, tmp_path, image):
    from mmpretrain import ImageClassificationInferencer

    torch.manual_seed(0)
    config = config_of(root, tmp_path, 'linear_gd_digit-scenes')
    inferencer = ImageClassificationInferencer(config, pretrained=False, device='cpu')
    from_file, from_array = inferencer([str(image), upright(image)])
    assert from_file['pred_label'] == from_array['pred_label']
    np.testing.assert_array_equal(from_file['pred_scores'], from_array['pred_scores'])


@pytest.mark.skipif(not has_custom_operators(), reason='older PyTorch traces no generator')
def test_flops(root, tmp_path):
    """As MMPretrain's get_flops, whose example is no image."""
    backbone = Config.fromfile(config_of(root, tmp_path, 'linear_gd_digit-scenes')).model.backbone
    with torch.no_grad():
        found = get_model_complexity_info(
            MODELS.build(backbone).eval(), (3, 64, 64), show_table=False, show_arch=False
        )
    convolution = 3 * 3 * 3 * 32 * 64 * 64
    assert found['flops'] > convolution
    assert found['params'] > 0


@pytest.mark.parametrize('blocks', [12, (9, 12)])
def test_tools_find_the_names_of_the_maps(blocks):
    """MMPretrain's vis_tsne asks for out_indices."""
    backbone = GuidedDiffusionBackbone('adm-64-small', timestep=90, blocks=blocks)
    assert len(backbone.out_indices) == len(backbone(torch.zeros(1, 3, 64, 64)))
