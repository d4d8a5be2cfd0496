"""Compute the features of a frozen backbone once, for any head to be trained on.

For each split of a classifier's config (and, where the pipeline flips, for each image and its
mirror image) the maps of all blocks and timesteps are written to OUT/{train,val,test}. Then
`tools/train.py CONFIG --feature-cache OUT` trains on them. Safe to kill and to run again: it goes
on where it was. Images that cannot be read are left out and named at the end, with exit status 1.
"""

import argparse
from pathlib import Path

import torch
from mmengine.dataset import default_collate
from mmengine.device import get_device
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import load_checkpoint, set_random_seed
from torch.utils.data import DataLoader
from tqdm import tqdm

from mmdiff.engine.cli import add_cfg_options, check_data, load_config
from mmdiff.models import DiffusionBackbone
from mmdiff.utils import keep_freed_memory


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help="a classifier's config with a frozen backbone")
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument('--batch-size', type=int, default=32, help='default: %(default)s')
    parser.add_argument('--num-workers', type=int, default=1, help='default: %(default)s')
    parser.add_argument(
        '--pool',
        type=int,
        help='store maps pooled to POOL x POOL, for tools/knn.py and for heads of that pool_size '
        '(default: whole maps)',
    )
    parser.add_argument(
        '--dtype',
        choices=['float32', 'float16'],
        default='float32',
        help='type of the stored values; float16 halves the size (default: %(default)s)',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def build_model(cfg, data_preprocessor) -> torch.nn.Module:
    """The config's model as a training run starts with it, in evaluation."""
    init_default_scope(cfg.default_scope)
    seed = cfg.get('randomness', {}).get('seed')
    if seed is not None:
        set_random_seed(seed)
    cfg.model.setdefault('data_preprocessor', data_preprocessor)
    model = MODELS.build(cfg.model)
    model.init_weights()
    if cfg.get('load_from'):
        load_checkpoint(model, cfg.load_from, map_location='cpu')
    return model.to(get_device()).eval()


@torch.no_grad()
def main():
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    check_data(cfg, 'train', 'val', 'test')
    # Not before: it needs MMPretrain, which load_config has looked for.
    from mmdiff.classification.feature_cache import (
        SPLITS,
        check_frozen,
        data_preprocessor,
        flatten,
        images_digest,
        map_names,
        pool_maps,
        split_settings,
        weights_digest,
    )
    from mmdiff.classification.feature_store import FeatureStore
    from mmdiff.classification.readable_images import (
        ReadableImages,
        collate_readable,
        first_readable,
    )
    from mmdiff.datasets.check import Faults, check_same_classes, class_lists

    if not torch.cuda.is_available():
        keep_freed_memory()
    splits = {split: split_settings(cfg, split) for split in SPLITS}
    model = build_model(cfg, data_preprocessor(cfg))
    check_frozen(model.backbone)
    weights = weights_digest(model.backbone)
    if isinstance(model.backbone, DiffusionBackbone):
        model.backbone.prepare_for_inference()

    def features_of(samples):
        images = model.data_preprocessor(samples, False)['inputs']
        return images, maps_of(images)

    def maps_of(images):
        features = model.backbone(images)
        features = (features,) if torch.is_tensor(features[0]) else features
        return pool_maps(features, args.pool) if args.pool is not None else features

    datasets = {split: DATASETS.build(dataset) for split, (_, dataset, _) in splits.items()}
    between = Faults()
    check_same_classes({split: class_lists(data) for split, data in datasets.items()}, between)
    if between.errors:
        raise SystemExit('\n'.join(between.errors))
    # All stores before the first feature, so that one that does not fit is refused at once.
    stores, made_with = {}, {}
    for split, (settings, _, flip_prob) in splits.items():
        dataset = datasets[split]
        _, features = features_of(default_collate([first_readable(dataset)]))
        settings = {
            **settings,
            'classes': class_lists(dataset),
            'maps': map_names(model.backbone, features),
            'images': images_digest(dataset),
            'weights': weights,
            'pool': args.pool,
        }
        # Where there are no labels of test images, val and test are often the same.
        twin = next((s for s, made in made_with.items() if made == (settings, flip_prob)), None)
        if twin and not (args.out / split).exists():
            (args.out / split).symlink_to(twin, target_is_directory=True)
        made_with[split] = settings, flip_prob
        store = FeatureStore.create(
            args.out / split,
            settings,
            shapes=[[m.shape[1:] for m in maps] for maps in features],
            labels=dataset.get_gt_labels(),
            num_views=2 if flip_prob else 1,
            dtype=args.dtype,
        )
        stores[split] = store, dataset, flip_prob
    unreadable = {}
    for split, (store, dataset, flip_prob) in stores.items():
        missing = store.missing()
        loader = DataLoader(
            ReadableImages(dataset, missing),
            args.batch_size,
            num_workers=args.num_workers,
            collate_fn=collate_readable,
        )
        with tqdm(total=len(store), initial=len(store) - len(missing), desc=split) as bar:
            for indices, samples, errors in loader:
                unreadable |= dict.fromkeys(errors)
                bar.update(len(indices) + len(errors))
                if not indices:
                    continue
                images, features = features_of(samples)
                views = [flatten(features)]
                if flip_prob:
                    views.append(flatten(maps_of(images.flip(-1))))
                store.write(indices, torch.stack(views, dim=1).cpu().numpy())
    if unreadable:
        raise SystemExit(
            f'Cached all but {len(unreadable)} images, which could not be read. Run this again if '
            'they only could not be reached; otherwise mend them or take them out, and remove the '
            'cache, which is of the files as they are:\n' + '\n'.join(unreadable)
        )
    print(f'Cached {", ".join(SPLITS)} in {args.out}')


if __name__ == '__main__':
    main()
