"""What an extractor stands on: pinned, locked, learned once, and never another file in silence."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from extractors.base import MADE, Card, Context, Prepared
from extractors.learning import LabelledRows, Surroundings, _identity
from extractors.network import Learner, Normalize, load_state
from extractors.prepare import check_modules, context_of, prepare
from extractors.training import Training
from extractors.weights import WeightsFile, load, read_manifest
from featurestore.dataset import rows_digest
from featurestore.errors import DataError, MissingData, MissingExtra, MissingWeights, WeightsDamaged

QUICK = Training(probe_epochs=3, tune_epochs=2, batch_size=8, rotation_deg=0.0)


def squares(images: Sequence[np.ndarray]) -> Prepared:
    """A picture whose first level is 255 has no face."""
    status = np.array([i[0, 0, 0] == 255 for i in images], np.uint8)
    shown = [i[:16, :16] for i, missing in zip(images, status, strict=True) if not missing]
    return Prepared(np.stack(shown) if shown else np.empty((0, 16, 16, 3), np.uint8), status)


def backbone() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )


def make_learner(*, context: Context, **params: Any) -> Learner:
    made = backbone()
    for loaded in context.weights.values():
        load_state(made, loaded)
    training = params["training"] if params["finetune"] else None
    return Learner(made, 4, (("0",),), squares, Normalize(255.0, (0.5,) * 3, (0.5,) * 3), training,
                   params["design_labels"], params["may_miss"])  # fmt: skip


def published(**params: Any) -> tuple[WeightsFile, ...]:
    own = WeightsFile("toy.pt", params["pinned"], licence="MIT", url="https://example.org/toy.pt")
    return () if params["weights"] == "none" else (own.given(params["file"], params["sha256"]),)


MODULE = cast(
    ModuleType,
    SimpleNamespace(CARD=Card("a toy", 4), VERSION=1, weights=published, learner=make_learner),
)
PARAMS: dict[str, Any] = {
    "weights": "some", "pinned": "", "file": None, "sha256": None, "finetune": False, "design_labels": False,
    "may_miss": False, "training": QUICK,
}  # fmt: skip


class House:
    """Weights folders, pictures and the commands' way of calling."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder, self.weights = root / "weights" / "toy", root / "published"
        self.weights.mkdir()
        self.images = {hashlib.sha256(b"%d" % i).hexdigest(): self.picture(i) for i in range(40)}
        self.asked: list[str] = []
        keys = sorted(self.images)
        self.labels = {key: "villain" if self.images[key].mean() < 100 else "hero" for key in keys}
        self.design = {key: "hero" if i % 2 else "villain" for i, key in enumerate(keys)}
        self.train, self.val = self.rows(keys[:30]), self.rows(keys[30:36])
        self.test = keys[36:]

    def rows(self, keys: Sequence[str]) -> LabelledRows:
        groups = tuple(str(i // 2) for i in range(len(keys)))
        return LabelledRows(tuple(keys), tuple(self.labels[key] for key in keys), groups)

    @staticmethod
    def picture(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return (rng.integers(0, 90, (20, 20, 3)) + 120 * (seed % 2)).astype(np.uint8)

    def image(self, key: str) -> np.ndarray:
        self.asked.append(key)
        return self.images[key]

    def publish(self, seed: int = 0) -> str:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            torch.save(backbone().state_dict(), self.weights / "toy.pt")
        return hashlib.sha256((self.weights / "toy.pt").read_bytes()).hexdigest()

    def surroundings(self, *, seed: int = 42, device: str = "cpu") -> Surroundings:
        return Surroundings(
            train=self.train, val=self.val, classes=("hero", "villain"), image=self.image,
            design_labels=lambda: self.design, kept=self.root / "kept", seed=seed, workers=2, device=device,
        )  # fmt: skip

    def prepare(self, *, seed: int = 42, **params: Any) -> str:
        around = self.surroundings(seed=seed)
        return prepare(
            "toy", MODULE, {**PARAMS, **params}, self.folder,
            find=lambda wanted: load(wanted, [self.weights], extractor="toy"), surroundings=lambda: around,
        )  # fmt: skip

    def context(self, **params: Any) -> Context:
        return context_of(
            self.folder, "toy", MODULE, {**PARAMS, **params}, folders=[self.weights], device="cpu"
        )

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.folder / name).open(newline="") as stream:
            return list(csv.DictReader(stream))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_published_weights_are_pinned_and_checked_again_when_used(house: House) -> None:
    digest = house.publish()
    said = house.prepare(pinned=digest)
    assert "toy.pt (MIT)" in said
    assert house.context(pinned=digest).sha256() == {"toy.pt": digest}
    assert read_manifest(house.folder, "toy").files["toy.pt"]["source"] == "https://example.org/toy.pt"
    house.publish(seed=1)
    with pytest.raises(WeightsDamaged, match="toy asks for"):
        house.context(pinned=digest)
    with pytest.raises(WeightsDamaged, match="toy asks for"):
        house.prepare(pinned=digest)


def test_a_file_without_a_published_digest_is_locked_at_first_use(house: House) -> None:
    first = house.publish()
    house.prepare()
    assert read_manifest(house.folder, "toy").files["toy.pt"]["sha256"] == first
    second = house.publish(seed=1)
    with pytest.raises(WeightsDamaged, match=r"changed since it was prepared; put it back, or if you mean"):
        house.context()
    with pytest.raises(
        WeightsDamaged, match=f"locked to; if you mean this file, set extractors.toy.sha256: {second}"
    ):
        house.prepare()
    house.prepare(sha256=second)
    assert house.context(sha256=second).sha256() == {"toy.pt": second}


def test_missing_weights_leave_everything_as_it_was(house: House) -> None:
    with pytest.raises(MissingWeights, match="run: python -m extractors fetch toy"):
        house.prepare()
    assert not house.folder.exists()
    with pytest.raises(MissingData, match="dvc repro prepare@toy"):
        house.context()


def test_untrained_weights_come_from_the_seed_and_are_called_so(house: House) -> None:
    said = house.prepare(weights="none")
    assert "untrained, random numbers of seed 42" in said
    first = house.context(weights="none")
    assert first.fitted_on == ""
    assert set(first.weights) == {MADE}
    house.prepare(weights="none")
    assert house.context(weights="none").sha256() == first.sha256()
    house.prepare(weights="none", seed=7)
    assert house.context(weights="none").sha256() != first.sha256()
    assert "random numbers of seed 7" in (house.folder / "manifest.json").read_text()
    assert not (house.folder / "history.csv").exists()


def test_a_learner_leaves_weights_a_curve_and_its_own_answer_on_val(house: House) -> None:
    digest = house.publish()
    said = house.prepare(finetune=True)
    assert "learned in 5 epochs from 30 images of train" in said
    manifest = read_manifest(house.folder, "toy")
    assert set(manifest.files) == {MADE}
    assert manifest.made_from["toy.pt"]["sha256"] == digest
    assert manifest.fitted_on == rows_digest(house.train.keys, house.train.labels)
    assert house.context(finetune=True).fitted_on == manifest.fitted_on
    history = house.table("history.csv")
    assert list(history[0]) == ["epoch", "phase", "loss", "holdout_loss", "holdout_accuracy", "best"]
    assert [row["phase"] for row in history] == ["probe"] * 3 + ["tune"] * 2
    assert [row["best"] for row in history].count("True") == 1
    answers = house.table("softmax.csv")
    assert list(answers[0]) == ["key", "split", "design_label", "p_hero", "p_villain"]
    assert [row["key"] for row in answers] == list(house.val.keys)
    for row in answers:
        assert float(row["p_hero"]) + float(row["p_villain"]) == pytest.approx(1, abs=2e-6)
        assert row["design_label"] == ""


def test_nothing_is_learned_twice_and_anything_else_is_learned_anew(house: House) -> None:
    assert "learned in" in house.prepare(weights="none", finetune=True)
    first = (house.folder / MADE).read_bytes()
    shutil.rmtree(house.folder)
    assert "had learned from the same 30 images of train before" in house.prepare(
        weights="none", finetune=True
    )
    assert (house.folder / MADE).read_bytes() == first
    assert "learned in" in house.prepare(weights="none", finetune=True, seed=7)
    assert "learned in" in house.prepare(
        weights="none", finetune=True, training=dataclasses.replace(QUICK, probe_lr=0.01)
    )
    house.train = house.train.only(range(29))
    assert "from 29 images" in house.prepare(weights="none", finetune=True)
    house.publish()
    assert "learned in" in house.prepare(finetune=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("extractors.learning.DECODER_VERSION", 99),
        ("extractors.learning.detector", lambda align: "another detector"),
        ("extractors.learning._VERSION", 99),
        ("extractors.learning.n_threads", lambda workers: 3),
        ("extractors.learning.metadata.version", lambda package: "99"),
    ],
)
def test_what_may_move_the_bits_is_learned_anew(
    house: House, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    house.prepare(weights="none", finetune=True)
    monkeypatch.setattr(name, value)
    assert "learned in" in house.prepare(weights="none", finetune=True)


def test_other_groups_and_another_device_are_learned_anew(house: House) -> None:
    house.prepare(weights="none", finetune=True)
    house.train = dataclasses.replace(house.train, groups=tuple(str(i // 3) for i in range(30)))
    assert "learned in" in house.prepare(weights="none", finetune=True)
    params = {**PARAMS, "weights": "none", "finetune": True}
    around = {
        device: _identity("toy", MODULE, params, {}, house.train.labels, house.surroundings(device=device))
        for device in ("cpu", "cuda")
    }
    assert around["cpu"] != around["cuda"]


def test_the_precision_of_the_extraction_is_no_reason_to_learn_again(house: House) -> None:
    house.prepare(weights="none", finetune=True, precision="fp32")
    assert "had learned" in house.prepare(weights="none", finetune=True, precision="bf16")


@pytest.mark.parametrize("harm", ["flip", "cut", "gone", "list"])
def test_kept_weights_that_are_damaged_are_learned_again(
    house: House, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    house.prepare(weights="none", finetune=True)
    whole = (house.folder / MADE).read_bytes()
    (kept,) = (house.root / "kept" / "toy").iterdir()
    file = kept / ("kept.json" if harm == "list" else MADE)
    data = bytearray(file.read_bytes())
    if harm == "flip":
        data[-1] ^= 1
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(data if harm == "flip" else data[:10])
    assert "learned in" in house.prepare(weights="none", finetune=True)
    assert "it is learned again" in caplog.text
    assert (house.folder / MADE).read_bytes() == whole
    assert "had learned" in house.prepare(weights="none", finetune=True)


def test_the_same_start_learns_the_same_bytes(house: House) -> None:
    found = []
    for kept in ("a", "b"):
        house.root = house.root.parent / kept
        house.prepare(weights="none", finetune=True)
        found.append([(house.folder / name).read_bytes() for name in (MADE, "history.csv", "softmax.csv")])
    assert found[0] == found[1]


def test_design_labels_take_the_place_of_the_labels(house: House) -> None:
    house.prepare(weights="none", finetune=True)
    by_label = (house.folder / MADE).read_bytes()
    said = house.prepare(weights="none", finetune=True, design_labels=True)
    assert "and their design labels" in said
    assert (house.folder / MADE).read_bytes() != by_label
    assert [row["design_label"] for row in house.table("softmax.csv")] == [
        house.design[k] for k in house.val.keys
    ]
    manifest = read_manifest(house.folder, "toy")
    assert manifest.fitted_on == rows_digest(house.train.keys, house.train.labels), "it saw these pictures"


def test_pictures_without_a_face_are_not_learned_from_and_get_the_shares(house: House) -> None:
    for key in (*house.train.keys[:2], house.val.keys[3]):
        house.images[key] = np.full((20, 20, 3), 255, np.uint8)
    house.prepare(weights="none", finetune=True, may_miss=True)
    row = house.table("softmax.csv")[3]
    share = house.train.labels.count("hero") / 30
    assert float(row["p_hero"]) == pytest.approx(share, abs=1e-6)
    for key in house.train.keys:
        house.images[key] = np.full((20, 20, 3), 255, np.uint8)
    with pytest.raises(DataError, match=r"no face in any picture of train; set extractors\.toy\.align: none"):
        house.prepare(weights="none", finetune=True, may_miss=True, seed=1)


def test_what_was_made_is_removed_when_it_is_not_asked_for(house: House) -> None:
    house.publish()
    house.prepare(finetune=True)
    with pytest.raises(DataError, match="is of other params; run: dvc repro prepare@toy"):
        house.context()
    house.prepare()
    assert sorted(p.name for p in house.folder.iterdir()) == ["manifest.json"]
    assert set(house.context().weights) == {"toy.pt"}


def test_made_weights_that_changed_are_refused(house: House) -> None:
    house.prepare(weights="none")
    data = bytearray((house.folder / MADE).read_bytes())
    data[-1] ^= 1
    (house.folder / MADE).write_bytes(data)
    with pytest.raises(WeightsDamaged, match="put it back, or run: dvc repro -f -s prepare@toy"):
        house.context(weights="none")


def test_a_missing_package_is_named(house: House) -> None:
    lacking = cast(ModuleType, SimpleNamespace(CARD=Card("x", 1, "faces", ("no_such_package", "json"))))
    with pytest.raises(
        MissingExtra, match="toy needs no_such_package, not installed here; run: make setup-all"
    ):
        check_modules("toy", lacking)
    check_modules("toy", MODULE)
