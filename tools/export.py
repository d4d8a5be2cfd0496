"""Export a model to ONNX or OpenVINO, checked against PyTorch: docs/deployment.md."""

import argparse
import json
from pathlib import Path

from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import load_checkpoint

from mmdiff.engine.cli import add_cfg_options, check_checkpoint, load_config, open_checkpoint
from mmdiff.engine.pretrained import load_pretrained
from mmdiff.export import INPUTS, OUTPUTS, ExportError, export_model


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file of a segmentor, classifier or detector')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file that tools/train.py wrote (default: the weights that init_cfg names, '
        'where it does for all that is exported)',
    )
    parser.add_argument('out', type=Path, help='file to write: .onnx, or .xml for the OpenVINO IR')
    parser.add_argument(
        '--output',
        choices=OUTPUTS,
        help='logits of a segmentor or classifier, the levels of the neck, or the maps of the '
        'backbone (default: logits; neck for a detector, which has no logits to export)',
    )
    parser.add_argument(
        '--input',
        choices=INPUTS,
        default='pixels',
        help='RGB pixels from 0 to 255 as uint8, or float32 as the data preprocessor of the config '
        'makes them (default: %(default)s)',
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='of the images (default: what the diffusion model was trained on)',
    )
    parser.add_argument(
        '--dynamic-size',
        action='store_true',
        help="take any sides up to --size that are multiples of the backbone's total stride",
    )
    parser.add_argument(
        '--tolerance',
        type=float,
        default=1e-4,
        help="largest difference from PyTorch, in parts of an output's largest magnitude "
        '(default: %(default)s)',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def build(cfg, checkpoint, output):
    """The model, and the classes that its checkpoint or its data set names."""
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    if 'data_preprocessor' in cfg:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    if not checkpoint:
        exports_all = output != 'backbone' or not hasattr(model, 'backbone')
        part, name = (model, 'model') if exports_all else (model.backbone, 'model.backbone')
        load_pretrained(part, name)
        return model, classes_of(cfg)
    path, state_dict = open_checkpoint(checkpoint)
    check_checkpoint(model, state_dict, path)
    run = load_checkpoint(model, path, map_location='cpu')
    trained_on = run.get('meta', {}).get('dataset_meta') or {}
    return model, trained_on.get('classes') or classes_of(cfg)


def classes_of(cfg):
    """The classes that the config names, in its test data or their class."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset', {})
    known = getattr(DATASETS.get(dataset.get('type', '')), 'METAINFO', {})
    return {**known, **(dataset.get('metainfo') or {})}.get('classes')


def main():
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    output = args.output or ('neck' if cfg.get('default_scope') == 'mmdet' else 'logits')
    model, classes = build(cfg, args.checkpoint, output)
    metadata = dict(config=Path(args.config).name)
    if classes and output == 'logits':
        metadata['classes'] = json.dumps(list(classes))
    try:
        differences = export_model(
            model,
            cfg,
            args.out,
            output=output,
            input=args.input,
            size=args.size,
            dynamic_size=args.dynamic_size,
            tolerance=args.tolerance,
            metadata=metadata,
        )
    except (ExportError, ValueError) as error:
        raise SystemExit(str(error)) from None
    print(f'Wrote {args.out}: {output} of {args.input}')
    for runtime, difference in differences.items():
        print(f'{runtime} differs from PyTorch by {difference:.1e} of the largest magnitude')


if __name__ == '__main__':
    main()
