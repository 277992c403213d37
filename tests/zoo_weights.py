"""Every extractor of the zoo with weights that the tests make: small, the same numbers on every machine.

Trained weights are published, not shipped. What is made here has each published file's name and format, so that
the loading code is the real one. An extractor that is not listed is built with its defaults and no weights.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from extractors.base import MADE as MADE_HERE
from extractors.base import Context, Extractor, Loaded
from extractors.weights import load
from featurestore import plugins

NAMES = plugins.listing("extractors.zoo")


def waves(module: Any) -> dict[str, Any]:
    """A state dict whose numbers are sines of their place: nothing of a random generator, and no dead units."""
    import torch

    state = {}
    for i, (name, old) in enumerate(module.state_dict().items()):
        if not old.is_floating_point() or not old.ndim:
            state[name] = old.clone()
            continue
        wave = torch.sin(torch.arange(old.numel(), dtype=torch.float64) * 1.7 + i).reshape(old.shape)
        if name.endswith("running_var"):
            new = 1 + 0.2 * wave
        elif old.ndim == 1:
            new = (1.0 if name.endswith("weight") else 0.0) + 0.1 * wave
        else:
            new = wave * math.sqrt(2 / (old.numel() / old.shape[0]))
        state[name] = new.to(old.dtype)
    return state


def saved(state: Any, path: Path) -> Loaded:
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return Loaded(path, hashlib.sha256(path.read_bytes()).hexdigest())


def learned(state: dict[str, Any], head: str, folder: Path) -> Loaded:
    """The same numbers as what `prepare` leaves."""
    from safetensors.torch import save_file

    path = folder / MADE_HERE
    save_file({f"backbone.{k}": v for k, v in state.items() if not k.startswith(head)}, path)
    return Loaded(path, hashlib.sha256(path.read_bytes()).hexdigest())


def _resnet18(folder: Path) -> tuple[Context, dict[str, Any]]:
    import torchvision

    from extractors.zoo import resnet18

    network = torchvision.models.resnet18(weights=None)
    name, state = resnet18.IMAGENET.name, waves(network)
    files = {name: saved(state, folder / name), MADE_HERE: learned(state, "fc.", folder)}
    return Context(files), {"size_px": 64}


def _vggface2(folder: Path) -> tuple[Context, dict[str, Any]]:
    from facenet_pytorch import InceptionResnetV1

    from extractors.zoo import vggface2

    state = waves(InceptionResnetV1(pretrained=None, classify=True, num_classes=3))
    files = {one.name: saved(state, folder / one.name) for one in vggface2.PUBLISHED.values()}
    return Context({**files, MADE_HERE: learned(state, "logits.", folder)}), {"size_px": 80}


#: A CLIP of two layers; its embedding is as wide as that of the real one.
TINY_CLIP = {
    "embed_dim": 768,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


def _clip(folder: Path) -> tuple[Context, dict[str, Any]]:
    import open_clip

    folder.mkdir(parents=True, exist_ok=True)
    arch = write_json(folder / "tiny.json", TINY_CLIP)
    network = open_clip.model.CLIP(**json.loads(arch.read_text()))
    name = "tiny.own"
    file = saved(waves(network), folder / name)
    return Context({name: file}), {"arch": str(arch), "pretrained": None, "file": str(file.path)}


def _arcface(folder: Path) -> tuple[Context, dict[str, Any]]:
    """A network with ArcFace's signature: strided convolution, mean, 512 numbers."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    from extractors.zoo import arcface

    def tensor(name: str, *shape: int) -> onnx.TensorProto:
        wave = np.sin(np.arange(math.prod(shape)) * 1.7).reshape(shape)
        return numpy_helper.from_array(wave.astype(np.float32), name)

    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input.1", "kernel"], ["maps"], strides=[4, 4]),
            helper.make_node("Relu", ["maps"], ["active"]),
            helper.make_node("GlobalAveragePool", ["active"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("Gemm", ["flat", "layer", "bias"], ["683"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("input.1", onnx.TensorProto.FLOAT, ["None", 3, 112, 112])],
        [helper.make_tensor_value_info("683", onnx.TensorProto.FLOAT, ["None", 512])],
        [tensor("kernel", 16, 3, 4, 4), tensor("layer", 16, 512), tensor("bias", 512)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / arcface.W600K_R50.name
    path.write_bytes(model.SerializeToString())
    return Context({path.name: Loaded(path, hashlib.sha256(path.read_bytes()).hexdigest())}), {}


def _packaged(name: str) -> Callable[[Path], tuple[Context, dict[str, Any]]]:
    """Weights that come with a package."""

    def made(_: Path) -> tuple[Context, dict[str, Any]]:
        module = plugins.load("extractors.zoo", name, key="extractors")
        wanted = module.weights(file=None, sha256=None, align="none")
        return Context({file.name: load(file, [], extractor=name) for file in wanted}), {}

    return made


MADE: dict[str, Callable[[Path], tuple[Context, dict[str, Any]]]] = {
    "arcface": _arcface,
    "clip": _clip,
    "dlib": _packaged("dlib"),
    "resnet18": _resnet18,
    "vggface2": _vggface2,
}


def maker(name: str, folder: Path) -> tuple[ModuleType, Callable[..., Extractor]]:
    """The zoo's module, and what builds its extractor with made weights and small inputs."""
    module = plugins.load("extractors.zoo", name, key="extractors")

    @functools.lru_cache(maxsize=1)
    def made() -> tuple[Context, dict[str, Any]]:
        return MADE[name](folder / name) if name in MADE else (Context(), {})

    def make(**params: Any) -> Extractor:
        context, small = made()
        built: Extractor = module.build(**{"context": context, **small, **params})
        return built

    return module, make


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path
