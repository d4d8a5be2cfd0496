"""Quantise an exported segmentor to int8, and measure what that costs and saves on a CPU.

Weights and activations are quantised by NNCF, which looks at training images. The mIoU of all test
images and the milliseconds of one are printed for OpenVINO in float32, in bfloat16 and in int8.
FILE is what tools/export.py wrote of the config, with pixels as its input.
"""

import argparse
import statistics
from collections.abc import Callable
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData

from mmdiff.engine.cli import load_config


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file of the segmentor')
    parser.add_argument('file', type=Path, help='its file, .onnx or .xml')
    parser.add_argument('--out', type=Path, help='also write the int8 model, to an .xml file')
    parser.add_argument('--images', type=int, default=100, help='to calibrate on (default: 100)')
    parser.add_argument('--rounds', type=int, default=20, help='of one image (default: 20)')
    args = parser.parse_args()
    if not args.file.is_file():
        parser.error(f'there is no file {args.file}: write it with tools/export.py')
    return args


def pixels(inputs: torch.Tensor) -> np.ndarray:
    """RGB as uint8, of an image as MMSegmentation's data sets give it, BGR."""
    return inputs.flip(0)[None].numpy()


def compile_model(model, precision: str) -> Callable[[np.ndarray], np.ndarray]:
    import openvino

    compiled = openvino.Core().compile_model(model, 'CPU', {'INFERENCE_PRECISION_HINT': precision})
    return lambda image: compiled([image])[0]


def evaluate(predict: Callable, cfg, dataset) -> dict[str, float]:
    """The scores of the config's evaluator."""
    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    for item in dataset:
        sample = item['data_samples']
        labels = torch.from_numpy(predict(pixels(item['inputs']))).argmax(dim=1)
        sample.pred_sem_seg = PixelData(data=labels)
        evaluator.process([sample])
    return evaluator.evaluate(len(dataset))


def seconds_in_turns(
    models: dict[str, Callable], image: np.ndarray, rounds: int
) -> dict[str, float]:
    taken = {name: [] for name in models}
    # The first warms up.
    for number in range(rounds + 1):
        for name, predict in models.items():
            started = perf_counter()
            predict(image)
            if number:
                taken[name].append(perf_counter() - started)
    return {name: statistics.median(values) for name, values in taken.items()}


def main():
    args = parse_args()
    if missing := [name for name in ('openvino', 'nncf') if find_spec(name) is None]:
        raise SystemExit(
            f'{" and ".join(missing)} not installed: pip install -r requirements/bench.txt'
        )
    import nncf
    import openvino

    cfg = load_config(args.config)
    init_default_scope(cfg.default_scope)
    training, test = (
        Runner.build_dataloader(
            dict(cfg[f'{part}_dataloader'], num_workers=0, persistent_workers=False)
        ).dataset
        for part in ('train', 'test')
    )
    model = openvino.Core().read_model(args.file)
    images = (item['inputs'] for item in islice(training, args.images))
    quantized = nncf.quantize(model, nncf.Dataset(images, pixels), subset_size=args.images)
    if args.out:
        openvino.save_model(quantized, args.out, compress_to_fp16=False)
    models = {
        'float32': compile_model(model, 'f32'),
        'bfloat16': compile_model(model, 'bf16'),
        'int8': compile_model(quantized, 'f32'),
    }
    scores = {name: evaluate(predict, cfg, test) for name, predict in models.items()}
    taken = seconds_in_turns(models, pixels(test[0]['inputs']), args.rounds)
    print('| | mIoU | ms an image | |\n|---|---|---|---|')
    for name in models:
        print(
            f'| {name} | {scores[name]["mIoU"]:.2f} | {1000 * taken[name]:.1f} '
            f'| {taken["float32"] / taken[name]:.2f}x |'
        )


if __name__ == '__main__':
    main()
