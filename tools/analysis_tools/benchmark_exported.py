"""The contenders of the benchmark that run mmdiff's own graph, exported: what a user would pick."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from benchmark_contenders import Task, architecture, mmdiff_features
from benchmark_worker import Worker
from torch import Tensor, nn

from mmdiff.diffusion import DenoiserArchitecture

# How OpenVINO calls them.
PRECISIONS = {'float32': 'f32', 'bfloat16': 'bf16'}


class Graph(nn.Module):
    """Features as a function of what goes into the network, to be exported.

    Args:
        task (Task): What to compute.
        arch (DenoiserArchitecture): The architecture.
        weights (Path): Its weights.
    """

    def __init__(self, task: Task, arch: DenoiserArchitecture, weights: Path):
        super().__init__()
        task = replace(task, dtype='float32')
        self.model, self.features_of = mmdiff_features(task, arch, weights, 'cpu')
        self.model.batch_timesteps = False

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(flat(self.features_of(x)))


def flat(features: Sequence) -> list[Tensor]:
    return [m for part in features for m in ([part] if torch.is_tensor(part) else flat(part))]


class Exporter:
    """Exports graphs, in a process of its own: what tracing takes is not the contender's memory."""

    @torch.no_grad()
    def export(self, task: Task, arch: str, weights: Path, shape: Sequence[int], out: Path) -> None:
        """Write a graph in float32.

        Args:
            task (Task): What it computes.
            arch (str): The architecture.
            weights (Path): Its weights.
            shape (Sequence[int]): Of the input.
            out (Path): The ONNX file.
        """
        graph = Graph(task, architecture(arch), weights)
        example = torch.rand(*shape) * 2 - 1
        # What is kept of earlier calls, such as the schedule, must not come from the trace.
        graph(example)
        program = torch.onnx.export(
            torch.export.export(graph, (example,)), dynamo=True, verbose=False, input_names=['x']
        )
        program.save(str(out), external_data=True)


def graph_file(task: Task, arch: str, weights: Path, shape: Sequence[int]) -> Path:
    """Where the graph of a task is."""
    what = repr((task.blocks, task.feedback, task.timesteps, arch, tuple(shape)))
    return weights.parent / f'{sha256(what.encode()).hexdigest()[:16]}.onnx'


def export_graph(task: Task, arch: str, weights: Path, shape: Sequence[int]) -> None:
    """Make the file of a graph, unless it is there."""
    out = graph_file(task, arch, weights, shape)
    if not out.exists():
        worker = Worker(Exporter)
        worker.ask('export', task, arch, weights, shape, out)
        worker.stop()


def openvino(path: Path, dtype: str) -> Callable[[np.ndarray], list[np.ndarray]]:
    import openvino

    compiled = openvino.Core().compile_model(
        path, 'CPU', {'INFERENCE_PRECISION_HINT': PRECISIONS[dtype]}
    )
    return lambda x: list(compiled([x]).values())


def onnxruntime(path: Path, dtype: str) -> Callable[[np.ndarray], list[np.ndarray]]:
    from onnxruntime import InferenceSession

    if dtype != 'float32':
        raise ValueError(f'ONNX Runtime is measured in float32 on a CPU, not in {dtype}')
    session = InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return lambda x: session.run(None, {'x': x})


RUNTIMES = {'openvino': openvino, 'onnxruntime': onnxruntime}


def runtime_features(
    runtime: str, task: Task, arch: str, weights: Path, shape: Sequence[int]
) -> Callable[[Tensor], list[Tensor]]:
    """Features by a runtime, of a graph that was exported.

    Args:
        runtime (str): Which.
        task (Task): What to compute.
        arch (str): The architecture.
        weights (Path): Its weights.
        shape (Sequence[int]): Of the input.

    Returns:
        Callable: From the input to the maps.
    """
    run = RUNTIMES[runtime](graph_file(task, arch, weights, shape), task.dtype)
    return lambda x: [torch.from_numpy(m) for m in run(x.numpy())]
