"""Training heads on cached features of a frozen backbone: the data set, the model, the settings."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmdiff.registry import DATASETS, MODELS
from mmdiff.utils import weights_digest

from .feature_store import FeatureStore, FeatureStoreError, check_classes, check_same

SPLITS = ('train', 'val', 'test')
# What gives the same result for the same image, whatever the random state.
DETERMINISTIC = (
    'LoadImageFromFile',
    'Resize',
    'ResizeEdge',
    'ResizeShortEdge',
    'CenterCrop',
    'PackInputs',
)
# What of a data preprocessor's config concerns labels, not images.
LABELS = ('num_classes', 'to_onehot')
# What of a store's settings is not in a config, and is checked where it matters.
NOT_IN_CONFIG = ('weights', 'pool', 'maps', 'classes')
# What of a backbone's config does not change its features in evaluation.
NO_EFFECT = ('noise', 'frozen', 'with_cp', 'batch_timesteps', 'init_cfg')


def flatten(features: Sequence[Sequence[Tensor]]) -> Tensor:
    """Rows of shape (N, row_length) of the maps of each timestep's blocks."""
    return torch.cat([feature.flatten(1) for maps in features for feature in maps], dim=1)


def unflatten(rows: Tensor, shapes: Sequence[Sequence[Sequence[int]]]) -> tuple:
    """The maps of each timestep's blocks, out of rows of shape (N, row_length)."""
    sizes = [int(np.prod(shape)) for blocks in shapes for shape in blocks]
    parts = iter(rows.split(sizes, dim=1))
    return tuple(
        tuple(next(parts).unflatten(1, tuple(shape)) for shape in blocks) for blocks in shapes
    )


def pool_maps(features: Sequence[Sequence[Tensor]], size: int) -> list[list[Tensor]]:
    """Average maps to ``size`` x ``size`` cells.

    Args:
        features (Sequence): For each timestep, the maps of its blocks.
        size (int): Side of the pooled maps.

    Returns:
        list[list[Tensor]]: The pooled maps.

    Raises:
        ValueError: If it does not divide a map's sides.
    """
    # So that pooling further is pooling the maps.
    for feature in (feature for maps in features for feature in maps):
        if size < 1 or any(side % size for side in feature.shape[2:]):
            raise ValueError(
                f'maps can be pooled to a side that divides theirs, {feature.shape[2]}x'
                f'{feature.shape[3]}, got {size}'
            )
    return [[F.adaptive_avg_pool2d(feature, size) for feature in maps] for maps in features]


def map_names(backbone: nn.Module, shapes: Sequence[Sequence]) -> list[list[str]]:
    """What the maps of a backbone are called.

    Args:
        backbone (nn.Module): The backbone.
        shapes (Sequence[Sequence]): For each timestep, an entry for each map.

    Returns:
        list[list[str]]: For each timestep, ``'t=90 b=24'`` and the like;
        ``'t=90 map 1'``, counted, where the backbone knows no blocks; or
        ``'map 1'``, where it knows no timesteps either.
    """
    if hasattr(backbone, 'taps'):
        return [[f't={t} b={b}' for t, b in taps] for taps in backbone.taps]
    names = [f'map {number}' for number, _ in enumerate(shapes[0], start=1)]
    if not hasattr(backbone, 'timesteps'):
        return [names]
    return [[f't={t} {name}' for name in names] for t in backbone.timesteps]


def data_preprocessor(cfg: Config) -> dict:
    """The config of the data preprocessor, as MMEngine's runner finds it."""
    found = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or ConfigDict()
    return found.to_dict()


def split_settings(cfg: Config, split: str) -> tuple[dict, ConfigDict, float]:
    """What the cached features of a split depend on, but for the weights.

    Args:
        cfg (Config): A classifier's config.
        split (str): ``'train'``, ``'val'`` or ``'test'``.

    Returns:
        tuple[dict, ConfigDict, float]: The settings; the data set's config
        without flips; and the probability of a flip that it had.

    Raises:
        ValueError: If the features are not the same at every epoch.
    """
    backbone = cfg.model.backbone
    for part in (backbone, *(branch.backbone for branch in backbone.get('branches', ()))):
        if part.type.endswith('DifFeedBackbone'):
            raise ValueError('a feature cache cannot hold the features of DifFeed: it is trained')
        if part.get('timestep') == 'learned':
            raise ValueError(
                "a feature cache cannot hold the features at model.backbone.timestep='learned': "
                'it is trained, and they change with it'
            )
        if part.get('eval_noise', 'fixed') == 'random':
            raise ValueError(
                "a feature cache needs model.backbone.eval_noise of 'fixed', 'none' or 'clean'"
            )
    preprocessor = data_preprocessor(cfg)
    if preprocessor.get('batch_augments') or cfg.model.get('train_cfg'):
        raise ValueError(
            'a feature cache cannot mix images before the backbone: data_preprocessor.'
            'batch_augments and model.train_cfg must not be set'
        )
    dataset = cfg[f'{split}_dataloader'].dataset.copy()
    if 'pipeline' not in dataset:
        raise ValueError(
            f'a feature cache needs a {split} data set with a pipeline, got {dataset.type}'
        )
    flips = [t for t in dataset.pipeline if t.type == 'RandomFlip']
    # A flip before a crop may move the crop by a pixel; the cache flips the finished image.
    if flips and (
        flips != dataset.pipeline[-2:-1] or flips[0].get('direction', 'horizontal') != 'horizontal'
    ):
        raise ValueError(
            f'a feature cache needs RandomFlip to be horizontal and right before PackInputs in the '
            f'{split} pipeline, got {[dict(t) for t in dataset.pipeline]}'
        )
    dataset.pipeline = [t for t in dataset.pipeline if t.type != 'RandomFlip']
    random = [t.type for t in dataset.pipeline if t.type.split('.')[-1] not in DETERMINISTIC]
    random += [
        f'{t.type} with scale={t.scale}'
        for t in dataset.pipeline
        if t.type.endswith('ResizeShortEdge') and isinstance(t.scale, Sequence)
    ]
    if random:
        raise ValueError(
            f'a feature cache needs the same image at every epoch: the {split} pipeline may hold '
            f'RandomFlip and {", ".join(DETERMINISTIC)}, got {", ".join(random)}'
        )
    settings = {
        'backbone': {k: v for k, v in backbone.to_dict().items() if k not in NO_EFFECT},
        'data_preprocessor': {k: v for k, v in preprocessor.items() if k not in LABELS},
        'pipeline': [t.to_dict() for t in dataset.pipeline],
    }
    return settings, dataset, flips[0].prob if flips else 0.0


def check_frozen(backbone: nn.Module) -> None:
    """Refuse a backbone that training would change.

    Args:
        backbone (nn.Module): The backbone.

    Raises:
        ValueError: If one of its parameters is trained.
    """
    trained = [name for name, p in backbone.named_parameters() if p.requires_grad]
    if trained:
        raise ValueError(
            "a feature cache needs a frozen backbone (frozen='all', or frozen_stages), but "
            f'{len(trained)} of its parameters are trained, such as {trained[0]}'
        )


def images_digest(dataset) -> str:
    """SHA-256 of the paths below the data root, file sizes and labels of images, in order."""
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        path = os.path.relpath(info['img_path'], dataset.data_root or os.curdir)
        size = os.path.getsize(info['img_path'])
        digest.update(json.dumps([path, size, int(info['gt_label'])]).encode())
    return digest.hexdigest()


@DATASETS.register_module()
class CachedFeatures(torch.utils.data.Dataset):
    """The features that ``tools/cache_features.py`` wrote, in place of a data set's images.

    Args:
        folder (str): The feature store.
        dataset (dict): Config of the data set whose images the features are
            of, without flips.
        settings (dict): What the features must have been made with.
        flip_prob (float): Probability of the flipped view. Defaults to 0.

    Raises:
        FeatureStoreError: If the store is missing, incomplete, or made with
            other settings or of other images.
    """

    def __init__(self, folder: str, dataset: dict, settings: dict, flip_prob: float = 0.0):
        self.store = FeatureStore(folder)
        images = ROOT_DATASETS.build(dataset)
        found = {k: v for k, v in self.store.settings.items() if k not in NOT_IN_CONFIG}
        check_same(folder, found, {**settings, 'images': images_digest(images)})
        self.store.check_complete()
        if flip_prob and self.store.num_views < 2:
            raise FeatureStoreError(f'{folder} has no flipped views, but the pipeline flips')
        self.metainfo = images.metainfo
        self.flip_prob = flip_prob

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> dict:
        view = int(self.flip_prob > 0 and np.random.random() < self.flip_prob)
        sample = DataSample().set_gt_label(int(self.store.labels[index]))
        return {'inputs': torch.from_numpy(self.store.read(index, view)), 'data_samples': sample}


@MODELS.register_module()
class CachedFeatureClassifier(ImageClassifier):
    """MMPretrain's ``ImageClassifier`` that takes cached features in place of images.

    It keeps the backbone, though it never runs, so that its checkpoints are
    those of the classifier on images.

    Args:
        feature_cache (str): The feature store of the training split.
        kwargs: Arguments of ``ImageClassifier``.

    Raises:
        ValueError: If the backbone is not frozen.
        FeatureStoreError: If the features were made with other weights than
            the backbone has, or are pooled otherwise than the head does.
    """

    def __init__(self, feature_cache: str, **kwargs):
        super().__init__(**kwargs)
        check_frozen(self.backbone)
        self.feature_cache = feature_cache
        self._shapes = None

    def extract_feat(self, inputs: Tensor, stage: str = 'neck'):
        """Features of the backbone, out of the cached rows (N, row_length)."""
        if self._shapes is None:
            store = FeatureStore(self.feature_cache)
            # Only now: a checkpoint may have been loaded after the model was built.
            if store.settings['weights'] != weights_digest(self.backbone):
                raise FeatureStoreError(
                    f'{self.feature_cache} was made with other weights of the backbone; what '
                    'decides them is backbone.init_cfg, load_from and, without either, '
                    'randomness.seed'
                )
            pool = store.settings['pool']
            if pool is not None and getattr(self.head, 'pool_size', None) != pool:
                raise FeatureStoreError(
                    f'{self.feature_cache} has maps pooled to {pool}x{pool}, for heads with '
                    f'pool_size={pool}, but this is a {type(self.head).__name__} with '
                    f'pool_size={getattr(self.head, "pool_size", None)}'
                )
            self._shapes = store.shapes
        features = unflatten(inputs, self._shapes)
        # A backbone of another package knows no timesteps.
        features = features[0] if getattr(self.backbone, 'single_timestep', True) else features
        if stage == 'backbone':
            return features
        if self.with_neck:
            features = self.neck(features)
        return self.head.pre_logits(features) if stage == 'pre_logits' else features


def use_feature_cache(cfg: Config, folder: str | Path) -> None:
    """Let a classifier's config train and test on cached features.

    Args:
        cfg (Config): The config, changed in place.
        folder (str | Path): What ``tools/cache_features.py`` wrote: a feature
            store for each split.

    Raises:
        ValueError: If the config's features are not the same at every epoch.
        FeatureStoreError: If the splits were made with different weights, or
            have different classes.
    """
    stores = [FeatureStore(Path(folder) / split) for split in SPLITS]
    if len({store.settings['weights'] for store in stores}) > 1:
        raise FeatureStoreError(f'the splits of {folder} were made with different weights')
    check_classes(stores)
    for split in SPLITS:
        settings, dataset, flip_prob = split_settings(cfg, split)
        loader = cfg[f'{split}_dataloader']
        loader.dataset = ConfigDict(
            type='mmdiff.CachedFeatures',
            folder=str(Path(folder) / split),
            dataset=dataset,
            settings=settings,
            flip_prob=flip_prob,
        )
        # Rows are read from memory: processes would cost more than they save.
        loader.update(
            num_workers=0, persistent_workers=False, collate_fn=dict(type='default_collate')
        )
    cfg.model.type = 'mmdiff.CachedFeatureClassifier'
    cfg.model.feature_cache = str(Path(folder) / 'train')
    # Features are not images to be normalised.
    labels = {k: v for k, v in data_preprocessor(cfg).items() if k in LABELS}
    cfg.model.data_preprocessor = dict(type='ClsDataPreprocessor', **labels)
