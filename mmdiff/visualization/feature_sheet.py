"""A sheet of pictures: what a segmentor sees, is told, answers, and its features."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw_feature_sheet(
    path: str | Path,
    rows: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    row_titles: Sequence[str] = (),
) -> None:
    """Draw images in a grid and save it.

    Args:
        path (str | Path): PNG file to write.
        rows (Sequence[Sequence[np.ndarray]]): For each row an image for each
            title, of any size; (H, W, 3), uint8 or float in [0, 1].
        titles (Sequence[str]): Title of each column.
        row_titles (Sequence[str]): Title of each row. Defaults to none.
    """
    figure = Figure(figsize=(1.6 * len(titles), 1.6 * len(rows) + 0.4), layout='constrained')
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for axes, images in zip(grid, rows, strict=True):
        for axis, image in zip(axes, images, strict=True):
            axis.imshow(image, interpolation='nearest')
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    for axis, title in zip(grid[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    for axis, title in zip(grid[:, 0], row_titles, strict=False):
        axis.set_ylabel(title, fontsize=9)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
