"""Lines as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw_curves(
    path: str | Path,
    curves: Mapping[str, Mapping[str, Sequence[tuple[float | str, float | Sequence[float]]]]],
    log: bool = False,
    x_label: str | None = 'iteration',
) -> None:
    """Draw lines in axes side by side, and save them.

    Args:
        path (str | Path): PNG file to write.
        curves (Mapping): For each axes' title, the lines by name; a line is a
            sequence of (iteration, value), or (name, value), whose names
            stand side by side. Of several values, such as those of seeds, the
            line is the mean, in a band from the lowest to the highest.
        log (bool): Whether the y axes are logarithmic. Defaults to False.
        x_label (str, optional): What the x axes are; None where names
            say it. Defaults to ``'iteration'``.
    """
    legends = sum(len(lines) > 1 for lines in curves.values())
    figure = Figure(figsize=(4.5 * len(curves) + 2 * legends, 3), layout='constrained')
    grid = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (title, lines) in zip(grid, curves.items(), strict=True):
        for name, points in lines.items():
            xs = [x for x, _ in points]
            values = [np.atleast_1d(value) for _, value in points]
            means = [of.mean() for of in values]
            (line,) = axes.plot(xs, means, label=name, marker='.' if len(points) < 20 else '')
            if any(len(of) > 1 for of in values):
                low, high = ([bound(of) for of in values] for bound in (min, max))
                axes.fill_between(xs, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(x_label)
        if x_label is None:
            axes.tick_params(axis='x', labelrotation=90)
        axes.grid(alpha=0.3)
        if log:
            axes.set_yscale('log')
        if len(lines) > 1:
            # Beside the axes, as lines may be anywhere in them.
            axes.legend(fontsize=8, loc='upper left', bbox_to_anchor=(1, 1))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
