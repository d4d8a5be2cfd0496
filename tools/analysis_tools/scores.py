"""The scores.csv of compare_runs.py: what is in it, and its lines in a figure."""

import csv
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ('row', 'labels', 'seed')


@dataclass(frozen=True)
class Scores:
    """What a scores.csv has.

    Attributes:
        key (str): The name of the score.
        values (dict[str, dict[str, list[float]]]): The values of all seeds, by
            row and number of labels. Shares, as detectors log them, are in
            per cent.
    """

    key: str
    values: dict[str, dict[str, list[float]]]

    @classmethod
    def read(cls, path: Path) -> 'Scores':
        """Read a file.

        Args:
            path (Path): The scores.csv.

        Raises:
            SystemExit: If it is not there, is none of compare_runs.py, or has
                no scores yet.
        """
        if not path.is_file():
            raise SystemExit(f'scores: there is no file {path}')
        with path.open(newline='') as file:
            header, *rows = [*csv.reader(file)] or [[]]
        if tuple(header[:-1]) != COLUMNS:
            raise SystemExit(
                f'{path} must be a scores.csv of compare_runs.py, with the columns '
                f'{", ".join(COLUMNS)} and the score, got {", ".join(header)}'
            )
        if not rows:
            raise SystemExit(f'{path} has no scores yet')
        key = header[-1]
        factor = 100 if key.startswith('coco/') else 1
        values = {}
        for row, labels, _, value in rows:
            values.setdefault(row, {}).setdefault(labels, []).append(float(value) * factor)
        return cls(key, values)

    def lines(self) -> dict[str, list[tuple[str, list[float]]]]:
        """For each row, the numbers of labels from low to high, and the values."""
        return {
            row: sorted(of_labels.items(), key=lambda item: float(item[0].replace('all', 'inf')))
            for row, of_labels in self.values.items()
        }
