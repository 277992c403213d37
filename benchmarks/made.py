"""Weights made of random numbers: real architectures and file formats, at the real size.

The tests' helpers make all but two: of CLIP and ArcFace the tests have tiny networks only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from job import Built, Job

from extractors.base import Context, Loaded


def weights_of(job: Job) -> Built:
    """Files in the published formats, filled with made numbers, and the params to build with."""
    from zoo_weights import MADE

    folder = job.weights / job.name
    precision = {"precision": job.precision}
    if job.name == "design":
        return Built(Context(), {})
    if job.name == "clip":
        return _clip(folder, job.clip_arch, precision)
    if job.name == "arcface":
        return _arcface(folder)
    context, _ = MADE[job.name](folder)
    if job.name == "dlib":
        return Built(context, {})
    return Built(context, {**precision, **({"finetune": False} if job.name == "resnet18" else {})})


def _clip(folder: Path, arch: str, precision: dict[str, Any]) -> Built:
    """Half-precision numbers, as OpenAI's file has them."""
    import open_clip
    from zoo_weights import saved

    from extractors.openclip import create

    name = f"{arch}.own"
    assert open_clip.get_model_config(arch), f"open_clip has no {arch}"
    file = saved({k: v.half() for k, v in create(arch, {}).state_dict().items()}, folder / name)
    return Built(
        Context({name: file}), {"arch": arch, "pretrained": None, "file": str(file.path), **precision}
    )


class _Layers:
    """The nodes of an ONNX graph so far, and their numbers; each method adds one and names what comes out."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def add(self, op: str, x: str, *numbers: np.ndarray, **how: Any) -> str:
        from onnx import helper, numpy_helper

        out = f"{op}{len(self.nodes)}"
        names = [f"{out}_{i}" for i in range(len(numbers))]
        self.tensors.extend(
            numpy_helper.from_array(v.astype(np.float32), k) for k, v in zip(names, numbers, strict=True)
        )
        self.nodes.append(helper.make_node(op, [*x.split(), *names], [out], **how))
        return out

    def conv(self, x: str, n_in: int, n_out: int, side: int = 3, stride: int = 1, gain: float = 1.0) -> str:
        kernel = (
            self.rng.standard_normal((n_out, n_in, side, side)) * gain * (2 / (n_in * side * side)) ** 0.5
        )
        pads = [side // 2] * 4
        how = {"kernel_shape": [side, side], "strides": [stride, stride], "pads": pads}
        return self.add("Conv", x, kernel, np.zeros(n_out), **how)

    def norm(self, x: str, n: int) -> str:
        return self.add("BatchNormalization", x, np.ones(n), np.zeros(n), np.zeros(n), np.ones(n))

    def prelu(self, x: str, n: int) -> str:
        return self.add("PRelu", x, np.full((n, 1, 1), 0.25))


def _iresnet50() -> _Layers:
    """The layers of w600k_r50, from ``input.1`` to ``683``.

    43,588,928 numbers; 6,309,330,944 multiplications an image in the 53 convolutions and the last layer,
    those with the zeros of the padding counted too.
    """
    from onnx import helper

    net = _Layers()
    x, width = net.prelu(net.conv("input.1", 3, 64), 64), 64
    for wider, depth in ((64, 3), (128, 4), (256, 14), (512, 3)):
        for i in range(depth):
            stride = 1 if i else 2
            y = net.prelu(net.conv(net.norm(x, width), width, wider), wider)
            y = net.conv(y, wider, wider, stride=stride, gain=0.2)
            x = net.add("Add", f"{y} {x if i else net.conv(x, width, wider, side=1, stride=2)}")
            width = wider
    x = net.add("Flatten", net.norm(x, width))
    x = net.add("Gemm", x, net.rng.standard_normal((25088, 512)) / 25088**0.5, np.zeros(512))
    net.nodes.append(helper.make_node("Identity", [x], ["683"]))
    return net


def _arcface(folder: Path) -> Built:
    import onnx
    from onnx import helper

    from extractors.zoo import arcface

    net = _iresnet50()
    shapes = (("input.1", ["None", 3, 112, 112]), ("683", ["None", 512]))
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n, shape in shapes]
    graph = helper.make_graph(net.nodes, "like_w600k_r50", ends[:1], ends[1:], net.tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / arcface.W600K_R50.name
    path.write_bytes(model.SerializeToString())
    return Built(Context({path.name: Loaded(path, hashlib.sha256(path.read_bytes()).hexdigest())}), {})
