"""The ready lines in the docs can be run: DVC takes them, and the params that come out are valid."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from dvc.exceptions import InvalidArgumentError
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps, to_hydra_overrides

from extractors.prepare import needed
from extractors.zoo.clip import ARCH, PRETRAINED
from featurestore import plugins
from featurestore.errors import ParamsError
from featurestore.params import Params, parse_params

PARAMS = "params.yaml"
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]

#: Lines that say nothing of params.
NO_PARAMS = {"dvc exp run"}


def lines_of(text: str) -> Iterator[str]:
    """Every ``dvc exp run`` of a page, from its fenced blocks and from the code inside its text."""
    fences = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    for block in fences:
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("dvc exp run"):
                yield " ".join(line.split())
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    yield from (" ".join(one.split()) for one in re.findall(r"`(dvc exp run[^`]*)`", prose))


LINES = [(page.name, line) for page in PAGES for line in lines_of(page.read_text(encoding="utf-8"))]


def overrides_of(line: str) -> list[str]:
    """What stands behind each -S."""
    words = shlex.split(line, comments=True)
    return [words[i + 1] for i, word in enumerate(words) if word in ("-S", "--set-param")]


def applied(line: str, folder: Path) -> list[dict[str, Any]]:
    """params.yaml of each experiment that a line makes, by DVC's own hands."""
    by_file = to_path_overrides(overrides_of(line))
    assert set(by_file) == {PARAMS}
    sweeps = any(one.is_sweep_override() for one in to_hydra_overrides(by_file[PARAMS]))
    assert not sweeps or "--queue" in line, "DVC takes several values in the queue alone"
    made = []
    for sweep in get_hydra_sweeps(by_file) if sweeps else [by_file]:
        path = folder / PARAMS
        shutil.copy(ROOT / PARAMS, path)
        apply_overrides(path, sweep[PARAMS])
        made.append(yaml.safe_load(path.read_text(encoding="utf-8")))
    return made


def check_features(params: Params, *, slowly: bool = False) -> None:
    """What only an extractor knows of its params: which files they mean, how many parts can learn."""
    for name in params.features:
        module, block = plugins.load("extractors.zoo", name, key="features"), params.extractors[name]
        if slowly or name != "clip" or (block["arch"], block["pretrained"]) == (ARCH, PRETRAINED):
            needed(module, block)  # of another CLIP only open_clip knows, which takes seconds to import
        if "training" in block:
            assert (block["training"].unfreeze or 0) <= len(module.PARTS)


def check_line(line: str, folder: Path, *, slowly: bool = False) -> list[dict[str, Any]]:
    """params.yaml of each experiment of a line, all of them valid."""
    made = applied(line, folder)
    for raw in made:
        check_features(parse_params(raw), slowly=slowly)
    return made


def keys_of(block: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Dotted names of all that is no block."""
    for name, value in block.items():
        inner = vars(value) if hasattr(value, "__dataclass_fields__") else value
        if isinstance(inner, Mapping):
            yield from keys_of(inner, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def missing_keys(raw: Mapping[str, Any]) -> set[str]:
    """Params that the code has and the file does not name."""
    return set(keys_of(vars(parse_params(raw)))) - set(keys_of(raw))


def committed() -> dict[str, Any]:
    return yaml.safe_load((ROOT / PARAMS).read_text(encoding="utf-8"))


def test_the_pages_hold_lines() -> None:
    pages = [page for page, _ in LINES]
    assert pages.count("presets.md") >= 20
    assert {"README.md", "concepts.md", "extractors.md", "heads.md"} <= set(pages)


@pytest.mark.parametrize(("page", "line"), [pair for pair in LINES if pair[1] not in NO_PARAMS])
def test_a_ready_line_gives_valid_params_that_differ_from_the_committed(
    page: str, line: str, tmp_path: Path
) -> None:
    before, made = committed(), check_line(line, tmp_path)
    added = tuple(one[1:].partition("=")[0] for one in overrides_of(line) if one.startswith("+"))
    for raw in made:
        kept = {key for key in keys_of(raw) if not key.startswith(added or "+")}
        assert kept == set(keys_of(before)), f"{page}: a key is lost or new"
    assert any(raw != before for raw in made), f"{page}: a line that changes nothing"
    assert len({yaml.safe_dump(raw) for raw in made}) == len(made), f"{page}: a value stands twice"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("dvc exp run -S extractors.vggface2.training.unfreze=2", InvalidArgumentError),
        ("dvc exp run -S extractors.vggface2.weights=imagenet", ParamsError),
        ("dvc exp run -S 'features=[clip]' -S 'extractors.clip.concepts=[a scar,A  scar]'", ParamsError),
        ("dvc exp run -S 'features=[resnet18]' -S extractors.resnet18.training.unfreeze=6", AssertionError),
        ("dvc exp run -S 'features=[clip],[dlib]'", AssertionError),
    ],
)
def test_a_stale_line_would_be_noticed(line: str, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        check_line(line, tmp_path)


@pytest.mark.slow
def test_a_ready_line_names_an_architecture_and_a_tag_that_open_clip_has(tmp_path: Path) -> None:
    lines = [line for _, line in LINES if "extractors.clip.arch=" in line]
    assert lines
    for line in lines:
        check_line(line, tmp_path, slowly=True)
    stale = lines[0].replace("-quickgelu", "")
    with pytest.raises(ParamsError, match="trained with QuickGELU"):
        check_line(stale, tmp_path, slowly=True)


def test_a_sweep_is_one_experiment_for_each_value(tmp_path: Path) -> None:
    made = applied("dvc exp run --queue -S 'features=[design],[design,clip]' -S seed=1,2", tmp_path)
    assert [(raw["features"], raw["seed"]) for raw in made] == [
        (features, seed) for features in (["design"], ["design", "clip"]) for seed in (1, 2)
    ]


def test_a_line_over_two_lines_and_one_inside_the_text_are_found() -> None:
    text = (
        "Run `dvc exp run -S\nseed=1`.\n\n```sh\ngit status\ndvc exp run -S a=1 \\\n  -S b=2  # or c\n```\n"
    )
    found = list(lines_of(text))
    assert [overrides_of(line) for line in found] == [["a=1", "b=2"], ["seed=1"]]


def test_every_param_of_the_code_stands_in_params_yaml() -> None:
    assert missing_keys(committed()) == set(), "dvc exp run -S cannot set what is not there"


@pytest.mark.parametrize("name", plugins.listing("extractors.zoo"))
def test_a_param_of_an_extractor_that_params_yaml_lacks_is_noticed(name: str) -> None:
    for key in committed()["extractors"][name]:
        raw = committed()
        del raw["extractors"][name][key]
        lacking = missing_keys(raw)
        assert lacking
        assert all(one.startswith(f"extractors.{name}.{key}") for one in lacking)
