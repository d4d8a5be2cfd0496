"""Draw the accuracy of classification heads over their number of parameters (paper, figure 9).

Reads the work dirs of runs of tools/train.py that are at their end, such as those of the configs in
configs/imagenet-50. Writes OUT/heads.csv and OUT/heads.png, with a line for each kind of head.
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmdiff.engine.cli import load_config
from mmdiff.utils import read_scalars
from mmdiff.visualization import draw_curves


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument('work_dirs', type=Path, nargs='+', help='work dirs of the runs')
    parser.add_argument(
        '--key', default='accuracy/top1', help='the score that is drawn (default: %(default)s)'
    )
    return parser.parse_args()


class HeadResult(NamedTuple):
    run: str
    kind: str
    parameters: int
    score: float


def read_result(work_dir: Path, key: str) -> HeadResult:
    """The head of a run, and its score at the end."""
    configs = sorted(work_dir.glob('*/vis_data/config.py'))
    if not configs:
        raise SystemExit(f'{work_dir} has no */vis_data/config.py: it is no work dir of a run')
    cfg = load_config(configs[-1])
    head = cfg.model.get('head')
    if head is None:
        raise SystemExit(f'{work_dir}: its config has no model.head')
    score = final_score(work_dir, cfg, key)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        parameters = sum(p.numel() for p in MODELS.build(head).parameters())
    kind = head.type.split('.')[-1].removesuffix('Head')
    return HeadResult(work_dir.name, kind, parameters, score)


def final_score(work_dir: Path, cfg: Config, key: str) -> float:
    scalars = read_scalars(work_dir)
    if key not in scalars:
        raise SystemExit(f'{work_dir} logged no {key}, but {", ".join(scalars)}')
    last = max(scalars[key])
    end = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.max_iters
    if last < end:
        raise SystemExit(
            f'{work_dir} has {key} up to {last} of {end}: train it to its end (--resume)'
        )
    return scalars[key][last]


def main():
    args = parse_args()
    results = [read_result(work_dir, args.key) for work_dir in args.work_dirs]
    results.sort(key=lambda result: (result.kind, result.parameters))
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / 'heads.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['run', 'head', 'parameters', args.key])
        writer.writerows((*result[:3], f'{result.score:.2f}') for result in results)
    lines = {}
    for result in results:
        lines.setdefault(result.kind, []).append((result.parameters / 1e6, result.score))
    draw_curves(args.out / 'heads.png', {args.key: lines}, x_label='parameters of the head (M)')
    print(f'Wrote {args.out}/heads.csv and heads.png')


if __name__ == '__main__':
    main()
