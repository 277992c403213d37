"""CLIP: what a network sees that was trained on pictures and their captions; and concepts in words.

Owns the params, the published files, and the check that weights and architecture fit. The networks, their
preprocessing and their tokenizers are open_clip's, run by `extractors.openclip`; concepts are texts of
`extractors.concepts`.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from extractors import concepts as words
from extractors.base import Card, Context
from extractors.training import Precision
from extractors.weights import WeightsFile
from featurestore.errors import ParamsError
from featurestore.spec import FeatureSpec

if TYPE_CHECKING:
    from extractors.base import Extractor

__all__ = ["CARD", "VERSION", "build", "weights"]

VERSION: Final = 1

KEY: Final = "extractors.clip"

ARCH: Final = "ViT-L-14-quickgelu"
PRETRAINED: Final = "openai"

_OPENAI_SHA256: Final = "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"

#: What the default params ask for; known without open_clip.
OPENAI: Final = WeightsFile(
    name="ViT-L-14.pt",
    sha256=_OPENAI_SHA256,
    n_bytes=932_768_134,
    licence="MIT",
    url=f"https://openaipublic.azureedge.net/clip/models/{_OPENAI_SHA256}/ViT-L-14.pt",
)

CARD: Final = Card(
    summary="CLIP through open_clip: image embeddings, and concepts in words",
    n_columns=768,
    extra="clip",
    modules=("torch", "torchvision", "open_clip"),
    licence="MIT",
)

#: What ``fit`` is called by open_clip.
_RESIZE_MODES: Final = {"crop": "shortest", "pad": "longest", "squash": "squash"}


@dataclass(frozen=True)
class _Recipe:
    """An architecture, and how its pictures are made ready.

    Attributes
    ----------
    name : str
        Open_clip's, or the stem of the user's JSON file.
    config : mapping
        Open_clip's model config.
    own : bool
        Whether the config is the user's.
    preprocess : mapping
        Mean, std, interpolation, resize mode as far as the tag or the user says; the rest is open_clip's.
    published : mapping
        Open_clip's entry of the tag; empty without a tag.
    """

    name: str
    config: Mapping[str, Any]
    own: bool
    preprocess: Mapping[str, Any]
    published: Mapping[str, Any]


def weights(
    *,
    arch: str = ARCH,
    pretrained: str | None = PRETRAINED,
    file: str | None = None,
    sha256: str | None = None,
    concepts: tuple[str, ...] = (),
    templates: tuple[str, ...] = words.TEMPLATES,
    **params: Any,
) -> tuple[WeightsFile, ...]:
    """The published file that these params ask for; only the default one is found without open_clip.

    Raises
    ------
    ParamsError
        If there is no such architecture or tag, if they do not fit, or if concepts cannot be columns.
    """
    words.check(concepts, templates, key=KEY)
    if (arch, pretrained) == (ARCH, PRETRAINED):
        return (OPENAI.given(file, sha256),)
    recipe = _recipe(arch, pretrained)
    if not pretrained and not file:
        raise ParamsError(
            f"{KEY}.pretrained: empty, and so is {KEY}.file; weights are never random: name one of them"
        )
    return (_published(recipe, pretrained).given(file, sha256),)


def build(
    *,
    context: Context = Context(),
    arch: str = ARCH,
    pretrained: str | None = PRETRAINED,
    file: str | None = None,
    sha256: str | None = None,
    fit: Literal["model", "crop", "pad", "squash"] = "model",
    normalize: bool = True,
    precision: Precision = "fp32",
    concepts: tuple[str, ...] = (),
    templates: tuple[str, ...] = words.TEMPLATES,
) -> Extractor:
    """Build the extractor: the image embedding, then a column for each concept.

    Parameters
    ----------
    arch : str
        One of open_clip's architectures, or the path of a model config of your own (``.json``). A config
        may hold ``preprocess_cfg`` as well, as ``open_clip_config.json`` on the hub does.
    pretrained : str or None
        Open_clip's tag of the weights. It also says mean, std, interpolation, resize mode and activation,
        so it stays when ``file`` is a copy of that tag. For weights of your own leave it empty: then the
        activation is the architecture's and the rest open_clip's defaults, with which it trains.
    file, sha256 : str or None
        A local file instead of the published one, and its digest: safetensors, an open_clip checkpoint,
        a state dict, or OpenAI's TorchScript.
    fit : {"model", "crop", "pad", "squash"}
        How a picture becomes a square; ``model`` = as the weights were trained.
    normalize : bool
        Divide the embedding by its length.
    precision : {"fp32", "bf16", "fp16"}
        Of the image tower. Concepts are compared in fp32.
    concepts : tuple of str
        Further columns: cosine between the picture and the text, averaged over the templates.
    templates : tuple of str
        Sentences with ``{}`` for the concept.

    Raises
    ------
    ParamsError, WeightsDamaged, MissingExtra, MissingWeights
    """
    from extractors import openclip
    from extractors.network import Network, Normalize

    (wanted,) = weights(
        arch=arch, pretrained=pretrained, file=file, sha256=sha256, concepts=concepts, templates=templates
    )
    loaded = context.weights[wanted.name]
    recipe = _recipe(arch, pretrained)
    if openclip.is_script(loaded.path) and not recipe.config.get("quick_gelu"):
        raise ParamsError(
            f"{KEY}.arch: {arch} is without QuickGELU, and {loaded.path} is in OpenAI's format, whose"
            f" networks have it; set {KEY}.arch to one with -quickgelu"
        )
    model, known_as = _model(recipe, {} if fit == "model" else {"resize_mode": _RESIZE_MODES[fit]})
    preprocess = dict(model.visual.preprocess_cfg)
    size_px = _side(preprocess["size"], arch)
    openclip.fill(model, loaded)
    texts = None
    if concepts:
        filled = [functools.partial(words.prompt, template) for template in templates]
        texts = openclip.embed_texts(model, known_as, concepts, filled)
    spec = FeatureSpec(
        name="clip",
        version=VERSION,
        params={
            "arch": recipe.name,
            "config": recipe.config if recipe.own else None,
            "pretrained": pretrained or None,
            "preprocess": {k: list(v) if isinstance(v, tuple) else v for k, v in preprocess.items()},
            "fit": fit,
            "normalize": normalize,
            "precision": precision,
            "concepts": list(concepts),
            "templates": list(templates),
        },
        columns=(*(f"e{i:03d}" for i in range(recipe.config["embed_dim"])), *map(words.column, concepts)),
        weights=context.sha256(),
    )
    return Network(
        spec,
        openclip.Embedder(model, texts, normalize=normalize),
        openclip.squares(preprocess, size_px),
        normalize=Normalize(255.0, tuple(preprocess["mean"]), tuple(preprocess["std"])),
        device=context.device,
        precision=precision,
        channels_last=False,
        input_px=size_px,
    )


def _near(wanted: str, known: Sequence[str]) -> str:
    return ", ".join(difflib.get_close_matches(wanted, known, n=5, cutoff=0.5) or sorted(known)[:20])


def _recipe(arch: str, pretrained: str | None) -> _Recipe:
    """Look architecture and tag up, and refuse what does not fit together."""
    import open_clip

    if arch.endswith(".json"):
        return _own_recipe(arch, pretrained)
    config = open_clip.get_model_config(arch) if arch in open_clip.list_models() else None
    if config is None:
        raise ParamsError(
            f"{KEY}.arch: open_clip has no {arch!r}; near it: {_near(arch, open_clip.list_models())}"
        )
    if not pretrained:
        return _Recipe(arch, config, False, {}, {})
    tag = open_clip.get_pretrained_cfg(arch, pretrained)
    if not tag:
        tags = open_clip.list_pretrained_tags_by_model(arch)
        said = f"near it: {_near(pretrained, tags)}" if tags else f"it has none; name {KEY}.file instead"
        raise ParamsError(f"{KEY}.pretrained: {arch} has no weights {pretrained!r}; {said}")
    if bool(tag.get("quick_gelu")) != bool(config.get("quick_gelu")):
        other = arch.removesuffix("-quickgelu") if config.get("quick_gelu") else f"{arch}-quickgelu"
        fits = other if other in open_clip.list_models() else "a model config of your own (.json)"
        said = (
            "with QuickGELU, which {} lacks" if tag.get("quick_gelu") else "without QuickGELU, which {} has"
        )
        raise ParamsError(
            f"{KEY}.arch: {pretrained} was trained {said.format(arch)}; set {KEY}.arch to {fits}"
        )
    preprocess = {key: tag[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in tag}
    return _Recipe(arch, config, False, preprocess, tag)


def _own_recipe(arch: str, pretrained: str | None) -> _Recipe:
    """The recipe in a JSON file: a model config, alone or beside ``preprocess_cfg``."""
    path = Path(arch).expanduser()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        preprocess = {k: v for k, v in content.pop("preprocess_cfg", {}).items() if k != "size"}
        config = content.get("model_cfg", content)
        if missing := {"embed_dim", "vision_cfg", "text_cfg"} - set(config):
            raise ValueError(f"no {', '.join(sorted(missing))}")
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ParamsError(f"{KEY}.arch: {arch} is no model config of open_clip ({error}); mend it") from None
    if pretrained:
        raise ParamsError(
            f"{KEY}.pretrained: {path.name} has no weights {pretrained!r}; leave it empty and name {KEY}.file"
        )
    return _Recipe(path.stem, config, True, preprocess, {})


def _published(recipe: _Recipe, pretrained: str | None) -> WeightsFile:
    """Where a tag's file is: its URL, else the hub's repository."""
    url, hub = recipe.published.get("url", ""), recipe.published.get("hf_hub", "")
    if not pretrained:
        return WeightsFile(name=f"{recipe.name}.own")
    if url:
        openai = "openaipublic" in url
        licence = "MIT" if openai or "mlfoundations" in url else "see where it is published"
        # other addresses hold eight digits of the digest, or none
        return WeightsFile(url.split("/")[-1], url.split("/")[-2] if openai else "", licence=licence, url=url)
    repository, _, name = hub.rpartition("/")
    name = name or "open_clip_model.safetensors"  # what the hub calls nearly every model
    return WeightsFile(
        f"{recipe.name}.{pretrained}{Path(name).suffix}",
        licence=f"see https://huggingface.co/{repository}",
        url=f"https://huggingface.co/{repository}/resolve/main/{name}",
    )


def _model(recipe: _Recipe, resize: Mapping[str, str]) -> tuple[Any, str]:
    """The model, still without weights, and what open_clip calls its architecture."""
    from extractors import openclip

    preprocess = {**recipe.preprocess, **resize}
    if not recipe.own:
        return openclip.create(recipe.name, preprocess), recipe.name
    try:
        known_as = openclip.register(recipe.name, recipe.config)
        return openclip.create(known_as, preprocess), known_as
    except (TypeError, ValueError, AttributeError, KeyError, AssertionError) as error:
        raise ParamsError(
            f"{KEY}.arch: open_clip makes no model of {recipe.name}.json ({error}); mend it"
        ) from None


def _side(size: int | Sequence[int], arch: str) -> int:
    """The input's side in pixels."""
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ParamsError(f"{KEY}.arch: {arch} takes {size} pixels; only squares are supported")
    return sides.pop()
