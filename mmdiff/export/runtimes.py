"""What runs an exported file without PyTorch."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np


class OnnxRuntime:
    """ONNX Runtime, on the CPU.

    Args:
        path (Path): An ONNX file.
    """

    name = 'ONNX Runtime'

    def __init__(self, path: Path):
        from onnxruntime import InferenceSession

        self.session = InferenceSession(str(path), providers=['CPUExecutionProvider'])

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """The outputs of images."""
        return self.session.run(None, {'image': image})


class OpenVino:
    """OpenVINO, on the CPU, in float32.

    Args:
        path (Path): An ONNX file, or an IR's .xml.
    """

    name = 'OpenVINO'

    def __init__(self, path: Path):
        import openvino

        # Some CPUs would compute in bfloat16.
        self.compiled = openvino.Core().compile_model(
            path, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'}
        )

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """The outputs of images."""
        return list(self.compiled([image]).values())


def runtimes_of(path: Path) -> list[type]:
    """The installed ones that run a file.

    Args:
        path (Path): An ONNX file, or an IR's .xml.

    Returns:
        list[type]: Their classes.
    """
    if path.suffix == '.xml':
        return [OpenVino]
    return [OnnxRuntime, OpenVino] if find_spec('openvino') else [OnnxRuntime]
