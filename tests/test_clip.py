"""CLIP gives open_clip's own numbers, and concepts that are what they say."""

from __future__ import annotations

import copy
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from extractors import concepts as words
from extractors.base import Context, Extractor
from extractors.testing import check_batches, check_read_only, check_rows, check_threads, sample_images
from extractors.weights import load
from extractors.zoo import clip
from featurestore.errors import MissingExtra, MissingWeights, ParamsError, WeightsDamaged
from featurestore.spec import FeatureSpec

torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VIT = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": TEXT,
}
RESNET = {**VIT, "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8}}
NETWORKS = {"vit": VIT, "resnet": RESNET, "separate_text": {**VIT, "custom_text": True}}
CONCEPTS = ("a character with a scar on the face", "a round face")
OTHER_PREPROCESS = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bilinear"}


class Tiny:
    """A small CLIP of random numbers: open_clip's model of it, its config and its weights as files."""

    def __init__(self, folder: Path, config: dict, name: str = "tiny") -> None:
        self.json = folder / f"{name}.json"
        self.json.write_text(json.dumps(config))
        open_clip.add_model_config(self.json)
        with torch.random.fork_rng():
            torch.manual_seed(7)
            self.model = open_clip.create_model(name).eval()
        self.name = name
        self.file = folder / f"{name}.pt"
        torch.save(self.model.state_dict(), self.file)

    def build(self, *, file: Path | None = None, **params: object) -> Extractor:
        """The extractor on the JSON file and a local weights file, as `prepare` and `run` would."""
        params = {"arch": str(self.json), "pretrained": None, "file": str(file or self.file), **params}
        (wanted,) = clip.weights(**params)
        context = Context(weights={wanted.name: load(wanted, [], extractor="clip")})
        return clip.build(context=context, **params)

    def rows(self, **params: object) -> np.ndarray:
        return self.build(**params)(sample_images()).values

    def upstream(self, **options: object) -> np.ndarray:
        """Open_clip's own preprocessing and forward pass, one image at a time."""
        model, _, preprocess = open_clip.create_model_and_transforms(
            self.name, pretrained=str(self.file), **options
        )
        pictures = [Image.fromarray(image) for image in sample_images()]
        with torch.no_grad():
            return np.concatenate([model.eval().encode_image(preprocess(p)[None]).numpy() for p in pictures])


@pytest.fixture(scope="module", autouse=True)
def root_logger() -> None:
    """Open_clip's logging in these tests sets up no handler that outlives them."""
    logging.getLogger().addHandler(handler := logging.NullHandler())
    yield
    logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return Tiny(tmp_path_factory.mktemp("clip"), VIT)


@pytest.fixture
def tagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """An architecture that open_clip knows by name, with a published tag of its own preprocessing."""
    tag = {
        "url": "https://example.org/tiny_400m.pt",
        "hf_hub": "",
        "quick_gelu": True,
        "resize_mode": "squash",
    }
    published = {"study": {**tag, **OTHER_PREPROCESS}}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "small-quickgelu", published)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "small", published)
    Tiny(tmp_path, {**VIT, "quick_gelu": False}, "small")
    return Tiny(tmp_path, VIT, "small-quickgelu")


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max() / np.abs(other).max())


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def text_embeddings(tiny: Tiny, concepts: tuple[str, ...], templates: tuple[str, ...]) -> np.ndarray:
    """The recipe, plainly; shape (16, n concepts)."""
    columns = []
    for concept in concepts:
        tokens = open_clip.tokenize([template.format(concept) for template in templates])
        with torch.no_grad():
            mean = unit(tiny.model.encode_text(tokens).numpy()).mean(axis=0)
        columns.append(mean / np.linalg.norm(mean))
    return np.stack(columns, axis=1)


# --- equal to open_clip ---------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
def test_rows_are_open_clips(network: str, tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, NETWORKS[network], f"tiny-{network}")
    assert distance(tiny.rows(normalize=False), tiny.upstream()) < 1e-5
    assert distance(tiny.rows(), unit(tiny.upstream())) < 1e-5


@pytest.mark.parametrize(("fit", "mode"), [("crop", "shortest"), ("pad", "longest"), ("squash", "squash")])
def test_each_fit_is_one_of_open_clips(tiny: Tiny, fit: str, mode: str) -> None:
    rows = tiny.rows(fit=fit, normalize=False)
    assert distance(rows, tiny.upstream(image_resize_mode=mode)) < 1e-5
    if fit != "crop":
        assert distance(rows, tiny.upstream()) > 1e-3


def test_a_tag_brings_its_own_preprocessing(tagged: Tiny) -> None:
    extractor = tagged.build(arch="small-quickgelu", pretrained="study", normalize=False)
    said = {f"image_{key}": value for key, value in OTHER_PREPROCESS.items()}
    assert (
        distance(extractor(sample_images()).values, tagged.upstream(image_resize_mode="squash", **said))
        < 1e-5
    )
    assert OTHER_PREPROCESS.items() <= extractor.spec.params["preprocess"].items()
    assert extractor.spec.params["preprocess"]["resize_mode"] == "squash"
    assert extractor.spec.params["preprocess"]["size"] == [32, 32]


def test_without_a_tag_preprocessing_is_open_clips_default_or_the_configs(tiny: Tiny, tmp_path: Path) -> None:
    assert tiny.build().spec.params["preprocess"]["mean"] == list(open_clip.OPENAI_DATASET_MEAN)
    hub = tmp_path / "open_clip_config.json"
    hub.write_text(json.dumps({"model_cfg": VIT, "preprocess_cfg": {"size": 32, **OTHER_PREPROCESS}}))
    extractor = tiny.build(arch=str(hub), normalize=False)
    said = {f"image_{key}": value for key, value in OTHER_PREPROCESS.items()}
    assert distance(extractor(sample_images()).values, tiny.upstream(**said)) < 1e-5


def test_rows_conform(tiny: Tiny) -> None:
    for params in ({}, {"normalize": False, "concepts": CONCEPTS}):
        extractor = tiny.build(**params)
        check_rows(extractor, sample_images())
        check_batches(extractor, sample_images(), 1e-5)
        check_threads(extractor, sample_images(), 1e-5)
        check_read_only(extractor, sample_images())


def test_half_precision_is_near_and_its_concepts_are_compared_in_full(tiny: Tiny) -> None:
    full, half = tiny.rows(concepts=CONCEPTS), tiny.rows(concepts=CONCEPTS, precision="bf16")
    assert 0 < distance(half, full) < 0.1
    texts = text_embeddings(tiny, CONCEPTS, words.TEMPLATES)
    assert np.allclose(half[:, :16] @ texts, half[:, 16:], atol=1e-5)


# --- concepts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", [True, False])
def test_concepts_are_cosines_to_the_mean_of_the_templates(tiny: Tiny, normalize: bool) -> None:
    templates = ("a drawing of {}", "{}")
    extractor = tiny.build(concepts=CONCEPTS, templates=templates, normalize=normalize)
    assert extractor.spec.columns[15:] == ("e015", *(f"concept: {concept}" for concept in CONCEPTS))
    expected = unit(tiny.upstream()) @ text_embeddings(tiny, CONCEPTS, templates)
    rows = extractor(sample_images()).values
    assert distance(rows[:, 16:], expected) < 1e-5
    assert np.abs(rows[:, 16:]).max() <= 1 + 1e-6
    assert np.array_equal(rows[:, :16], tiny.rows(normalize=normalize))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"concepts": ("a scar", " ")}, r"concepts\[1\]: ' ' is empty"),
        ({"concepts": ("a scar", "A  Scar")}, r"concepts\[1\]: 'A  Scar' stands there twice"),
        ({"templates": ("a drawing",)}, r"templates\[0\]: 'a drawing' needs one {}"),
        ({"concepts": ("a scar",), "templates": ()}, "templates: empty"),
    ],
)
def test_texts_that_make_no_columns_are_refused_before_anything_is_loaded(params: dict, said: str) -> None:
    with pytest.raises(ParamsError, match=f"extractors.clip.{said}"):
        clip.weights(**params)


def test_the_ready_list_is_documented_and_can_be_used(tiny: Tiny) -> None:
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    ready = [concept for concepts in words.CONVENTIONS.values() for concept in concepts]
    listed = [line.split("- ", 1)[1] for line in text.splitlines() if line.startswith("      - a character")]
    assert listed == ready
    assert all(f"`{hypothesis}`" in text for hypothesis in words.CONVENTIONS)
    assert all(f"`{template}`" in text for template in words.TEMPLATES)
    assert len(tiny.build(concepts=tuple(ready)).spec.columns) == 16 + len(ready)


@pytest.mark.parametrize("part", ["hf_tokenizer_name", "hf_model_name"])
def test_a_part_that_only_the_hub_has_is_named(tiny: Tiny, tmp_path: Path, part: str) -> None:
    if "transformers" in sys.modules:
        pytest.skip("transformers is installed")
    own = tmp_path / "foreign.json"
    own.write_text(json.dumps({**VIT, "text_cfg": {**TEXT, part: "someone/words"}}))
    if part == "hf_tokenizer_name":
        tiny.build(arch=str(own))  # embeddings need no tokenizer
    with pytest.raises(MissingExtra, match=r"of someone/words; run: python -m pip install transformers"):
        tiny.build(arch=str(own), concepts=CONCEPTS)


def test_a_hub_that_does_not_answer_is_one_line(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "transformers.py").write_text(
        "class AutoTokenizer:\n"
        "    def from_pretrained(name, **_):\n"
        "        raise OSError('We could not\\nconnect to the hub')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = tmp_path / "foreign.json"
    own.write_text(json.dumps({**VIT, "text_cfg": {**TEXT, "hf_tokenizer_name": "someone/words"}}))
    try:
        with pytest.raises(MissingWeights, match=r"tokenizer of someone/words.*could not connect"):
            tiny.build(arch=str(own), concepts=CONCEPTS)
    finally:
        sys.modules.pop("transformers", None)


# --- the fingerprint ------------------------------------------------------------------------------


def test_every_param_moves_the_fingerprint(tiny: Tiny, tagged: Tiny) -> None:
    other_file = tiny.file.with_name("other.pt")
    torch.save({key: value + 1 for key, value in tiny.model.state_dict().items()}, other_file)
    other_config = tiny.json.with_name("other.json")
    other_config.write_text(json.dumps({**VIT, "quick_gelu": False}))
    renamed = {"arch": "small-quickgelu"}
    specs = [
        tiny.build(**params).spec
        for params in (
            {}, {"file": other_file}, {"arch": str(other_config)}, renamed, {**renamed, "pretrained": "study"},
            {"fit": "crop"}, {"fit": "pad"}, {"fit": "squash"}, {"normalize": False},
            {"precision": "bf16"}, {"precision": "fp16"}, {"concepts": CONCEPTS}, {"concepts": CONCEPTS[::-1]},
            {"templates": ("{}",)}, {"concepts": CONCEPTS, "templates": ("{}",)},
        )
    ]  # fmt: skip
    assert len({spec.fingerprint for spec in specs}) == len(specs)
    assert tiny.build().spec.fingerprint == specs[0].fingerprint
    assert all(FeatureSpec.from_json(spec.to_json()) == spec for spec in specs)


def test_a_configs_content_moves_the_fingerprint_and_its_layout_and_place_do_not(
    tiny: Tiny, tmp_path: Path
) -> None:
    first = tiny.build().spec
    moved = tmp_path / tiny.json.name
    moved.write_text(json.dumps(VIT, indent=4))
    assert tiny.build(arch=str(moved)).spec.fingerprint == first.fingerprint
    moved.write_text(json.dumps({**VIT, "quick_gelu": False}))
    assert tiny.build(arch=str(moved)).spec.fingerprint != first.fingerprint
    assert distance(tiny.rows(arch=str(moved)), tiny.rows()) > 1e-4, "the config was not read again"
    assert str(tmp_path) not in first.to_json()


# --- files ----------------------------------------------------------------------------------------


def as_safetensors(tiny: Tiny, path: Path) -> None:
    from safetensors.torch import save_file

    save_file({key: value.contiguous() for key, value in tiny.model.state_dict().items()}, path)


def as_checkpoint(tiny: Tiny, path: Path) -> None:
    """As open_clip's training leaves it, from several GPUs."""
    state = {f"module.{key}": value for key, value in tiny.model.state_dict().items()}
    torch.save({"epoch": 3, "name": "mine", "state_dict": state, "optimizer": {"lr": 0.1}}, path)


def as_torchscript(tiny: Tiny, path: Path) -> None:
    """As OpenAI published its files: an archive with code, 16 bits, and three numbers that are no weights."""
    holder = torch.nn.Module()
    for key, value in tiny.model.state_dict().items():
        *parents, leaf = key.split(".")
        place = holder
        for parent in parents:
            if not hasattr(place, parent):
                place.add_module(parent, torch.nn.Module())
            place = getattr(place, parent)
        place.register_parameter(leaf, torch.nn.Parameter(value.half()))
    for name in ("input_resolution", "context_length", "vocab_size"):
        holder.register_buffer(name, torch.tensor(32))
    holder.forward = lambda x: x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(holder, torch.zeros(1)).save(str(path))


@pytest.mark.parametrize(
    ("write", "name", "tolerance"),
    [
        (as_safetensors, "tiny.safetensors", 0),
        (as_checkpoint, "epoch_3.pt", 0),
        (as_torchscript, "ViT-tiny.pt", 1e-2),
    ],
)
def test_every_published_kind_of_file_loads(
    tiny: Tiny, tmp_path: Path, write: Callable, name: str, tolerance: float
) -> None:
    write(tiny, tmp_path / name)
    params = {"normalize": False, "concepts": CONCEPTS}
    assert distance(tiny.rows(file=tmp_path / name, **params), tiny.rows(**params)) <= tolerance


def test_a_torchscript_file_gives_the_rows_of_its_16_bit_weights(tiny: Tiny, tmp_path: Path) -> None:
    as_torchscript(tiny, tmp_path / "script.pt")
    rounded = copy.deepcopy(tiny.model).half().float()
    torch.save(rounded.state_dict(), tmp_path / "plain.pt")
    same = [tiny.rows(file=tmp_path / name, concepts=CONCEPTS) for name in ("script.pt", "plain.pt")]
    assert np.array_equal(*same)


def broken_files(tiny: Tiny, folder: Path) -> dict[str, Path]:
    state = tiny.model.state_dict()
    torch.save({k: v for k, v in state.items() if k != "visual.proj"}, folder / "missing_one.pt")
    torch.save({**state, "visual.more": torch.zeros(1)}, folder / "one_too_many.pt")
    torch.save({}, folder / "empty.pt")
    torch.save([1, 2], folder / "a_list.pt")
    (folder / "text.pt").write_text("no weights at all")
    (folder / "text.safetensors").write_text("no weights at all")
    (folder / "zero.pt").write_bytes(b"")
    (folder / "cut.pt").write_bytes(tiny.file.read_bytes()[:2000])
    np.savez(folder / "arrays.npz", a=np.zeros(3))
    as_torchscript(Tiny(folder, RESNET, "wrong"), folder / "other_script.pt")
    Tiny(folder, {**VIT, "vision_cfg": {**VIT["vision_cfg"], "image_size": 64}}, "larger")
    return {
        file.name: file
        for file in (*folder.glob("*.pt"), *folder.glob("*.safetensors"), *folder.glob("*.npz"))
    }


def test_any_other_file_is_refused_by_name(tiny: Tiny, tmp_path: Path) -> None:
    files = broken_files(tiny, tmp_path)
    assert len(files) == 12
    for name, file in files.items():
        with pytest.raises(WeightsDamaged, match=f"{name}: no weights of this network") as error:
            tiny.build(file=file)
        assert "\n" not in str(error.value)


def test_a_flipped_byte_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    flipped = bytearray(tiny.file.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (tmp_path / "flipped.pt").write_bytes(flipped)
    sha256 = tiny.build().spec.weights["tiny.own"]
    assert tiny.build(sha256=sha256)
    with pytest.raises(WeightsDamaged, match="is not the"):
        tiny.build(file=tmp_path / "flipped.pt", sha256=sha256)


def test_nothing_is_logged_and_logging_is_left_as_it_was(
    tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.filters[:]
    tiny.build(concepts=CONCEPTS)
    assert (root.handlers, root.filters) == before
    assert not caplog.records


# --- what is published ----------------------------------------------------------------------------


def test_the_default_is_pinned_and_agrees_with_open_clip() -> None:
    (wanted,) = clip.weights()
    published = open_clip.get_pretrained_cfg(clip.ARCH, clip.PRETRAINED)
    assert wanted.url == published["url"]
    assert wanted.sha256 == published["url"].split("/")[-2]
    assert open_clip.get_model_config(clip.ARCH)["embed_dim"] == clip.CARD.n_columns
    assert clip._recipe(clip.ARCH, clip.PRETRAINED).preprocess["resize_mode"] == "shortest"


def test_the_default_is_known_without_torch() -> None:
    code = (
        "import sys; from extractors.zoo import clip; clip.weights(); clip.weights(file='mine.pt');"
        "sys.exit(bool({'torch', 'open_clip', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_every_tag_of_open_clip_names_a_file_of_its_own_or_is_refused() -> None:
    places: dict[str, set[str]] = {}
    refused = []
    for arch, tag in open_clip.list_pretrained():
        activation = [
            kind.get("quick_gelu", False)
            for kind in (open_clip.get_model_config(arch), open_clip.get_pretrained_cfg(arch, tag))
        ]
        if activation[0] != activation[1]:
            with pytest.raises(ParamsError, match="QuickGELU"):
                clip.weights(arch=arch, pretrained=tag)
            refused.append(arch)
            continue
        (wanted,) = clip.weights(arch=arch, pretrained=tag)
        assert wanted.url.startswith("https://")
        assert len(wanted.sha256) in (0, 64)
        assert wanted.sha256 or tag != "openai"
        places.setdefault(wanted.name, set()).add(wanted.url)
    assert all(len(urls) == 1 for urls in places.values())
    assert len(places) > 100
    assert set(refused) & {"ViT-L-14", "RN50"} == {"ViT-L-14", "RN50"}
    assert not [arch for arch in refused if arch.endswith("-quickgelu")]


def test_a_tag_on_the_hub_alone_is_named_after_it() -> None:
    (wanted,) = clip.weights(arch="ViT-B-32", pretrained="laion2b_s34b_b79k")
    assert wanted.name == "ViT-B-32.laion2b_s34b_b79k.safetensors"
    repository = "https://huggingface.co/laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
    assert wanted.url == f"{repository}/resolve/main/open_clip_model.safetensors"
    (bin_file,) = clip.weights(arch="ViTamin-S", pretrained="datacomp1b")
    assert bin_file.name == "ViTamin-S.datacomp1b.bin"
    assert bin_file.url.endswith("ViTamin-S/resolve/main/pytorch_model.bin")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {"arch": "ViT-L-14"},
            "arch: openai was trained with QuickGELU, which ViT-L-14 lacks; set .*arch to ViT-L-14-quickgelu",
        ),
        (
            {"arch": "ViT-L/14-quickgelu"},
            "arch: open_clip has no 'ViT-L/14-quickgelu'; near it: ViT-L-14-quickgelu",
        ),
        ({"arch": "zzz"}, "arch: open_clip has no 'zzz'"),
        ({"pretrained": "openia"}, "pretrained: ViT-L-14-quickgelu has no weights 'openia'; near it: openai"),
        (
            {"arch": "ViT-S-16", "pretrained": "openai"},
            "pretrained: .*it has none; name extractors.clip.file",
        ),
        ({"pretrained": None}, "pretrained: empty, and so is extractors.clip.file"),
        ({"pretrained": ""}, "pretrained: empty, and so is extractors.clip.file"),
        ({"arch": "nowhere.json", "pretrained": None}, "arch: nowhere.json is no model config"),
    ],
)
def test_what_does_not_exist_or_fit_is_an_error_that_says_what_does(params: dict, said: str) -> None:
    with pytest.raises(ParamsError, match=f"extractors.clip.{said}"):
        clip.weights(**params)


def test_a_quickgelu_mismatch_is_an_error_with_a_local_file_too(tagged: Tiny) -> None:
    with pytest.raises(
        ParamsError, match=r"study was trained with QuickGELU, which small lacks; set .* to small-quickgelu"
    ):
        tagged.build(arch="small", pretrained="study")
    assert tagged.build(arch="small-quickgelu", pretrained="study")
    assert tagged.build(arch="small"), "without a tag nothing says how it was trained"


@pytest.mark.parametrize("text", ["{", "[]", '{"embed_dim": 16}', '"vit"'])
def test_a_json_file_that_is_no_model_config_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(text)
    with pytest.raises(
        ParamsError, match=r"extractors.clip.arch: .*mine.json is no model config of open_clip"
    ):
        clip.weights(arch=str(file), pretrained=None, file="mine.pt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vision_cfg": {"patches": 3}}, "open_clip makes no model of mine.json"),
        ({"vision_cfg": {**VIT["vision_cfg"], "image_size": [32, 64]}}, "only squares"),
    ],
)
def test_a_model_config_that_cannot_be_used_is_refused(
    tiny: Tiny, tmp_path: Path, change: dict, said: str
) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({**VIT, **change}))
    with pytest.raises(ParamsError, match=f"extractors.clip.arch: .*{said}"):
        tiny.build(arch=str(file))


def test_a_config_of_ones_own_has_no_tag_and_may_be_called_like_open_clips(
    tiny: Tiny, tmp_path: Path
) -> None:
    with pytest.raises(ParamsError, match=r"tiny.json has no weights 'openai'; leave it empty"):
        clip.weights(arch=str(tiny.json), file=str(tiny.file))
    file = tmp_path / "ViT-B-32.json"
    file.write_text(json.dumps(VIT))
    before = open_clip.get_model_config("ViT-B-32")
    assert np.array_equal(tiny.rows(arch=str(file)), tiny.rows())
    assert open_clip.get_model_config("ViT-B-32") == before


def test_a_published_file_under_another_name_is_what_loaded_says(tmp_path: Path) -> None:
    (wanted,) = clip.weights(file=str(tmp_path / "copy.safetensors"))
    assert (wanted.name, wanted.sha256, wanted.licence) == ("ViT-L-14.pt", "", "your own file")
    (wanted,) = clip.weights(sha256="ab" * 32)
    assert (wanted.name, wanted.sha256, wanted.n_bytes) == ("ViT-L-14.pt", "ab" * 32, 0)
