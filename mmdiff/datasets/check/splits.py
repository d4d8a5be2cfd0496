"""Whether splits that are compared with each other can be."""

from collections.abc import Sequence

import numpy as np

from .report import Faults, SplitCheck


def check_same_classes(names: dict[str, Sequence[str] | None], faults: Faults) -> None:
    """Compare the lists of classes of splits side by side.

    A class is a number to a model. Where a split has another list, the same
    number is another class there.

    Args:
        names (dict[str, Sequence[str]]): The classes of each split, in the
            order of their numbers; None or empty where they are not known.
        faults (Faults): Gets what is wrong.
    """
    known = {split: list(classes) for split, classes in names.items() if classes}
    first, *others = known or [None]
    for other in others:
        if known[first] == known[other]:
            continue
        only = [[name for name in known[a] if name not in known[b]]
                for a, b in ((first, other), (other, first))]  # fmt: skip
        what = (
            f'only {first} has {_listed(only[0])}, and only {other} has {_listed(only[1])}'
            if any(only)
            else f'{_listed(known[first])} in {first}, and {_listed(known[other])} in {other}'
        )
        faults.error(
            f'classes {other}',
            f'the classes of {first} and {other} differ, so that a number is one class here and '
            f'another there: {what}. Names and order must be the same, in upper and lower case too',
        )


def check_between(splits: Sequence[SplitCheck], faults: Faults) -> None:
    """Compare splits with each other, and each with its classes.

    Args:
        splits (Sequence[SplitCheck]): What was found in each, the training
            split first, where there is one.
        faults (Faults): Gets what is wrong.
    """
    check_same_classes({s.name: s.folders or s.classes for s in splits}, faults)
    for split in splits:
        if split.whole and split.counts.any() and not split.faults.errors:
            missing = np.flatnonzero(split.counts == 0)
            if missing.size:
                split.faults.warning(
                    'missing',
                    f'no {split.unit} of {_listed([split.class_name(c) for c in missing])}',
                )
    train = next((split for split in splits if split.name == 'train'), None)
    for other in splits if train else ():
        both = sorted(train.paths & other.paths)
        if other is not train and both:
            faults.warning(
                f'both {other.name}',
                f'{both[0]} is in train and in {other.name}'
                + (f' (and {len(both) - 1} more)' if len(both) > 1 else ''),
            )


def _listed(names: Sequence[str], most: int = 8) -> str:
    return (', '.join(names[:most]) + (', ...' if len(names) > most else '')) or 'none'
