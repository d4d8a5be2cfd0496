"""Tables as pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw_heat_maps(
    path: str | Path,
    tables: Sequence[np.ndarray],
    titles: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
    digits: int = 1,
) -> None:
    """Draw tables of the same rows and columns side by side, with their values, and save them.

    Args:
        path (str | Path): PNG file to write.
        tables (Sequence[ndarray]): Each of shape (len(rows), len(columns)).
        titles (Sequence[str]): Title of each table.
        rows (Sequence[str]): Names of the rows.
        columns (Sequence[str]): Names of the columns.
        digits (int): Decimals of the values. Defaults to 1.
    """
    size = (0.6 * len(columns) * len(tables) + 1.5, 0.35 * len(rows) + 1.2)
    figure = Figure(figsize=size, layout='constrained')
    grid = figure.subplots(1, len(tables), squeeze=False, sharey=True)[0]
    low, high = min(map(np.min, tables)), max(map(np.max, tables))
    for axes, table, title in zip(grid, tables, titles, strict=True):
        axes.imshow(table, aspect='auto', vmin=low, vmax=high)
        axes.set_title(title, fontsize=9)
        axes.set_xticks(range(len(columns)), columns, fontsize=8, rotation=90)
        axes.set_yticks(range(len(rows)), rows, fontsize=8)
        for (i, j), value in np.ndenumerate(table):
            dark = value < (low + high) / 2
            axes.text(
                j, i, f'{value:.{digits}f}', ha='center', va='center', fontsize=6,
                color='white' if dark else 'black',
            )  # fmt: skip
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
