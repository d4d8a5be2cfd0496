"""Lines as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter


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
    names = [list(lines) for lines in curves.values()]
    # Of neighbours with the same lines, the last one says what they are.
    legends = [
        len(here) > 1 and here != after for here, after in zip(names, [*names[1:], []], strict=True)
    ]
    # Wider ones are too small to read across a page.
    width = 4.5 if len(curves) < 3 else 3
    figure = Figure(figsize=(width * len(curves) + 2 * sum(legends), 3), layout='constrained')
    grid = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (title, lines), legend in zip(grid, curves.items(), legends, strict=True):
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
        elif not any(isinstance(x, str) for points in lines.values() for x, _ in points):
            # 300k: six digits run into each other.
            axes.xaxis.set_major_formatter(EngFormatter(sep=''))
        axes.grid(alpha=0.3)
        if log:
            axes.set_yscale('log')
        if legend:
            # Beside the axes, as lines may be anywhere in them.
            axes.legend(fontsize=8, loc='upper left', bbox_to_anchor=(1, 1))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
