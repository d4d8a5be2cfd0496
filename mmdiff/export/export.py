"""From a model to a checked file."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import ConfigDict
from torch import nn

from mmdiff.torch_compat import can_export
from mmdiff.utils import check_bool, check_choice, check_ints
from mmdiff.version import __version__

from .check import Example, check_file
from .errors import ExportError, require_packages
from .files import convert_to_ir, save_onnx, written_whole
from .graph import INPUTS, OUTPUTS, ExportedModel
from .preprocessing import Preprocessing

# What has to be installed for each kind of file.
PACKAGES = {
    '.onnx': ('onnx', 'onnxscript', 'onnxruntime'),
    '.xml': ('onnx', 'onnxscript', 'openvino'),
}


@torch.no_grad()
def export_model(
    model: nn.Module,
    cfg: ConfigDict,
    out: str | Path,
    *,
    output: str = 'logits',
    input: str = 'pixels',
    size: Sequence[int] | None = None,
    dynamic_size: bool = False,
    tolerance: float = 1e-4,
    metadata: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Export a model to ONNX or OpenVINO's IR, in float32, and check the file against PyTorch.

    The file takes ``image`` of shape (N, 3, H, W), for any N, and describes
    itself in its metadata. The model cannot be used for anything else
    afterwards.

    Args:
        model (nn.Module): A segmentor, classifier or detector with a diffusion
            backbone, on the CPU.
        cfg (ConfigDict): Its config, for the data preprocessor.
        out (str | Path): A file ``.onnx``, or ``.xml`` for the IR.
        output (str): What it computes: ``'logits'``, of shape (N, classes, H,
            W) of a segmentor and (N, classes) of a classifier; ``'neck'``, the
            levels of the neck; or ``'backbone'``, the maps of the backbone.
            Defaults to ``'logits'``.
        input (str): What it takes: ``'pixels'``, RGB as uint8, or
            ``'normalized'``, float32 as the data preprocessor makes it.
            Defaults to ``'pixels'``.
        size (Sequence[int], optional): Height and width of the images.
            Defaults to None: the size that the diffusion model was trained on.
        dynamic_size (bool): Whether images may have any sides up to ``size``
            that are multiples of the backbone's total stride. Defaults to
            False.
        tolerance (float): Largest difference from PyTorch, in parts of the
            output's largest magnitude. Defaults to 1e-4.
        metadata (Mapping[str, str], optional): What else the file says of
            itself. Defaults to None.

    Returns:
        dict[str, float]: The largest difference, by runtime.

    Raises:
        ExportError: If a package is missing, the model has no such graph, or
            the graph computes something else. Nothing is written then.
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """
    out = Path(out)
    check_choice('output', output, OUTPUTS)
    check_choice('input', input, INPUTS)
    check_bool('dynamic_size', dynamic_size)
    _check_installed(out)
    model.eval().requires_grad_(False)
    preprocessing = Preprocessing.of(cfg)
    exported = ExportedModel(model, output, preprocessing if input == 'pixels' else None)
    arch = model.backbone.arch
    size = (arch.image_size, arch.image_size) if size is None else tuple(size)
    _check_size(size, arch.total_stride, dynamic_size)
    examples = _examples(exported, preprocessing, _sizes(size, arch.total_stride, dynamic_size))
    exported.fix_noise(size)
    if dynamic_size:
        exported.allow_any_size()
    program = _trace(exported, examples[0], size, dynamic_size)
    metadata = {**_describe(exported, preprocessing, size, dynamic_size), **(metadata or {})}
    with written_whole(out) as path:
        if out.suffix == '.xml':
            with tempfile.TemporaryDirectory(dir=path.parent.parent, prefix='.export') as folder:
                onnx = Path(folder) / 'graph.onnx'
                save_onnx(program, onnx, metadata)
                convert_to_ir(onnx, path, metadata)
        else:
            save_onnx(program, path, metadata)
        return check_file(path, examples, tolerance)


def _check_installed(out: Path) -> None:
    if out.suffix not in PACKAGES:
        raise ValueError(f'out must end in {" or ".join(PACKAGES)}, got {out}')
    require_packages(*PACKAGES[out.suffix])
    if not can_export():
        raise ExportError(
            'export needs a PyTorch that has torch.compiler.is_exporting (2.13 is tested), and '
            f'this is {torch.__version__}'
        )


def _check_size(size: tuple[int, ...], stride: int, dynamic: bool) -> None:
    check_ints('size', size)
    if len(size) != 2:
        raise ValueError(f'size must be a height and a width, got {size}')
    if dynamic and any(side % stride or side < 2 * stride for side in size):
        raise ValueError(
            f'size must be multiples of {stride} of at least {2 * stride} where it is dynamic, as '
            f"{stride} is the backbone's total stride, got {size}"
        )


def _sizes(size: tuple[int, int], stride: int, dynamic: bool) -> list[tuple[int, int]]:
    """The sizes of images to check, the one to trace first."""
    if not dynamic:
        return [size, size]
    height, width = size
    half_height, half_width = (side // stride // 2 * stride for side in size)
    sizes = [(half_height, width), (height, half_width), size]
    # Transformers have a branch of their own for the square size that they were trained on.
    return sorted(sizes, key=lambda sides: sides[0] == sides[1])


def _examples(
    exported: ExportedModel, preprocessing: Preprocessing, sizes: Sequence[tuple[int, int]]
) -> list[Example]:
    """Images of random pixels, and what the model makes of them.

    The last batch is of one image, and the first, to be traced, of more: torch.export takes one
    for a constant.
    """
    random = np.random.default_rng(0)
    examples = []
    for batch, size in enumerate(reversed(sizes), start=1):
        image = random.integers(256, size=(batch, 3, *size), dtype=np.uint8)
        normalized = preprocessing.as_in(exported.model, image)
        try:
            outputs = [tensor.numpy() for tensor in exported.from_normalized(normalized)]
        except ValueError as error:
            raise ExportError(
                f'size: the model takes no images of {size} pixels: {error}'
            ) from error
        if exported.preprocessing is None:
            image = normalized.numpy()
        names = exported.names(len(outputs))
        examples.append(Example(image, dict(zip(names, outputs, strict=True))))
    return examples[::-1]


def _trace(
    exported: ExportedModel, example: Example, size: tuple[int, int], dynamic: bool
) -> 'torch.onnx.ONNXProgram':
    stride = exported.model.backbone.arch.total_stride
    axes = {0: torch.export.Dim.DYNAMIC}
    if dynamic:
        axes |= {
            axis: stride * torch.export.Dim(name, min=1, max=side // stride)
            for axis, name, side in zip((2, 3), ('rows', 'columns'), size, strict=True)
        }
    image = torch.from_numpy(example.image)
    # What PyTorch keeps of earlier calls, such as timesteps, must not come from the trace.
    exported(image)
    try:
        graph = torch.export.export(exported, (image,), dynamic_shapes=(axes,))
    except torch._dynamo.exc.UserError as error:
        raise ExportError(
            f'the model does not hold for any batch{" and size" * dynamic}: {error}'
        ) from error
    return torch.onnx.export(
        graph,
        dynamo=True,
        verbose=False,
        input_names=['image'],
        output_names=list(example.outputs),
    )


def _describe(
    exported: ExportedModel, preprocessing: Preprocessing, size: tuple[int, int], dynamic: bool
) -> dict[str, str]:
    """What a file says of itself."""
    backbone = exported.model.backbone
    described = dict(
        mmdiff_version=__version__,
        output=exported.output,
        layout='NCHW',
        noise=f'{backbone.eval_noise}, seed {backbone.seed}',
        timesteps=list(backbone.timesteps),
        blocks=list(backbone.blocks),
    )
    if dynamic:
        described |= dict(largest_size=size, size_multiple=backbone.arch.total_stride)
    else:
        described |= dict(size=size)
    if exported.preprocessing is not None:
        described |= dict(channel_order='RGB', range=[0, 255])
    else:
        described |= dict(
            channel_order=preprocessing.channel_order,
            mean=preprocessing.mean,
            std=preprocessing.std,
        )
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in described.items()}
