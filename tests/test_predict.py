from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, encoded, picture
from scipy.special import expit

from classifiers.data import Study, check_model, read_study
from classifiers.embedding import build_extractors, check_extractors, stored_fingerprints
from classifiers.persistence.artifact import load_model, save_model
from classifiers.prediction.inbox import expanded, find_files
from classifiers.prediction.neighbours import space_of
from classifiers.prediction.predict import predict
from classifiers.prediction.replies import Replies
from classifiers.registry import make_head
from classifiers.train import fit_on_train, model_card
from extractors.base import Rows
from extractors.run import extract
from extractors.zoo import design
from featurestore.cache import RowCache
from featurestore.dataset import DatasetRow, image_places, write_table
from featurestore.errors import DataError, StoreDamaged
from featurestore.fuse import fuse, write_stores
from featurestore.index import build_index
from featurestore.params import DecisionParams, RuntimeParams
from featurestore.scan import IndexOptions, scan
from featurestore.spec import FeatureSpec, Status

MAX_PIXELS = 50_000_000
N_IMAGES = 48


def build_house(root: Path, labels: tuple[str, ...] = ("hero", "villain"), **decision: Any) -> Path:
    """data/, dataset.csv, features.h5, model/ and params.yaml, as the stages leave them."""
    for code, label in enumerate(labels):
        for i in range(N_IMAGES // len(labels)):
            file = root / "data/images" / label / f"series{i}" / f"{label}{i}.png"
            file.parent.mkdir(parents=True)
            pixels = np.clip(
                picture(100 * code + i).astype(int) // 2 + 50 * code, 0, 255
            )  # villains are lighter
            file.write_bytes(encoded(pixels.astype(np.uint8)))
    options = IndexOptions()
    index = build_index(scan(root / "data", options), options)
    write_table(root / "dataset.csv", index.rows, DatasetRow)
    paths = image_places(root / "dataset.csv", root / "data")
    extract(
        design.build(), paths, RowCache(root / "cache"), root / "features/design.h5",
        root=root / "data", max_pixels=MAX_PIXELS, runtime=RuntimeParams(workers=1),
    )  # fmt: skip
    fused = fuse(list(paths), {"design": root / "features/design.h5"}, root / "features.h5")
    write_stores(fused, root / "results/stores.json")
    study = opened(root)
    how = DecisionParams(**decision)
    head = make_head(
        "logreg", {}, seed=42, n_classes=len(labels), positive=len(labels) - 1, decision=how
    )  # fmt: skip
    fitted = fit_on_train(study, head)
    card = model_card(study, "logreg", {}, seed=42, positive=labels[-1], decision=how, fitted=fitted)
    save_model(root / "model", fitted, card)
    shutil.copy(ROOT / "params.yaml", root)
    return root


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_house(tmp_path_factory.mktemp("house"))


def opened(root: Path) -> Study:
    return read_study(root / "features.h5", root / "dataset.csv", group_by="series")


def design_of(study: Study, **how: Any) -> dict[str, Any]:
    given = {"imported": (), "weights": Path("nowhere"), "folders": (), "device": "auto", **how}
    return build_extractors(study.blocks, {"design": {"fit": "crop"}}, **given)


def ask(root: Path, *paths: Path, **how: Any) -> Replies:
    study = opened(root)
    head, card = load_model(root / "model")
    check_model(card, study)
    how = {"max_pixels": MAX_PIXELS, "seed": 42, **how}
    extractors = how.pop("extractors", None) or design_of(study)
    return predict(paths, study, head, card, extractors, **how)


def files_of(root: Path, split: str) -> list[Path]:
    study = opened(root)
    return [root / "data" / str(study.paths[row]) for row in study.rows_of(split)]


def strange(seed: int = 999) -> np.ndarray:
    return np.asarray(picture(seed) // 2 + 5)


def stranger(folder: Path, name: str = "new.png", seed: int = 999) -> Path:
    path = folder / name
    path.write_bytes(encoded(strange(seed)))
    return path


# ---- the answer


def test_an_image_of_the_study_gets_exactly_the_row_and_the_probability_of_the_store(house: Path) -> None:
    study = opened(house)
    head, _ = load_model(house / "model")
    rows = study.rows_of("train", "val")
    replies = ask(house, *(house / "data" / str(study.paths[row]) for row in rows))
    stored = head.predict_proba(study.features.iloc[rows])
    for row, expected, one in zip(rows, stored, replies.predictions, strict=True):
        assert one.key == study.keys[row]
        assert list(one.probability.values()) == expected.tolist()
    labels = head.predict(study.features.iloc[rows]).tolist()
    assert [one.label for one in replies.predictions] == labels
    assert replies.exit_code == 0


def test_a_new_picture_gets_a_label_probabilities_and_five_training_images(
    house: Path, tmp_path: Path
) -> None:
    (one,) = ask(house, stranger(tmp_path)).predictions
    assert set(one.probability) == {"hero", "villain"}
    assert sum(one.probability.values()) == pytest.approx(1)
    assert one.label == max(one.probability, key=lambda name: one.probability[name])
    assert one.known is None
    assert one.explanation is None
    assert len(one.neighbours) == 5


def test_neighbours_are_training_images_and_the_nearest_by_standardised_columns(
    house: Path, tmp_path: Path
) -> None:
    study = opened(house)
    train = study.rows_of("train")
    values = study.features.to_numpy()[train]
    spread = np.where(values.std(axis=0) > 0, values.std(axis=0), 1)
    new = stranger(tmp_path)
    row = np.asarray(design.build()([strange()]).values[0], dtype=np.float64)
    distances = np.sqrt((((values - row) / spread) ** 2).mean(axis=1))
    expected = sorted(zip(distances, study.paths[train], strict=True))[:5]
    (one,) = ask(house, new).predictions
    assert [(n.distance, n.path) for n in one.neighbours] == [
        (pytest.approx(distance), str(path)) for distance, path in expected
    ]
    labels = dict(zip(study.paths, study.labels, strict=True))
    assert [n.label for n in one.neighbours] == [labels[n.path] for n in one.neighbours]


def test_no_image_of_val_or_test_is_ever_a_neighbour(house: Path) -> None:
    study = opened(house)
    trained = set(study.paths[study.rows_of("train")])
    replies = ask(house, *files_of(house, "val"), *files_of(house, "test"))
    assert {n.path for one in replies.predictions for n in one.neighbours} <= trained


def test_a_training_image_says_so_and_is_not_its_own_neighbour(house: Path, tmp_path: Path) -> None:
    file = files_of(house, "train")[3]
    shutil.copy(file, tmp_path / "copy.png")
    (one,) = ask(house, tmp_path / "copy.png").predictions
    assert one.known is not None
    assert (house / "data" / one.known.path, one.known.split) == (file, "train")
    assert one.known.path not in [n.path for n in one.neighbours]
    assert (
        f"It is the training image {one.known.path}: what the model says of it is no evidence."
        in " ".join(one.text().split())
    )


@pytest.mark.parametrize(
    ("split", "said"), [("val", "models are chosen by val"), ("test", "of the locked test split")]
)
def test_images_of_val_and_test_say_what_they_are(house: Path, split: str, said: str) -> None:
    (one,) = ask(house, files_of(house, split)[0]).predictions
    assert one.known is not None
    assert one.known.split == split
    assert said in " ".join(one.text().split())


def test_a_picture_unlike_all_training_images_is_warned_of_and_they_are_not(
    house: Path, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    (tmp_path / "noise.png").write_bytes(encoded(noise))
    (one,) = ask(house, tmp_path / "noise.png").predictions
    assert one.far
    assert one.distance == one.neighbours[-1].distance
    assert one.distance > one.limit
    assert "Far from the training images" in one.text()
    own = ask(house, *files_of(house, "train")).predictions
    assert sum(bool(other.far) for other in own) <= 0.04 * len(own)
    assert "Far from" not in min(own, key=lambda other: other.distance or 0).text()


def test_three_classes_are_told_with_their_probabilities_the_answer_first(tmp_path: Path) -> None:
    root = build_house(tmp_path, ("antihero", "hero", "villain"))
    (one,) = ask(root, stranger(tmp_path), explain=True).predictions
    assert list(one.probability) == ["antihero", "hero", "villain"]
    assert one.text().splitlines()[1].startswith(f"  {one.label} {one.probability[one.label]:.3f}   ")
    why = one.explanation
    assert why is not None
    assert why.label == one.label
    others = [np.log(p) for name, p in one.probability.items() if name != one.label]
    assert why.answer == pytest.approx(np.log(one.probability[one.label]) - np.mean(others))


def test_the_first_line_says_which_model_answers_and_how_it_decides(house: Path, tmp_path: Path) -> None:
    new = stranger(tmp_path)
    first = ask(house, new).text().splitlines()[0]
    assert first.startswith("logreg, fitted on ")
    assert first.endswith("probabilities as the head gives them, not calibrated")
    tuned = build_house(tmp_path / "tuned", threshold="f1", calibration="sigmoid")
    said = ask(tuned, new).text().splitlines()[0]
    assert "probabilities calibrated by a sigmoid; villain from 0." in said


# ---- why


def test_contributions_add_up_and_stand_beside_value_and_percentile(house: Path, tmp_path: Path) -> None:
    (one,) = ask(house, stranger(tmp_path), explain=True).predictions
    why = one.explanation
    assert why is not None
    assert (why.label, why.unit, why.method) == (one.label, "log-odds", "closed form")
    assert why.base + sum(c.contribution for c in why.contributions) == pytest.approx(why.answer)
    assert expit(why.answer) == pytest.approx(one.probability[one.label])
    sizes = [abs(c.contribution) for c in why.contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert {c.feature for c in why.contributions} == {f"design/{name}" for name in design.COLUMNS}
    study = opened(house)
    values = dict(zip(design.COLUMNS, design.build()([strange()]).values[0], strict=True))
    for c in why.contributions[:10]:
        trained = study.features[c.feature].to_numpy()[study.rows_of("train")]
        assert c.value == values[c.feature.partition("/")[2]]
        below, same = (trained < c.value).mean(), (trained == c.value).mean()
        assert c.percentile == pytest.approx(100 * (below + same / 2))


def test_the_text_shows_the_largest_contributions_and_sums_the_others(house: Path, tmp_path: Path) -> None:
    (one,) = ask(house, stranger(tmp_path), explain=True).predictions
    why = one.explanation
    assert why is not None
    text = one.text()
    first = why.contributions[0]
    assert f"{first.contribution:+.2f}  {first.feature.removeprefix('design/')} " in text
    rest = sum(c.contribution for c in why.contributions[8:])
    moving = sum(c.contribution != 0 for c in why.contributions)
    assert f"{rest:+.2f}  {moving - 8} other features" in text


class Embedding:
    """An extractor whose columns nobody can read, and who finds no face in what is dark."""

    thread_safe = True

    def __init__(self, name: str = "face") -> None:
        self.spec = FeatureSpec(name, 1, {}, tuple(f"e{i:03d}" for i in range(20)))

    def __call__(self, images: Any) -> Rows:
        status = np.array([Status.NO_FACE if i.mean() < 100 else Status.OK for i in images], dtype=np.uint8)
        values = np.array([np.resize(i.mean(axis=(0, 1)), 20) for i in images], dtype=np.float32)
        return Rows(np.where(status[:, None] == Status.OK, values, np.nan).astype(np.float32), status)


def with_embedding(study: Study) -> tuple[Study, dict[str, Any]]:
    """The study with a second extractor, and both extractors."""
    rng = np.random.default_rng(0)
    features = study.features.copy()
    for name in Embedding().spec.columns:
        features[f"face/{name}"] = rng.normal(128, 20, len(features))
    status = np.column_stack([study.status, np.zeros(len(features), np.uint8)])
    both = dataclasses.replace(study, features=features, blocks=("design", "face"), status=status)
    return both, {**design_of(study), "face": Embedding()}


def test_an_embedding_is_told_as_one_and_a_row_that_it_lacks_is_said(house: Path, tmp_path: Path) -> None:
    study, extractors = with_embedding(opened(house))
    head = fit_on_train(study, make_head("logreg", {}, seed=0, n_classes=2, positive=1))
    card = model_card(study, "logreg", {}, seed=0, positive="villain", fitted=head)
    dark = tmp_path / "dark.png"
    dark.write_bytes(encoded((picture(5) // 4).astype(np.uint8)))
    light = tmp_path / "light.png"
    light.write_bytes(encoded((picture(6) // 2 + 120).astype(np.uint8)))
    replies = predict(
        [dark, light], study, head, card, extractors, max_pixels=MAX_PIXELS, seed=0, explain=True
    )
    one, other = replies.predictions
    assert one.missing == {"face": "no_face"}
    assert "No row by face (no_face): the training images' medians stand for it." in one.text()
    assert other.missing == {}
    for reply in (one, other):
        assert reply.explanation is not None
        (face,) = (c for c in reply.explanation.contributions if c.feature == "face")
        assert (face.value, face.percentile) == (None, None)
        assert len(reply.explanation.contributions) == 64
        total = sum(c.contribution for c in reply.explanation.contributions)
        assert expit(reply.explanation.base + total) == pytest.approx(reply.probability[reply.label])


def test_a_head_that_looks_at_nothing_is_explained_by_nothing(house: Path, tmp_path: Path) -> None:
    study = opened(house)
    head = fit_on_train(study, make_head("dummy", {}, seed=0, n_classes=2, positive=1))
    card = model_card(study, "dummy", {}, seed=0, positive="villain")
    replies = predict(
        [stranger(tmp_path)], study, head, card, design_of(study),
        max_pixels=MAX_PIXELS, seed=0, explain=True,
    )  # fmt: skip
    assert "nothing in the picture speaks for or against" in replies.text()


# ---- files


def test_what_cannot_be_used_is_a_line_with_its_reason_and_the_others_are_answered(
    house: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.jpg").write_bytes(encoded(picture(1), "JPEG")[:200])
    (tmp_path / "tiny.png").write_bytes(encoded(picture(1, (8, 8))))
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder").mkdir()
    good = stranger(tmp_path)
    names = ("text.png", "cut.jpg", "gone.png", "tiny.png", "empty.png", "folder")
    replies = ask(house, *(tmp_path / name for name in names), good)
    assert [one.path for one in replies.predictions] == [str(good)]
    assert replies.exit_code == 3
    said = {one.path.name: str(one) for one in replies.unusable}
    reasons = ("not_an_image", "corrupt", "no such file", "too_small", "zero bytes", "no picture below")
    for name, reason in zip(names, reasons, strict=True):
        assert said[name].startswith(str(tmp_path / name))
        assert reason in said[name]
        assert "\n" not in said[name]


def test_a_picture_beyond_the_pixel_cap_is_not_decoded(house: Path, tmp_path: Path) -> None:
    replies = ask(house, stranger(tmp_path), max_pixels=100)
    assert "too_many_pixels" in str(replies.unusable[0])
    assert (replies.predictions, replies.exit_code, replies.text(), replies.json()) == ((), 3, "", "[]")


def test_folders_are_looked_through_and_hidden_files_are_not(tmp_path: Path) -> None:
    for name in ("b/deep/z.JPG", "a.png", "b/notes.txt", ".hidden.png", ".git/x.png", "b/y.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files, unusable = find_files([tmp_path, tmp_path / "a.png", tmp_path / "b/notes.txt"])
    names = [path.relative_to(tmp_path).as_posix() for path in files]
    assert names == ["a.png", "b/y.webp", "b/deep/z.JPG", "b/notes.txt"]  # the last by its name
    assert unusable == []


def test_paths_come_from_stdin_too_whatever_bytes_they_are_of() -> None:
    lines = [b"one.png\n", b"\n", b"two words.jpg\r\n", b"\xff.png"]
    found = expanded(["first.png", "-", "last.png"], lines)
    assert [os.fsencode(path) for path in found] == [
        b"first.png", b"one.png", b"two words.jpg", b"\xff.png", b"last.png",
    ]  # fmt: skip


def test_a_link_to_a_picture_is_followed_wherever_it_leads(house: Path, tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(files_of(house, "val")[0])
    (one,) = ask(house, tmp_path / "link.png").predictions
    assert one.known is not None


def test_a_row_that_is_not_finite_is_no_answer(house: Path, tmp_path: Path) -> None:
    class Broken(Embedding):
        def __call__(self, images: Any) -> Rows:
            rows = super().__call__(images)
            rows.values[0, 3] = np.inf
            return rows

    study, extractors = with_embedding(opened(house))
    head = fit_on_train(study, make_head("nb", {}, seed=0, n_classes=2, positive=1))
    card = model_card(study, "nb", {}, seed=0, positive="villain")
    paths = [tmp_path / name for name in ("one.png", "two.png")]
    for i, path in enumerate(paths):
        path.write_bytes(encoded((picture(i) // 2 + 120).astype(np.uint8)))
    broken = {**extractors, "face": Broken()}
    replies = predict(paths, study, head, card, broken, max_pixels=MAX_PIXELS, seed=0)
    assert [one.path for one in replies.predictions] == [str(paths[1])]
    assert str(replies.unusable[0]).endswith("one.png: the row of face is not finite")


# ---- extractors


def test_rows_that_were_imported_cannot_be_computed_and_it_is_said(house: Path) -> None:
    study = dataclasses.replace(opened(house), blocks=("design", "mine"))
    with pytest.raises(DataError, match="the rows of mine were imported"):
        design_of(study, imported=("mine",))


def test_an_extractor_of_other_params_than_the_store_is_refused(house: Path, tmp_path: Path) -> None:
    study, new = opened(house), stranger(tmp_path)
    fingerprints = stored_fingerprints(house / "results/stores.json")
    assert ask(house, new, fingerprints=fingerprints).predictions
    padded = {"design": design.build(fit="pad")}
    with pytest.raises(DataError, match=r"features\.h5 was made by another design"):
        ask(house, new, fingerprints=fingerprints, extractors=padded)
    with pytest.raises(DataError, match=r"features\.h5 was made by another design"):
        check_extractors(design_of(study), study.features.columns[:-1], {})


def test_fingerprints_that_are_gone_are_none_and_damaged_ones_are_an_error(tmp_path: Path) -> None:
    assert stored_fingerprints(tmp_path / "stores.json") == {}
    (tmp_path / "stores.json").write_text('{"stores": [1]}')
    with pytest.raises(StoreDamaged, match=r"stores\.json"):
        stored_fingerprints(tmp_path / "stores.json")


# ---- JSON and text

KEYS = {
    "path", "key", "label", "probability", "far", "distance", "limit", "neighbours", "missing", "known",
    "explanation",
}  # fmt: skip


def test_json_is_one_array_with_the_documented_keys(house: Path, tmp_path: Path) -> None:
    new, known = stranger(tmp_path), files_of(house, "train")[0]
    first, second = json.loads(ask(house, new, known, explain=True).json())
    assert set(first) == set(second) == KEYS
    assert (first["path"], first["key"]) == (str(new), hashlib.sha256(new.read_bytes()).hexdigest())
    assert first["known"] is None
    assert set(second["known"]) == {"path", "label", "split"}
    assert set(first["neighbours"][0]) == {"path", "label", "distance"}
    why = first["explanation"]
    assert set(why) == {"label", "unit", "method", "base", "answer", "contributions"}
    assert set(why["contributions"][0]) == {"feature", "value", "percentile", "contribution"}
    assert len(why["contributions"]) == 63
    assert json.loads(ask(house, new).json())[0]["explanation"] is None
    page = (ROOT / "docs/predict.md").read_text()
    for name in (*KEYS, *why, *why["contributions"][0], *second["known"], *first["neighbours"][0]):
        assert f"`{name}`" in page, name


def test_text_fits_a_terminal_of_a_hundred_columns_and_shows_no_control_character(
    house: Path, tmp_path: Path
) -> None:
    evil = stranger(tmp_path, "a\x1b[31m\nb.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (tmp_path / "noise.png").write_bytes(encoded(noise))
    text = ask(house, evil, tmp_path / "noise.png", files_of(house, "test")[0], explain=True).text()
    assert "\x1b" not in text
    assert "a\\x1b[31m\\nb.png" in text
    lines = [line for line in text.splitlines() if not line.startswith("/")]  # but for a long path
    assert max(map(len, lines[1:])) <= 100


# ---- how far


def test_the_limit_is_what_99_of_100_training_rows_are_within_their_group_left_out() -> None:
    rng = np.random.default_rng(0)
    sisters = np.arange(200) // 8
    values = rng.normal(size=(25, 3))[sisters] + rng.normal(scale=0.01, size=(200, 3))
    groups = np.array([f"g{i}" for i in sisters])
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    fifth = []
    for i in range(200):
        others = groups != groups[i]
        fifth.append(np.sort(np.sqrt(((z[others] - z[i]) ** 2).mean(axis=1)))[4])
    assert space_of(values, ["a"] * 3, groups).limit == pytest.approx(np.quantile(fifth, 0.99))


def test_extractors_weigh_the_same_and_a_missing_one_is_left_out() -> None:
    values = np.array([[0.0, 0.0, 0.0], [2.0, 4.0, 4.0], [1.0, np.nan, np.nan]])
    space = space_of(values, ["a", "b", "b"], np.array(["x", "y", "z"]))
    scale_a, scale_b = np.std([0, 2, 1]), 2.0
    near = space.nearest(np.array([[0.0, 0.0, 0.0]]), k=3)
    assert near.places.tolist() == [[0, 2, 1]]
    only_a = 1 / scale_a
    both = np.sqrt(((2 / scale_a) ** 2 + (4 / scale_b) ** 2) / 2)
    np.testing.assert_allclose(near.distances, [[0.0, only_a, both]])


def test_too_few_training_rows_have_no_limit_and_fewer_neighbours() -> None:
    space = space_of(np.arange(4.0)[:, None], ["a"], np.array(list("wxyz")))
    assert np.isnan(space.limit)
    near = space.nearest(np.array([[0.0], [np.nan]]))
    assert near.places.tolist() == [[0, 1, 2, 3, -1], [-1] * 5]
    assert np.isinf(near.distances[:, 4]).all()


# ---- the command


@pytest.fixture
def shop(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with no more than a model, the rows that it was fitted on, and params."""
    for name in ("dataset.csv", "features.h5", "params.yaml"):
        shutil.copy(house / name, tmp_path)
    shutil.copytree(house / "model", tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "classifiers", "predict", *arguments],
        input=given, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("kyara: error: ")]


def test_the_command_answers_names_what_it_cannot_use_and_ends_with_three(shop: Path) -> None:
    stranger(shop, "one.png")
    stranger(shop, "two.png", seed=998)
    (shop / "bad.png").write_text("no picture")
    done = command("--json", "--explain", "bad.png", "-", given="one.png\ntwo.png\n")
    assert done.returncode == 3
    assert [one["path"] for one in json.loads(done.stdout)] == ["one.png", "two.png"]
    (line,) = errors(done)
    assert line.startswith("kyara: error: bad.png: not_an_image")
    plain = command("one.png")
    assert (plain.returncode, errors(plain)) == (0, [])
    assert plain.stdout == ask(shop, Path("one.png")).text() + "\n"


def test_a_model_is_loaded_without_torch_and_a_linear_one_explained_without_shap(house: Path) -> None:
    code = (
        "import sys; sys.path[:0] = ['tests']; from pathlib import Path; from test_predict import ask;"
        "print(ask(Path(sys.argv[1]), Path(sys.argv[2]), explain=True).exit_code,"
        " [name for name in ('torch', 'shap', 'matplotlib', 'xgboost') if name in sys.modules])"
    )
    given = [sys.executable, "-c", code, str(house), str(files_of(house, "val")[0])]
    done = subprocess.run(given, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"
