"""An open_clip model as kyara runs it: made, filled from a checked file, cut down to what is used.

Owns reading the kinds of file that CLIP weights are published in, the text embeddings of concepts, and the
resizing, which is open_clip's own. Refuses to know params, and where a file comes from.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import logging
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.factory import load_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torchvision.transforms import Normalize, ToTensor

from extractors.base import Prepared
from featurestore.errors import MissingExtra, MissingWeights, WeightsDamaged
from featurestore.spec import Status

if TYPE_CHECKING:
    from extractors.base import RGB, Loaded

__all__ = ["Embedder", "create", "embed_texts", "fill", "is_script", "register", "squares"]

#: What OpenAI's TorchScript archives hold besides weights.
_NO_WEIGHTS: Final = ("input_resolution", "context_length", "vocab_size")

#: Weights that no embedding depends on: files lack them, or have them in another shape.
_UNUSED: Final = ("logit_scale", "logit_bias", "text.transformer.embeddings.position_ids")


def register(name: str, config: Mapping[str, Any]) -> str:
    """Tell open_clip of a model config, and return what it is called there: unique to its content."""
    text = json.dumps(config, sort_keys=True)
    unique = f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{unique}.json"
        file.write_text(text, encoding="utf-8")
        open_clip.add_model_config(file)
    return unique


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """Without open_clip's warning that the model is random, which it is not for long.

    It logs through the root logger's functions, which set logging up where nobody has: a handler prevents it.
    """

    def wanted(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("No pretrained weights loaded")

    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(wanted)
    try:
        yield
    finally:
        root.removeFilter(wanted)
        root.removeHandler(handler)


@contextlib.contextmanager
def _hub(arch: str, part: str, name: str | None) -> Iterator[None]:
    """Say in one line why a part that only the hub has could not be had; no ``name`` = no such part."""
    if name and importlib.util.find_spec("transformers") is None:
        raise MissingExtra(f"clip: {arch} has the {part} of {name}; run: python -m pip install transformers")
    try:
        yield
    except OSError as error:
        said = " ".join(str(error).split())[:200]
        raise MissingWeights(
            f"clip: {arch} has the {part} of {name}, which the Hugging Face hub did not give ({said});"
            " run once with internet, or choose another arch"
        ) from error


def create(arch: str, preprocess: Mapping[str, Any]) -> torch.nn.Module:
    """A model in eval mode whose weights are still random: `fill` it.

    Parameters
    ----------
    arch : str
        As open_clip knows it.
    preprocess : mapping
        What differs from open_clip's defaults: mean, std, interpolation, resize_mode. The outcome is the
        model's ``visual.preprocess_cfg``.

    Raises
    ------
    MissingExtra, MissingWeights
        If its text tower is described on the hub alone.
    """
    text_tower = open_clip.get_model_config(arch)["text_cfg"].get("hf_model_name")
    with _hub(arch, "text tower", text_tower), _unwarned():
        model: torch.nn.Module = open_clip.create_model(
            arch, pretrained_text=False, force_preprocess_cfg=dict(preprocess)
        )
    return model.eval()


def fill(model: torch.nn.Module, loaded: Loaded) -> None:
    """Load a file into the model: every weight that an embedding depends on, in its own shape.

    Open_clip's ``load_checkpoint`` reads no TorchScript under torch 2.14, and stretches position embeddings
    to fit where the file is of another input size; here such a file is the wrong one.

    Raises
    ------
    WeightsDamaged
        If the file cannot be read, or is of another network.
    """
    try:
        state = _scripted(loaded.path) if is_script(loaded.path) else load_state_dict(str(loaded.path))
        state = convert_state_dict(model, state)
        if not hasattr(model, "positional_embedding"):
            state = convert_to_custom_text_state_dict(state)
        state = {key: value for key, value in state.items() if key not in _UNUSED}
        missing, unexpected = model.load_state_dict(state, strict=False)
        if wrong := [*sorted(set(missing) - set(_UNUSED)), *unexpected]:
            raise ValueError(f"{len(wrong)} weights are missing or too many, as {wrong[0]}")
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise WeightsDamaged(f"{loaded.path}: no weights of this network ({said})") from error


def is_script(path: Path) -> bool:
    """Whether a file is a TorchScript archive, as OpenAI's are, by the mark that torch itself goes by."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _scripted(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a TorchScript archive; none of its code is called."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.load", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*torch.jit.load", category=DeprecationWarning)
        module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return {key: value for key, value in module.state_dict().items() if key not in _NO_WEIGHTS}


def embed_texts(
    model: torch.nn.Module,
    arch: str,
    concepts: Sequence[str],
    templates: Sequence[Callable[[str], str]],
) -> torch.Tensor:
    """One vector of length 1 for each concept, from its prompts in all templates.

    Each prompt's embedding is divided by its length, and so is their mean (Radford et al. 2021, Learning
    transferable visual models from natural language supervision, section 3.1.4: prompt ensembling).

    Returns
    -------
    Tensor of float32, shape (n concepts, embedding)

    Raises
    ------
    MissingExtra, MissingWeights
        If its tokenizer is on the hub alone.
    """
    name = open_clip.get_model_config(arch)["text_cfg"].get("hf_tokenizer_name")
    with _hub(arch, "tokenizer", name), _unwarned():
        tokenizer = open_clip.get_tokenizer(arch)
    texts: torch.Tensor = open_clip.build_zero_shot_classifier(model, tokenizer, concepts, templates)
    return texts.T.contiguous()


class Embedder(torch.nn.Module):
    """From pixels (n, 3, height, width) to embeddings, then similarities to texts.

    Parameters
    ----------
    model : torch.nn.Module
        Of open_clip. Everything but its image tower is taken off: that frees memory here and on the device.
    texts : Tensor or None
        What `embed_texts` gave.
    normalize : bool
        Divide the embedding by its length; similarities are cosines either way.
    """

    def __init__(self, model: torch.nn.Module, texts: torch.Tensor | None, *, normalize: bool) -> None:
        super().__init__()
        for name in [name for name, _ in model.named_children() if name != "visual"]:
            delattr(model, name)
        self._model: Any = model
        self._normalize = normalize
        self._compares = texts is not None
        self.register_buffer("_texts", texts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float32 (n, embedding + texts)."""
        embedding: torch.Tensor = self._model.encode_image(x, normalize=False).to(torch.float32)
        unit = torch.nn.functional.normalize(embedding, dim=-1)
        values = unit if self._normalize else embedding
        if not self._compares:
            return values
        with torch.autocast(x.device.type, enabled=False):
            return torch.cat([values, torch.nn.functional.linear(unit, self.get_buffer("_texts"))], dim=-1)


def squares(preprocess: Mapping[str, Any], size_px: int) -> Callable[[Sequence[RGB]], Prepared]:
    """Open_clip's own resizing and cropping, levels left as they are; safe to call in several threads."""
    transform = image_transform_v2(PreprocessCfg(**preprocess), is_train=False)
    steps = [step for step in transform.transforms if not isinstance(step, ToTensor | Normalize)]

    def prepare(images: Sequence[RGB]) -> Prepared:
        pixels = np.empty((len(images), size_px, size_px, 3), np.uint8)
        for i, image in enumerate(images):
            picture = Image.fromarray(np.ascontiguousarray(image))
            for step in steps:
                picture = step(picture)
            pixels[i] = np.asarray(picture)
        return Prepared(pixels, np.full(len(images), Status.OK, np.uint8))

    return prepare
