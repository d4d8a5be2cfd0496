"""Every config builds, at full size, on PyTorch's meta device."""

import copy
import re
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, init_default_scope

from mmdiff.classification.feature_cache import map_names
from mmdiff.diffusion import UNet, get_architecture
from mmdiff.engine.unread_settings import check_config
from mmdiff.models import DiffusionBackbone
from mmdiff.torch_compat import has_custom_operators

ROOT = Path(__file__).parent.parent
PATHS = [path for path in sorted((ROOT / 'configs').rglob('*.py')) if '_base_' not in path.parts]
CONFIGS = [
    pytest.param(Config.fromfile(path), id=str(path.relative_to(ROOT / 'configs').with_suffix('')))
    for path in PATHS
]

# What the docs give as counted here, in millions, by file.
PARAMETERS = {
    str(ROOT / 'configs' / path): count
    for path, count in re.findall(
        r'\(\.\./configs/(\S+)\) \|[^|]*\| (\d+\.\d\dM) \|',
        (ROOT / 'docs/paper_tables.md').read_text(),
    )
}


def of_scope(scope, model_type=None):
    return pytest.mark.parametrize(
        'cfg',
        [
            param
            for param in CONFIGS
            if param.values[0].default_scope == scope
            and model_type in (None, param.values[0].model.type)
        ],
    )


def backbones(model):
    """The configs of the model's backbone, those of its branches, and that of its teacher."""
    found = [model[key] for key in ('backbone', 'denoiser', 'teacher') if key in model]
    return [*found, *(branch.backbone for part in found for branch in part.get('branches', []))]


def build(cfg):
    init_default_scope(cfg.default_scope)
    model = copy.deepcopy(cfg.model)
    for part in (model, *backbones(model)):
        if not has_custom_operators() and 'with_cp' in part:
            # Older PyTorch does not compute again on the meta device.
            part.with_cp = False
        # Nor does autocast know it.
        if 'amp_dtype' in part:
            part.amp_dtype = None
        if part.get('type') == 'mmpretrain.TIMMBackbone':
            pytest.importorskip('timm', reason='timm is not installed, and no part of mmdiff')
            # It would download its weights as it is built.
            part.pretrained = False
    return revert_sync_batchnorm(MODELS.build(model)).train()


def check_input(cfg):
    preprocessor = cfg.model.data_preprocessor
    assert preprocessor['to_rgb' if cfg.default_scope == 'mmpretrain' else 'bgr_to_rgb']
    if cfg.model.backbone.type.startswith('mmdiff.'):
        assert preprocessor.mean == preprocessor.std == [127.5] * 3


def check_schedule(cfg):
    last = cfg.param_scheduler[-1]
    by_epoch = cfg.train_cfg.type == 'EpochBasedTrainLoop'
    end = cfg.train_cfg.max_epochs if by_epoch else cfg.train_cfg.max_iters
    assert last.end == end
    assert all(milestone < end for milestone in last.get('milestones', []))
    assert (cfg.train_dataloader.sampler.type == 'InfiniteSampler') != by_epoch
    assert last.get('by_epoch', True) == cfg.log_processor.by_epoch == by_epoch
    assert cfg.default_hooks.checkpoint.by_epoch == by_epoch


def check_classes(dataset, num_classes):
    classes = (dataset.get('metainfo') or {}).get('classes')
    if classes:
        assert len(classes) == num_classes


def test_model_index_lists_every_config_once():
    index = load(ROOT / 'model-index.yml')
    models = []
    for path in index['Import']:
        metafile = load(ROOT / path)
        collections = {collection['Name'] for collection in metafile['Collections']}
        assert {model['In Collection'] for model in metafile['Models']} == collections
        models += metafile['Models']
    assert sorted(ROOT / model['Config'] for model in models) == sorted(PATHS)
    assert [model['Name'] for model in models] == [Path(model['Config']).stem for model in models]


def test_every_config_is_tested():
    assert len(PARAMETERS) == 14
    # Their work dirs have their names.
    assert len({path.name for path in PATHS}) == len(PATHS)
    scopes = {param.values[0].default_scope for param in CONFIGS}
    assert scopes == {'mmseg', 'mmdet', 'mmpretrain'}


@pytest.mark.parametrize('cfg', CONFIGS)
def test_all_settings_are_read(cfg):
    check_config(cfg)


@pytest.mark.parametrize('cfg', CONFIGS)
def test_mmdiff_is_imported_before_openmmlabs_models(cfg):
    """Without which, beside transformers 5, the packages' own tools do not run."""
    assert cfg.custom_imports.imports[0].startswith('mmdiff')


@of_scope('mmseg')
def test_segmentor_builds_and_its_parts_fit(cfg):
    with torch.device('meta'):
        model = build(cfg)
        crop = torch.zeros(2, 3, *cfg.model.data_preprocessor.size)
        levels = model.extract_feat(crop)
        logits = model.decode_head(levels)
        if model.with_auxiliary_head:
            model.auxiliary_head(levels)
    if isinstance(model.backbone, DiffusionBackbone):
        assert model.backbone.strides == tuple(cfg.model.neck.in_strides)
    assert logits.shape == (2, cfg.model.decode_head.num_classes, *levels[0].shape[-2:])
    neck = cfg.model.neck or {}
    # Patches of 14 pixels alone do not give these.
    if cfg.model.decode_head.type == 'UPerHead' and 14 not in neck.get('in_strides', ()):
        strides = neck.get('out_strides', (4, 8, 16, 32))
        assert [tuple(level.shape[-2:]) for level in levels] == [
            tuple(side // stride for side in crop.shape[-2:]) for stride in strides
        ]
    # The total, of one process or of four.
    assert cfg.auto_scale_lr.base_batch_size in [
        n * cfg.train_dataloader.batch_size for n in (1, 4)
    ]
    # Where mmseg.apis looks.
    assert cfg.test_pipeline == cfg.test_dataloader.dataset.pipeline
    check_classes(cfg.train_dataloader.dataset, cfg.model.decode_head.num_classes)
    check_input(cfg)
    check_schedule(cfg)


@of_scope('mmdet')
def test_detector_builds_and_its_parts_fit(cfg):
    pipeline = cfg.train_dataloader.dataset.pipeline
    size = next((t.crop_size for t in pipeline if 'crop_size' in t), (64, 64))
    strides = cfg.model.rpn_head.anchor_generator.strides
    roi_head = cfg.model.roi_head
    with torch.device('meta'):
        model = build(cfg)
        levels = model.extract_feat(torch.zeros(1, 3, *size))
        scores, _ = model.rpn_head(levels)
        regions = torch.zeros(5, roi_head.bbox_roi_extractor.out_channels, 7, 7)
        classes, _ = model.roi_head.bbox_head(regions)
        masks = model.roi_head.mask_head(torch.zeros(5, roi_head.mask_head.in_channels, 14, 14))
    assert [tuple(level.shape[-2:]) for level in levels] == [
        tuple(side // stride for side in size) for stride in strides
    ]
    assert len(scores) == len(strides)
    if isinstance(model.backbone, DiffusionBackbone) and 'in_strides' in cfg.model.neck:
        assert model.backbone.strides == tuple(cfg.model.neck.in_strides)
    for extractor in (roi_head.bbox_roi_extractor, roi_head.mask_roi_extractor):
        assert list(extractor.featmap_strides) == list(strides[:-1])
    num_classes = roi_head.bbox_head.num_classes
    assert classes.shape == (5, num_classes + 1)
    assert masks.shape == (5, num_classes, 28, 28)
    check_classes(cfg.train_dataloader.dataset, num_classes)
    for loader, evaluator in (
        ('val_dataloader', 'val_evaluator'),
        ('test_dataloader', 'test_evaluator'),
    ):
        dataset = cfg[loader].dataset
        assert cfg[evaluator].ann_file == f'{dataset.data_root}/{dataset.ann_file}'
    check_input(cfg)
    check_schedule(cfg)


@of_scope('mmpretrain', 'ImageClassifier')
def test_classifier_builds_and_its_parts_fit(cfg):
    pipeline = cfg.test_dataloader.dataset.pipeline
    sizes = [t.crop_size for t in pipeline if 'crop_size' in t]
    sizes += [t.scale[0] for t in pipeline if t.type == 'Resize']
    size = sizes[0] if sizes else get_architecture(cfg.model.backbone.arch).image_size
    own = cfg.model.backbone.type.startswith('mmdiff.') and 'backbone' not in cfg.model.backbone
    # MMPretrain's ResNet reads values as it is built.
    with torch.device('cpu' if 'ResNet' in str(cfg.model.backbone) else 'meta'):
        model = build(cfg)
        out = model(torch.zeros(2, 3, size, size), mode='tensor')
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert f'{trained / 1e6:.2f}M' == PARAMETERS.get(cfg.filename, f'{trained / 1e6:.2f}M')
    if model.head is None:
        maps = (out,) if torch.is_tensor(out[0]) else out
        assert [*map(len, map_names(model.backbone, maps))] == [*map(len, maps)]
        if own:
            channels = [[m.shape[1] for m in of_timestep] for of_timestep in maps]
            assert channels == [list(model.backbone.out_channels)] * len(model.backbone.timesteps)
    else:
        assert out.shape == (2, cfg.model.head.num_classes)
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            dataset = DATASETS.get(cfg[loader].dataset.type)
            classes = getattr(dataset, 'METAINFO', {}).get('classes')
            for count in (getattr(dataset, 'NUM_CLASSES', None), classes and len(classes)):
                assert count in (None, cfg.model.head.num_classes)
    if 'auto_scale_lr' in cfg:
        assert cfg.auto_scale_lr.base_batch_size == 4 * cfg.train_dataloader.batch_size
    check_input(cfg)
    check_schedule(cfg)


@of_scope('mmpretrain', 'mmdiff.DenoisingModel')
def test_diffusion_model_builds(cfg):
    with torch.device('meta'):
        model = build(cfg)
        size = model.arch.image_size
        losses = model(torch.zeros(2, 3, size, size), mode='loss')
    assert losses.keys() == {'loss_simple', 'loss_vlb'}
    preprocessor = cfg.model.data_preprocessor
    assert preprocessor.bgr_to_rgb
    assert preprocessor.mean == preprocessor.std == [127.5] * 3
    check_schedule(cfg)


@of_scope('mmpretrain', 'mmdiff.CleanFeatures')
def test_model_of_clean_features_builds(cfg):
    check_learner(cfg, part='backbone.unet.')


@of_scope('mmpretrain', 'mmdiff.FeatureDistillation')
def test_model_of_distillation_builds(cfg, monkeypatch):
    # MMPretrain's ResNet reads values as it is built.
    monkeypatch.setattr(torch, 'linspace', partial(torch.linspace, device='cpu'))
    check_learner(cfg, part='student.')


def check_learner(cfg, part):
    with torch.device('meta'):
        model = build(cfg)
        size = model.teacher.arch.image_size
        losses = model(torch.zeros(2, 3, size, size), mode='loss')
    assert len(losses) == sum(map(len, model.teacher.taps))
    hook = next(hook for hook in cfg.custom_hooks if hook.type == 'mmdiff.SavePartHook')
    assert f'{hook.part}.' == part
    assert any(key.startswith(part) for key in model.state_dict())
    assert cfg.val_evaluator == dict(type='mmdiff.FeatureError')
    assert cfg.model.data_preprocessor.bgr_to_rgb
    assert cfg.model.data_preprocessor.mean == cfg.model.data_preprocessor.std == [127.5] * 3
    check_schedule(cfg)


def configs_linked_in(page):
    return set(re.findall(r'\]\((?:\.\./)?configs/([^)]+\.py)\)', page.read_text()))


@pytest.mark.parametrize(
    'page', [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))], ids=lambda page: page.stem
)
def test_configs_that_the_docs_name_exist(page):
    assert all((ROOT / 'configs' / path).is_file() for path in configs_linked_in(page))


def test_every_config_on_the_papers_data_is_on_the_page_of_its_tables():
    data_sets = {
        'in1k', 'in1k-1pct', 'in1k-10pct', 'in50', 'aircraft', 'cars', 'cub', 'dogs', 'flowers',
        'nabirds', 'ade20k', 'coco',
    }  # fmt: skip
    of_the_paper = {
        str(path.relative_to(ROOT / 'configs'))
        for path in PATHS
        if path.stem.rsplit('_', 1)[-1] in data_sets
    }
    pages = (ROOT / 'docs/paper_tables.md', ROOT / 'docs/baselines.md')
    assert of_the_paper - set().union(*map(configs_linked_in, pages)) == set()


def test_parameters_of_whole_systems():
    """Of docs/paper_tables.md, table 8: the whole U-Net, and what is trained beside it."""
    page = (ROOT / 'docs/paper_tables.md').read_text()
    table = page.split('## Table 8')[1].split('## ')[0]
    rows = re.findall(r'\(\.\./configs/(\S+)\) \|[^|]*\| (\d+\.\dM)', table)
    assert len(rows) == 3
    with torch.device('meta'):
        unet = UNet(get_architecture('adm-256-uncond'))
        for path, count in rows:
            model = build(Config.fromfile(ROOT / 'configs' / path))
            parameters = list(unet.parameters())
            if not path.startswith('linear'):
                parameters += [p for p in model.parameters() if p.requires_grad]
            assert f'{sum(p.numel() for p in parameters) / 1e6:.1f}M' == count
