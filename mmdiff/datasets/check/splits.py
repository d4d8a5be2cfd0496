"""Whether splits that are compared with each other can be."""

from collections.abc import Sequence

import numpy as np

from .report import Faults, SplitCheck


def class_lists(dataset) -> dict[str, list[str]]:
    """The classes of a data set, in the order of their numbers.

    Args:
        dataset (BaseDataset): The data set.

    Returns:
        dict[str, list[str]]: ``names`` of ``metainfo``, and the class
        ``folders`` that gave the numbers; each empty where there are none.
    """
    return {
        'folders': list(getattr(dataset, 'folder_to_idx', ())),
        'names': list(dataset.metainfo.get('classes') or ()),
    }


def check_same_classes(lists: dict[str, dict[str, list[str]]], faults: Faults) -> None:
    """Compare the lists of classes of splits side by side.

    A class is a number to a model. Where a split has another list, the same
    number is another class there.

    Args:
        lists (dict[str, dict]): :func:`class_lists` of each split, with which
            those of the first are compared.
        faults (Faults): Gets what is wrong.
    """
    first, *others = lists or [None]
    for other in others:
        # Names may be given, while the folders decide.
        for key in ('folders', 'names'):
            here, there = lists[first].get(key), lists[other].get(key)
            if here and there and here != there:
                faults.error(f'classes {other}', _difference(first, here, other, there))
                break


def _difference(first, here, other, there):
    only_here, only_there = (
        [name for name in a if name not in b] for a, b in ((here, there), (there, here))
    )
    what = f'{_listed(here)} in {first}, {_listed(there)} in {other}'
    if only_here or only_there:
        what = f'only {first} has {_listed(only_here)}, only {other} has {_listed(only_there)}'
    return (
        f'the classes of {first} and {other} differ, so that a number is one class here and '
        f'another there: {what}. Give both the same names in the same order, in upper and lower '
        'case too; a split without images of a class needs a list of its images (ann_file)'
    )


def check_between(splits: Sequence[SplitCheck], faults: Faults) -> None:
    """Compare splits with each other, and each with its classes.

    Args:
        splits (Sequence[SplitCheck]): What was found in each.
        faults (Faults): Gets what is wrong.
    """
    check_same_classes({s.name: s.class_lists for s in splits}, faults)
    for split in splits:
        if split.whole and split.counts.any() and not split.faults.errors:
            missing = np.flatnonzero(split.counts == 0)
            if missing.size:
                split.faults.warning(
                    'missing',
                    f'no {split.unit} of {_listed([split.class_name(c) for c in missing])}',
                )
    training = {path for split in splits if _of_training(split) for path in split.paths}
    for other in splits:
        both = sorted(training & other.paths)
        if both and not _of_training(other):
            faults.warning(
                f'both {other.name}',
                f'{both[0]} is in train and in {other.name}'
                + (f' (and {len(both) - 1} more)' if len(both) > 1 else ''),
            )


def _of_training(split):
    return split.name.split('.')[0] == 'train'


def _listed(names: Sequence[str], most: int = 8) -> str:
    return (', '.join(names[:most]) + (', ...' if len(names) > most else '')) or 'none'
