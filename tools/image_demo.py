"""Draw what a trained model sees in images of one's own: segments, boxes and masks, or a class.

An image that cannot be read does not keep the others from being drawn: it is named at the end, with
exit status 1.
"""

import argparse
import json
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import VISUALIZERS, init_default_scope
from PIL import Image
from tqdm import tqdm

from mmdiff.engine.cli import add_cfg_options, check_checkpoint, load_config, open_checkpoint


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('images', type=Path, help='an image, or a folder of images')
    parser.add_argument('config', help='config file of a segmentor, detector or classifier')
    parser.add_argument('checkpoint', help='checkpoint file that tools/train.py wrote')
    parser.add_argument(
        '--out-dir',
        type=Path,
        default=Path('demo'),
        help='gets the pictures in vis and the predictions in preds (default: %(default)s)',
    )
    parser.add_argument('--device', help='default: a GPU if there is one')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.5,
        help='least score of an instance that is drawn (default: %(default)s)',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def segment(visualizer, image, rgb, result, args):
    visualizer.add_datasample('', rgb, result, draw_gt=False, out_file=picture_of(image, args))
    labels = result.pred_sem_seg.cpu().numpy().data[0]
    Image.fromarray(labels.astype(np.uint8)).save(args.out_dir / f'preds/{image.stem}.png')


def detect(visualizer, image, rgb, result, args):
    # Not before: it needs what load_config has looked for.
    from mmdet.structures.mask import encode_mask_results

    visualizer.add_datasample(
        '', rgb, result, draw_gt=False, pred_score_thr=args.score_thr,
        out_file=picture_of(image, args),
    )  # fmt: skip
    found = result.pred_instances.cpu()
    prediction = {key: found[key].tolist() for key in ('labels', 'scores', 'bboxes')}
    if 'masks' in found:
        masks = encode_mask_results(found.masks.numpy())
        prediction['masks'] = [mask | dict(counts=mask['counts'].decode()) for mask in masks]
    write_json(prediction, image, args)


def classify(visualizer, image, rgb, result, args):
    classes = visualizer.dataset_meta.get('classes')
    # Large enough for the text on it.
    visualizer.visualize_cls(
        rgb, result, classes, draw_gt=False, resize=480,
        out_file=str(args.out_dir / f'vis/{image.stem}.png'),
    )  # fmt: skip
    label = int(result.pred_score.argmax())
    prediction = dict(
        pred_scores=result.pred_score.tolist(),
        pred_label=label,
        pred_score=float(result.pred_score[label]),
    )
    write_json(prediction | (dict(pred_class=classes[label]) if classes else {}), image, args)


def picture_of(image, args):
    # Other formats may have no colours, or lose them.
    suffix = image.suffix if image.suffix.lower() in ('.jpg', '.jpeg', '.png') else '.png'
    return str(args.out_dir / f'vis/{image.stem}{suffix}')


def write_json(prediction, image, args):
    (args.out_dir / f'preds/{image.stem}.json').write_text(json.dumps(prediction))


# What loads a model of each package, and what draws its predictions.
TASKS = {
    'mmseg': ('init_model', segment),
    'mmdet': ('init_detector', detect),
    'mmpretrain': ('get_model', classify),
}


def list_inputs(folder):
    # Not before: it needs what load_config has looked for.
    from mmdiff.datasets import list_images

    try:
        images = list_images(folder)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    name, count = Counter(image.stem for image in images).most_common(1)[0]
    if count > 1:
        raise SystemExit(
            f'{folder} has {count} images named {name}, and predictions are named as the images: '
            'rename them, or draw them one by one'
        )
    return images


def load_model(cfg, name, checkpoint, state_dict, device):
    load = getattr(import_module(f'{cfg.default_scope}.apis'), name)
    model = revert_sync_batchnorm(load(cfg, checkpoint, device=device or get_device()))
    check_checkpoint(model, state_dict, checkpoint)
    return model


def make_visualizer(cfg, model):
    settings = {key: value for key, value in cfg.visualizer.items() if key != 'vis_backends'}
    visualizer = VISUALIZERS.build(settings)
    # MMPretrain has it under another name.
    visualizer.dataset_meta = getattr(model, 'dataset_meta', None) or model._dataset_meta
    return visualizer


def main():
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    scope = cfg.get('default_scope')
    if scope not in TASKS:
        raise SystemExit(
            f'config: default_scope must be one of {", ".join(TASKS)}, got {scope!r} in '
            f'{args.config}'
        )
    images = list_inputs(args.images)
    checkpoint, state_dict = open_checkpoint(args.checkpoint)
    loader_name, draw = TASKS[scope]
    init_default_scope(scope)
    # As in a test, but that there are no labels.
    pipeline = Compose(
        [t for t in cfg.test_dataloader.dataset.pipeline if t.type != 'LoadAnnotations']
    )
    model = load_model(cfg, loader_name, checkpoint, state_dict, args.device)
    visualizer = make_visualizer(cfg, model)
    for folder in ('preds', 'vis'):
        (args.out_dir / folder).mkdir(parents=True, exist_ok=True)
    # Not before, as above.
    from mmdiff.datasets import read_rgb

    errors = []
    for number, image in enumerate(tqdm(images, unit='image')):
        try:
            rgb = np.array(read_rgb(image))
            sample = pipeline(dict(img_path=str(image), img_id=number))
        except (OSError, ValueError) as error:
            errors.append(str(error))
            continue
        with torch.no_grad():
            result = model.test_step(pseudo_collate([sample]))[0]
        draw(visualizer, image, rgb, result, args)
    print(
        f'Drew {len(images) - len(errors)} pictures in {args.out_dir / "vis"}, predictions are in '
        f'{args.out_dir / "preds"}'
    )
    if errors:
        raise SystemExit(
            f'{len(errors)} of {len(images)} images could not be read:\n' + '\n'.join(errors)
        )


if __name__ == '__main__':
    main()
