"""What a check of labelled data found: faults, counts, and the table that shows them."""

from dataclasses import dataclass, field

import numpy as np

# A longer table is no table; the classes without any label are named besides.
MOST_ROWS = 40


class Faults:
    """What is wrong: one line for each kind of fault, with the first file that has it."""

    def __init__(self):
        self._texts: dict[tuple[bool, str], list[str]] = {}

    def error(self, kind: str, text: str) -> None:
        """Note what makes a run or its score wrong.

        Args:
            kind (str): What others of its kind have too.
            text (str): Names the file, what was found, what was expected and
                what to do.
        """
        self._texts.setdefault((True, kind), []).append(text)

    def warning(self, kind: str, text: str) -> None:
        """Note what may be meant.

        Args:
            kind (str): As of :meth:`error`.
            text (str): As of :meth:`error`.
        """
        self._texts.setdefault((False, kind), []).append(text)

    def add(self, others: 'Faults') -> None:
        """Note what others have noted.

        Args:
            others (Faults): Of one file, say.
        """
        for key, texts in others._texts.items():
            self._texts.setdefault(key, []).extend(texts)

    @property
    def errors(self) -> list[str]:
        """A line for each kind of error."""
        return self._lines(True)

    @property
    def warnings(self) -> list[str]:
        """A line for each kind of warning."""
        return self._lines(False)

    def _lines(self, wanted):
        return [
            texts[0] + (f' (and {len(texts) - 1} more like it)' if len(texts) > 1 else '')
            for (is_error, _), texts in self._texts.items()
            if is_error == wanted
        ]


@dataclass
class SplitCheck:
    """A split, and what was found in it.

    Args:
        name (str): Such as ``'train'``.
        num_images (int): Images in it.
        unit (str): What of the classes is counted: ``'pixels'``,
            ``'instances'`` or ``'images'``; empty without labels.
        class_lists (dict[str, list[str]]): As of
            :func:`mmdiff.datasets.check.class_lists`.
        counts (ndarray): Of each class, shape (num_classes, ).
        whole (bool): Whether everything was looked at, or a sample.
        paths (set[str]): Files of the images, where everything was looked at.
        faults (Faults): What is wrong.
    """

    name: str
    num_images: int = 0
    unit: str = ''
    class_lists: dict[str, list[str]] = field(default_factory=dict)
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    whole: bool = True
    paths: set[str] = field(default_factory=set)
    faults: Faults = field(default_factory=Faults)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of their numbers."""
        return self.class_lists.get('names', [])

    def class_name(self, number: int) -> str:
        """What messages call a class."""
        return f'{number} ({self.classes[number]})' if number < len(self.classes) else str(number)


@dataclass
class Report:
    """What was found in the splits of a data set.

    Args:
        splits (list[SplitCheck]): The splits.
        faults (Faults): What is wrong between them, or with the config.
    """

    splits: list[SplitCheck]
    faults: Faults

    @property
    def errors(self) -> list[str]:
        """All errors, each with its split."""
        return self._lines('errors')

    @property
    def warnings(self) -> list[str]:
        """All warnings, each with its split."""
        return self._lines('warnings')

    def _lines(self, kind):
        found = [f'{s.name}: {line}' for s in self.splits for line in getattr(s.faults, kind)]
        return found + getattr(self.faults, kind)

    def __str__(self):
        lines = [f'{split.name}: {split.num_images} images' for split in self.splits]
        counted = [split for split in self.splits if split.counts.size]
        if counted:
            lines += ['', *_table(counted)]
        lines += [f'warning: {line}' for line in self.warnings]
        lines += [f'error: {line}' for line in self.errors]
        lines.append(f'{len(self.errors)} errors, {len(self.warnings)} warnings')
        return '\n'.join(lines)


def _table(splits):
    rows = [['', *(f'{split.name} ({split.unit})' for split in splits)]]
    for number in range(min(MOST_ROWS, max(split.counts.size for split in splits))):
        cells = [_cell(split, number) for split in splits]
        rows.append([splits[0].class_name(number), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield '  '.join([row[0].ljust(widths[0]), *cells])
    if max(split.counts.size for split in splits) > MOST_ROWS:
        yield '...'


def _cell(split, number):
    if number >= split.counts.size:
        return '-'
    count = split.counts[number]
    return (
        f'{100 * count / max(split.counts.sum(), 1):.2f} %'
        if split.unit == 'pixels'
        else str(count)
    )
