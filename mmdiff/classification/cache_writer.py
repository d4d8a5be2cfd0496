"""Writing the features of a frozen backbone to feature stores, in one process or several."""

from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import default_collate
from mmengine.dist import all_gather_object, get_dist_info, is_main_process
from mmengine.registry import DATASETS
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mmdiff.datasets.check import Faults, check_same_classes, class_lists
from mmdiff.engine import main_process_first
from mmdiff.utils import weights_digest

from .feature_cache import flatten, images_digest, map_names, pool_maps
from .feature_store import FeatureStore
from .readable_images import ReadableImages, collate_readable, first_readable


def open_stores(
    splits: dict[str, tuple], model: nn.Module, out: Path, pool: int | None, dtype: str
) -> dict[str, tuple[FeatureStore, Dataset]]:
    """Make the stores of a classifier's splits, or open those that are there to go on.

    Where there are no labels of test images, val and test are often the same:
    then one store serves both.

    Args:
        splits (dict[str, tuple]): For each split, what
            :func:`~mmdiff.classification.feature_cache.split_settings` gives
            before the model is built, which changes the config.
        model (nn.Module): The classifier, before its backbone is prepared for
            inference.
        out (Path): The folder of the stores.
        pool (int, optional): Side to which maps are pooled.
        dtype (str): Type of the stored values.

    Returns:
        dict[str, tuple[FeatureStore, Dataset]]: The stores by their splits,
        each with the images.

    Raises:
        FeatureStoreError: If one that is there was made with other settings.
        SystemExit: If the splits have different classes.
    """
    datasets = {split: DATASETS.build(dataset) for split, (_, dataset, _) in splits.items()}
    faults = Faults()
    check_same_classes({split: class_lists(data) for split, data in datasets.items()}, faults)
    if faults.errors:
        raise SystemExit('\n'.join(faults.errors))
    weights = weights_digest(model.backbone)
    # All before the first store, so that what does not fit is refused at once.
    wanted = {}
    for split, (settings, _, flip_prob) in splits.items():
        images = preprocessed(model, default_collate([first_readable(datasets[split])]))
        features = maps_of(model, images, pool)
        wanted[split] = dict(
            settings={
                **settings,
                'classes': class_lists(datasets[split]),
                'maps': map_names(model.backbone, features),
                'images': images_digest(datasets[split]),
                'weights': weights,
                'pool': pool,
            },
            shapes=[[m.shape[1:] for m in maps] for maps in features],
            labels=datasets[split].get_gt_labels(),
            num_views=2 if flip_prob else 1,
            dtype=dtype,
        )
    stores = {}
    with main_process_first():
        for split, of_split in wanted.items():
            twin = next((s for s in stores if _of_same_images(wanted[s], of_split)), None)
            folder = out / split
            if twin and not folder.exists():
                folder.symlink_to(twin, target_is_directory=True)
            if twin is None or not folder.samefile(out / twin):
                stores[split] = FeatureStore.create(folder, **of_split), datasets[split]
    return stores


def write_features(
    store: FeatureStore,
    dataset: Dataset,
    model: nn.Module,
    batch_size: int,
    num_workers: int,
    title: str,
    missing: np.ndarray,
) -> list[str]:
    """Write this process's share of the features that a store lacks, and wait for the others.

    The bytes do not depend on the number of processes, nor on which images
    were there: the last bits of an image's features depend on the size of its
    batch, so that it always is in the same one, at the same place.

    Args:
        store (FeatureStore): The store.
        dataset (Dataset): Its images.
        model (nn.Module): The classifier.
        batch_size (int): Images at once.
        num_workers (int): Processes that read images.
        title (str): Of the progress bar, which counts the images of all
            processes.
        missing (ndarray): Indices of the images to write, the same in all
            processes.

    Returns:
        list[str]: Why images cannot be read, those of all processes.
    """
    batch_size = min(batch_size, len(store))
    rank, world_size = get_dist_info()
    loader = DataLoader(
        ReadableImages(dataset),
        batch_sampler=batches_of(missing, len(store), batch_size)[rank::world_size],
        num_workers=num_workers,
        collate_fn=collate_readable,
    )
    wanted = np.zeros(len(store), bool)
    wanted[missing] = True
    unreadable = []
    with tqdm(
        total=len(store),
        initial=len(store) - len(missing),
        desc=title,
        unit='img',
        disable=not is_main_process(),
    ) as bar:
        for indices, samples, errors in loader:
            unreadable += [error for index, error in errors.items() if wanted[index]]
            new = wanted[indices]
            if new.any():
                indices = np.array(indices)
                images = in_places(preprocessed(model, samples), indices % batch_size, batch_size)
                rows = rows_of(store, model, images)[indices % batch_size]
                store.write(indices[new], rows[new])
            bar.update(len(store) - len(store.missing()) - bar.n)
        shares = all_gather_object(unreadable)
        bar.update(len(store) - len(store.missing()) - bar.n)
    return [error for share in shares for error in share]


def batches_of(missing: np.ndarray, num_images: int, batch_size: int) -> list[range]:
    """Whole batches of a data set, those with missing images.

    Args:
        missing (ndarray): Indices of images.
        num_images (int): Images of the data set.
        batch_size (int): Images of a batch.

    Returns:
        list[range]: Indices of the images of each batch.
    """
    return [
        range(number * batch_size, min((number + 1) * batch_size, num_images))
        for number in np.unique(missing // batch_size).tolist()
    ]


def preprocessed(model: nn.Module, samples: dict) -> Tensor:
    """The images of a batch as the backbone takes them, shape (N, 3, H, W)."""
    return model.data_preprocessor(samples, False)['inputs']


@torch.no_grad()
def maps_of(model: nn.Module, images: Tensor, pool: int | None) -> list[list[Tensor]]:
    """The maps of each timestep's blocks, pooled to ``pool`` x ``pool`` where it is given."""
    features = model.backbone(images)
    features = (features,) if torch.is_tensor(features[0]) else features
    return features if pool is None else pool_maps(features, pool)


def in_places(images: Tensor, places: np.ndarray, batch_size: int) -> Tensor:
    """A whole batch with images at their places, and the first of them at all others."""
    batch = images[:1].repeat(batch_size, 1, 1, 1)
    batch[places] = images
    return batch


def rows_of(store: FeatureStore, model: nn.Module, images: Tensor) -> np.ndarray:
    """The rows of a store, shape (N, num_views, row_length), for images."""
    views = [images, images.flip(-1)][: store.num_views]
    rows = [flatten(maps_of(model, view, store.settings['pool'])) for view in views]
    return torch.stack(rows, dim=1).cpu().numpy()


def _of_same_images(wanted, other):
    return all(wanted[key] == other[key] for key in ('settings', 'num_views'))
