"""ONNX files and OpenVINO's IR."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

# Protocol buffers end at 2 GiB; the graph itself takes some of it.
MOST_BYTES_INSIDE = 2**31 - 2**26


def save_onnx(program: 'torch.onnx.ONNXProgram', path: Path, metadata: Mapping[str, str]) -> None:
    """Write an ONNX file, with weights of more than 2 GB in another, ``NAME.onnx.data``.

    Args:
        program (ONNXProgram): The graph.
        path (Path): The file.
        metadata (Mapping[str, str]): For its ``metadata_props``.
    """
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    # Of each node, the lines of Python that it came from.
    ClearMetadataAndDocStringPass()(program.model)
    program.model.metadata_props.update(metadata)
    weights = program.model.graph.initializers.values()
    size = sum(weight.const_value.nbytes for weight in weights)
    program.save(path, external_data=size > MOST_BYTES_INSIDE)


def convert_to_ir(onnx: Path, path: Path, metadata: Mapping[str, str]) -> None:
    """Write OpenVINO's IR, ``NAME.xml`` and ``NAME.bin``, in float32.

    Args:
        onnx (Path): An ONNX file.
        path (Path): The .xml.
        metadata (Mapping[str, str]): For its ``rt_info``, below ``mmdiff``.
    """
    import openvino

    model = openvino.Core().read_model(onnx)
    for key, value in metadata.items():
        model.set_rt_info(value, ['mmdiff', key])
    openvino.save_model(model, path, compress_to_fp16=False)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Have a file, and those that belong to it, written elsewhere and moved when all is well.

    Args:
        path (Path): Where it shall be.

    Yields:
        Path: Where to write it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.export') as folder:
        yield Path(folder) / path.name
        # What the file refers to comes first.
        written = sorted(Path(folder).iterdir(), key=lambda file: file.name == path.name)
        for file in written:
            os.replace(file, path.with_name(file.name))
