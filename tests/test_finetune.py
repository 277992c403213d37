from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from extractors import finetune as finetuning
from extractors.augment import Change, Feed, augment, draw
from extractors.base import Context
from extractors.finetune import Epoch, Learned, finetune, held_out, seeded, softmax, state_of
from extractors.network import Learner, Normalize
from extractors.phases import passes_of
from extractors.training import Training
from featurestore.errors import DataError, KyaraError, MissingDevice, ParamsError, SplitError

SIZE_PX = 24
QUICK = Training(probe_epochs=2, tune_epochs=2, unfreeze=1, probe_lr=1e-2, tune_lr=1e-2, batch_size=8)


class Tiny(torch.nn.Module):
    """Three parts with BatchNorm and 16 columns; the norm can be left out."""

    def __init__(self, norm: bool = True) -> None:
        super().__init__()

        def part(n_in: int, n_out: int) -> torch.nn.Module:
            layers = [torch.nn.Conv2d(n_in, n_out, 3, stride=2, padding=1)]
            layers += [torch.nn.BatchNorm2d(n_out)] if norm else []
            return torch.nn.Sequential(*layers, torch.nn.ReLU())

        self.low, self.middle, self.high = part(3, 8), part(8, 8), part(8, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.high(self.middle(self.low(x))).mean((2, 3))


def tiny(training: Training | None = QUICK, *, norm: bool = True, seed: int = 0) -> Learner:
    with seeded(seed, "cpu"):
        backbone = Tiny(norm)
    return Learner(
        backbone=backbone,
        n_columns=16,
        parts=(("low",), ("middle",), ("high",)),
        prepare=lambda images: pytest.fail("squares come from load"),
        normalize=Normalize(255.0, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        training=training,
    )


class Squares:
    """Rows whose class shows in the direction of their stripes; counts who asks for what."""

    def __init__(self, n: int = 48, *, n_classes: int = 2, start: int = 0) -> None:
        self.labels = np.arange(n) % n_classes
        self.groups = np.array([f"g{i // 4 % 12}" for i in range(n)])
        self.start = start
        self.loads: Counter[int] = Counter()
        self.lock = threading.Lock()

    def __call__(self, row: int) -> npt.NDArray[np.uint8]:
        with self.lock:
            self.loads[row] += 1
        rng = np.random.default_rng(self.start + row)
        ramp = np.arange(SIZE_PX) * (1.3 + 0.4 * rng.random()) + 7 * rng.random()
        angle = self.labels[row] * np.pi / 2
        x, y = np.meshgrid(ramp, ramp)
        wave = 128 + 90 * np.sin(x * np.cos(angle) + y * np.sin(angle))
        noise = rng.normal(0, 20, (SIZE_PX, SIZE_PX, 3))
        return np.clip(wave[..., None] + noise, 0, 255).astype(np.uint8)


def learn(squares: Squares | None = None, learner: Learner | None = None, **options: Any) -> Learned:
    squares, learner = squares or Squares(), learner or tiny()
    given: dict[str, Any] = {
        "n_classes": 2,
        "seed": 7,
        "device": "cpu",
        "workers": 2,
        "threads": 1,
        "progress": lambda epoch: None,
    }
    return finetune(learner, squares, squares.labels, squares.groups, **{**given, **options})


def same(one: Learned, other: Learned) -> bool:
    a, b = state_of(one.module), state_of(other.module)
    return one.history == other.history and all(torch.equal(a[name], b[name]) for name in a)


def changed_parts(before: torch.nn.Module, after: torch.nn.Module) -> set[str]:
    """Children of the backbone of which a weight or a buffer is another."""
    old, new = before.state_dict(), after.state_dict()
    return {name.partition(".")[0] for name in old if not torch.equal(old[name], new[name])}


# learning


def test_it_learns_what_a_class_looks_like() -> None:
    training = Training(
        probe_epochs=3, tune_epochs=12, unfreeze=None, tune_lr=0.05, batch_size=8, rotation_deg=5, patience=12
    )
    learner, fresh = tiny(training), Squares(40, start=10_000)
    before = learn(learner=tiny(Training(probe_epochs=1, tune_epochs=0)))
    learned = learn(Squares(96), learner)
    assert score(learned, learner, fresh) > 0.9
    assert score(before, learner, fresh) < 0.8


def score(learned: Learned, learner: Learner, fresh: Squares) -> float:
    n = len(fresh.labels)
    proba = softmax(learned.module, learner, fresh, n, device="cpu", workers=2, batch_size=16, threads=1)
    return float((proba.argmax(1) == fresh.labels).mean())


def test_the_history_has_a_line_for_each_epoch_and_one_that_is_kept() -> None:
    told: list[Epoch] = []
    history = learn(progress=told.append).history
    assert [(one.epoch, one.phase) for one in history] == [
        (1, "probe"),
        (2, "probe"),
        (3, "tune"),
        (4, "tune"),
    ]
    assert sum(one.best for one in history) == 1
    best = max(history, key=lambda one: (one.holdout_accuracy, -one.holdout_loss))
    assert best.best
    assert [(one.epoch, one.loss) for one in told] == [(one.epoch, one.loss) for one in history]
    assert told[0].best
    assert [one.epoch for one in told if one.best][-1] == best.epoch


@pytest.mark.parametrize(("tune_lr", "phase"), [(0.05, "tune"), (5.0, "probe")])
def test_the_weights_are_those_of_the_epoch_that_is_called_best(tune_lr: float, phase: str) -> None:
    training = Training(
        probe_epochs=3, tune_epochs=5, unfreeze=None, tune_lr=tune_lr, monitor="loss", batch_size=8
    )
    squares, learner = Squares(), tiny(training)
    learned = learn(squares, learner)
    best = next(one for one in learned.history if one.best)
    assert best.phase == phase
    held = held_out(squares.labels, squares.groups, ("number 1", "number 2"), share=training.holdout, seed=7)
    proba = softmax(learned.module, learner, squares, 48, device="cpu", workers=1, batch_size=8, threads=1)
    weights = class_weights(squares.labels[~held])[squares.labels]
    chosen = proba[np.arange(48), squares.labels]
    assert best.holdout_loss == pytest.approx(
        np.average(-np.log(chosen[held]), weights=weights[held]), rel=1e-3
    )
    right = proba.argmax(1) == squares.labels
    recalls = [right[held & (squares.labels == code)].mean() for code in (0, 1)]
    assert best.holdout_accuracy == pytest.approx(np.mean(recalls))


def class_weights(labels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    counts = np.bincount(labels)
    return len(labels) / (len(counts) * counts)


def test_the_learned_module_stands_on_the_cpu_in_eval_mode_and_the_learner_is_untouched() -> None:
    learner = tiny()
    before = {name: value.clone() for name, value in learner.backbone.state_dict().items()}
    module = learn(learner=learner).module
    assert not any(part.training for part in module.modules())
    assert {name for name, _ in module.named_children()} == {"backbone", "head"}
    assert (module.head.in_features, module.head.out_features) == (16, 2)
    assert all(torch.equal(value, before[name]) for name, value in learner.backbone.state_dict().items())


def test_three_classes_are_learned_as_two_are() -> None:
    squares = Squares(72, n_classes=3)
    learned = learn(squares, n_classes=3)
    proba = softmax(learned.module, tiny(), squares, 72, device="cpu", workers=1, batch_size=16, threads=1)
    assert proba.shape == (72, 3)


# what moves and what does not


@pytest.mark.parametrize(
    ("unfreeze", "moved"), [(1, {"high"}), (2, {"middle", "high"}), (None, {"low", "middle", "high"})]
)
def test_fine_tuning_moves_the_last_parts_and_no_bit_of_the_others(
    unfreeze: int | None, moved: set[str]
) -> None:
    learner = tiny(Training(probe_epochs=0, tune_epochs=2, unfreeze=unfreeze, tune_lr=0.01, batch_size=8))
    learned = learn(learner=learner)
    assert changed_parts(learner.backbone, learned.module.backbone) == moved
    for name, part in learned.module.backbone.named_children():
        assert (part[1].num_batches_tracked > 0) == (name in moved)


def test_the_probe_moves_nothing_but_the_classification_layer() -> None:
    learner = tiny(Training(probe_epochs=2, tune_epochs=0))
    one = learn(learner=learner)
    assert changed_parts(learner.backbone, one.module.backbone) == set()
    more = learn(learner=tiny(Training(probe_epochs=4, tune_epochs=0)))
    assert not torch.equal(one.module.head.weight, more.module.head.weight)


def test_fine_tuning_begins_with_the_best_weights_of_the_probe() -> None:
    # the rate is so large that the probe ends far from its best
    probe = Training(probe_epochs=6, probe_lr=3.0, tune_epochs=0, monitor="loss", batch_size=8, patience=6)
    probed = learn(learner=tiny(probe, norm=False)).history
    both = dataclasses.replace(probe, tune_epochs=1, tune_lr=1e-12)
    tuned = learn(learner=tiny(both, norm=False)).history
    best = min(one.holdout_loss for one in probed)
    assert probed[-1].holdout_loss > 1.5 * best
    assert [one.holdout_loss for one in tuned[:-1]] == [one.holdout_loss for one in probed]
    assert tuned[-1].holdout_loss == pytest.approx(best, rel=1e-4)


def test_a_phase_ends_when_its_patience_does() -> None:
    still = Training(probe_epochs=30, probe_lr=1e-12, tune_epochs=0, patience=3, monitor="accuracy")
    wild = Training(probe_epochs=30, probe_lr=30.0, tune_epochs=30, tune_lr=1e-9, patience=4, monitor="loss")
    assert len(learn(learner=tiny(still)).history) < 30
    history = learn(learner=tiny(wild)).history
    for phase in ("probe", "tune"):
        of_phase = [one for one in history if one.phase == phase]
        losses = [one.holdout_loss for one in of_phase]
        assert len(of_phase) == min(30, int(np.argmin(losses)) + 1 + 4)
    assert len(history) < 60


# rows


class Recording(Feed):
    """A feed that remembers which rows were changed for learning and which were only looked at."""

    learned: set[int]
    looked_at: set[int]

    def batches(self, passes: Any, change: Callable[[int], Change] | None = None) -> Any:
        seen = {row for rows in passes for row in rows.tolist()}
        (Recording.looked_at if change is None else Recording.learned).update(seen)
        return super().batches(passes, change)


def test_no_gradient_sees_a_row_or_a_group_that_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    Recording.learned, Recording.looked_at = set(), set()
    monkeypatch.setattr(finetuning, "Feed", Recording)
    squares = Squares()
    learn(squares)
    assert Recording.learned | Recording.looked_at == set(range(48))
    groups = [set(squares.groups[sorted(rows)]) for rows in (Recording.learned, Recording.looked_at)]
    assert not groups[0] & groups[1]
    assert all(
        set(squares.labels[sorted(rows)]) == {0, 1} for rows in (Recording.learned, Recording.looked_at)
    )


@pytest.mark.parametrize("seed", range(8))
def test_about_the_wanted_share_of_every_class_is_held_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 40, 300).astype(str)
    labels = (rng.random(300) < 0.2).astype(int)
    held = held_out(labels, groups, ("number 1", "number 2"), share=0.25, seed=seed)
    assert not set(groups[held]) & set(groups[~held])
    for code in (0, 1):
        assert held[labels == code].mean() == pytest.approx(0.25, abs=0.06)


def test_another_seed_holds_out_other_rows_and_the_same_seed_the_same() -> None:
    squares = Squares(96)
    one, same_again, other = (
        held_out(squares.labels, squares.groups, ("number 1", "number 2"), share=0.3, seed=seed)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same_again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.95])
def test_a_class_in_two_groups_stands_on_both_sides(share: float) -> None:
    labels = np.array([0] * 20 + [1, 1])
    groups = np.array([f"a{i}" for i in range(20)] + ["b0", "b1"])
    held = held_out(labels, groups, ("number 1", "number 2"), share=share, seed=0)
    assert {tuple(sorted(set(labels[side]))) for side in (held, ~held)} == {(0, 1)}


@pytest.mark.parametrize(
    ("labels", "groups", "said"),
    [
        ([0, 1] * 4, ["one"] * 8, r"class number 1 has 4 images in 1 groups"),
        ([0] * 8, list("abcdefgh"), r"class number 2 has 0 images in 0 groups"),
        (
            [0] * 6 + [1, 1],
            list("abcdefgg"),
            r"class number 2 has 2 images in 1 groups in train, none left to",
        ),
    ],
)
def test_a_class_that_cannot_be_on_both_sides_is_an_error(
    labels: list[int], groups: list[str], said: str
) -> None:
    squares = Squares(8)
    squares.labels, squares.groups = np.array(labels), np.array(groups)
    with pytest.raises(SplitError, match=said) as error:
        learn(squares)
    assert isinstance(error.value, DataError)
    assert "add pictures" in str(error.value)
    assert not squares.loads


# the loss and the steps


def test_a_rare_class_weighs_as_much_as_a_frequent_one() -> None:
    squares = Squares(64)
    squares.labels = np.array([1 if i % 8 == 0 else 0 for i in range(64)])
    squares.groups = np.array([f"g{i % 16}" for i in range(64)])
    blind = tiny(Training(probe_epochs=12, probe_lr=0.02, tune_epochs=0, monitor="loss"))
    learned = learn(squares, blind)
    proba = softmax(learned.module, blind, squares, 64, device="cpu", workers=1, batch_size=16, threads=1)
    # the prior of class 1 is 1/8; balanced weights lift what is said of it towards one half
    assert proba[:, 1].mean() > 0.3


@pytest.mark.parametrize("n", [48, 45])
def test_passes_that_make_a_step_together_are_as_good_as_one_large_pass(n: int) -> None:
    base: dict[str, Any] = {
        "probe_epochs": 1,
        "tune_epochs": 2,
        "unfreeze": None,
        "tune_lr": 0.05,
        "probe_lr": 0.01,
    }
    one = learn(Squares(n), tiny(Training(**base, batch_size=16), norm=False))
    split = learn(Squares(n), tiny(Training(**base, batch_size=8, accumulate=2), norm=False))
    unlike = learn(Squares(n), tiny(Training(**base, batch_size=8), norm=False))
    a, b, c = (state_of(learned.module) for learned in (one, split, unlike))
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=1e-5)
    assert any(not torch.allclose(a[name], c[name], rtol=1e-3, atol=1e-5) for name in a)
    assert [e.loss for e in one.history] == pytest.approx([e.loss for e in split.history], rel=1e-4)


@pytest.mark.parametrize(
    ("n", "size", "lengths"),
    [(9, 4, [4, 5]), (8, 4, [4, 4]), (10, 4, [4, 4, 2]), (3, 2, [3]), (1, 4, [1]), (2, 8, [2])],
)
def test_no_row_is_alone_in_the_last_pass(n: int, size: int, lengths: list[int]) -> None:
    passes = passes_of(np.arange(n), size)
    assert [len(rows) for rows in passes] == lengths
    assert np.concatenate(passes).tolist() == list(range(n))


def test_a_last_pass_of_one_picture_does_not_stop_batchnorm() -> None:
    class Flat(torch.nn.Module):
        """BatchNorm over vectors, which refuses a single one."""

        def __init__(self) -> None:
            super().__init__()
            self.low, self.middle, self.high = (
                torch.nn.Identity(),
                torch.nn.Identity(),
                torch.nn.BatchNorm1d(3),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.high(x.mean((2, 3)))

    squares = Squares(48)
    n_learned = int(
        (~held_out(squares.labels, squares.groups, ("number 1", "number 2"), share=0.2, seed=7)).sum()
    )
    training = Training(probe_epochs=0, tune_epochs=1, batch_size=n_learned - 1)
    base = tiny(training)
    learner = Learner(Flat(), 3, base.parts, base.prepare, base.normalize, training)
    assert len(learn(squares, learner).history) == 1


# repeating


def test_the_same_seed_gives_the_same_bits_whatever_the_workers() -> None:
    one = learn(workers=1)
    assert same(one, learn(workers=1))
    assert same(one, learn(workers=5))


def test_two_threads_of_torch_repeat_their_bits() -> None:
    assert same(learn(threads=2), learn(threads=2))


@pytest.mark.gpu
def test_a_gpu_learns_as_a_cpu_does_and_repeats_its_bits() -> None:
    one, other = learn(device="cuda"), learn(device="cuda")
    assert same(one, other)
    on_cpu = learn(device="cpu")
    assert [e.phase for e in one.history] == [e.phase for e in on_cpu.history]
    assert one.history[0].loss == pytest.approx(on_cpu.history[0].loss, rel=1e-2)
    assert all(not p.is_cuda for p in one.module.parameters())


def test_another_seed_gives_other_weights() -> None:
    assert not same(learn(seed=7), learn(seed=8))


def test_no_random_state_thread_count_or_flag_is_left_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    np.random.seed(3)  # noqa: NPY002  the state that must not move
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    seen: list[tuple[int, bool]] = []
    learn(
        progress=lambda epoch: seen.append(
            (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
        ),
        threads=threads + 1,
    )
    assert seen == [(threads + 1, True)] * 4
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (threads, False)


def test_an_error_puts_everything_back_too() -> None:
    threads, before = torch.get_num_threads(), torch.random.get_rng_state()

    def broken(row: int) -> npt.NDArray[np.uint8]:
        raise KyaraError(f"row {row} is gone")

    squares = Squares()
    with pytest.raises(KyaraError, match="is gone"):
        learn(type("Broken", (), {"__call__": staticmethod(broken), **vars(squares)})(), threads=threads + 1)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (threads, False)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("feed")]


def test_seeded_gives_the_same_numbers_and_keeps_the_flag_that_was_set() -> None:
    torch.set_deterministic_debug_mode("warn")
    try:
        with seeded(5, "cpu"):
            one = torch.rand(3)
        with seeded(5, "cpu"):
            assert torch.equal(one, torch.rand(3))
        assert torch.get_deterministic_debug_mode() == 1
    finally:
        torch.set_deterministic_debug_mode("default")


# params and failures


def test_nothing_to_learn_is_an_error() -> None:
    with pytest.raises(ParamsError, match="both 0: the classification layer would stay untrained"):
        learn(learner=tiny(Training(probe_epochs=0, tune_epochs=0)))
    with pytest.raises(ParamsError, match="finetune: false"):
        learn(learner=tiny(None))


def test_more_parts_than_there_are_is_an_error() -> None:
    with pytest.raises(ParamsError, match=r"training.unfreeze: 4 of 3 parts; lower it"):
        learn(learner=tiny(Training(unfreeze=4)))


@pytest.mark.parametrize(
    ("training", "said"),
    [
        (
            Training(probe_lr=3e37, probe_epochs=3),
            r"epoch 1 \(probe\): .* lower training.probe_lr \(3e\+37\)",
        ),
        (
            Training(probe_epochs=0, tune_lr=1e30, tune_epochs=3),
            r"epoch 1 \(tune\): .* lower training.tune_lr \(1e\+30\)",
        ),
    ],
)
def test_a_loss_that_is_not_finite_names_the_epoch_and_what_to_lower(training: Training, said: str) -> None:
    with pytest.raises(KyaraError, match=said):
        learn(learner=tiny(training))


def test_a_device_without_memory_says_what_to_halve() -> None:
    class Hungry(Tiny):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 4:
                raise torch.OutOfMemoryError("too much")
            return super().forward(x)

    base = tiny()
    learner = Learner(Hungry(), 16, base.parts, base.prepare, base.normalize, QUICK)
    with pytest.raises(MissingDevice, match=r"a pass of 8 images; halve training.batch_size and double"):
        learn(learner=learner)


# what comes out


def test_softmax_rows_sum_to_one_and_do_not_depend_on_the_batch() -> None:
    squares, learner = Squares(), tiny()
    module = learn(squares, learner).module
    one, other = (
        softmax(module, learner, squares, 48, device="cpu", workers=2, batch_size=size, threads=1)
        for size in (1, 48)
    )
    assert one.dtype == np.float64
    assert one.shape == (48, 2)
    np.testing.assert_allclose(one.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_softmax_takes_a_module_that_has_no_forward_of_its_own() -> None:
    squares, learner = Squares(), tiny()
    learned = learn(squares, learner)
    plain = torch.nn.Module()
    plain.backbone, plain.head = Tiny(), torch.nn.Linear(16, 2)
    plain.load_state_dict(state_of(learned.module))
    one, other = (
        softmax(m, learner, squares, 9, device="cpu", workers=1, threads=1) for m in (learned.module, plain)
    )
    np.testing.assert_array_equal(one, other)


def test_the_state_is_contiguous_shares_no_memory_and_survives_a_file(tmp_path: Any) -> None:
    from safetensors.torch import load_file, save_file

    module = learn().module
    state = state_of(module)
    assert {name.partition(".")[0] for name in state} == {"backbone", "head"}
    assert all(value.is_contiguous() for value in state.values())
    save_file(state, tmp_path / "model.safetensors")
    back = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(back[name], value) for name, value in module.state_dict().items())
    state["head.bias"] += 1
    assert not torch.equal(module.head.bias, state["head.bias"])


# pictures on their way


def picture(size_px: int = 33) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)


def test_turning_and_mirroring_are_what_numpy_does() -> None:
    square = picture()
    square.setflags(write=False)
    assert np.array_equal(augment(square, Change()), square)
    assert np.array_equal(augment(square, Change(mirror=True)), square[:, ::-1])
    for angle, quarters in ((90, 1), (180, 2), (-90, 3)):
        turned = augment(square, Change(angle_deg=angle)).astype(int)
        assert np.abs(turned - np.rot90(square, quarters)).max() <= 1


def test_turning_brings_in_no_colour_that_the_picture_has_not() -> None:
    square = np.full((32, 32, 3), (200, 90, 40), np.uint8)
    assert np.array_equal(augment(square, Change(angle_deg=37)), square)


def test_colours_change_as_their_names_say() -> None:
    square = picture()
    grey = square.astype(float) @ [0.299, 0.587, 0.114]
    darker = augment(square, Change(brightness=0.5))
    assert np.abs(darker - square * 0.5).max() <= 1
    flat = augment(square, Change(contrast=0.0))
    assert np.abs(flat - grey.mean()).max() <= 1
    pale = augment(square, Change(saturation=0.0)).astype(float)
    assert np.abs(pale - grey[..., None]).max() <= 1


def test_a_change_stays_within_its_limits_and_every_second_square_is_mirrored() -> None:
    changes = [draw(np.random.default_rng(i), flip=True, rotation_deg=15, jitter=0.2) for i in range(400)]
    assert 0.4 < np.mean([one.mirror for one in changes]) < 0.6
    angles = np.array([one.angle_deg for one in changes])
    assert np.abs(angles).max() <= 15
    assert angles.min() < -13
    assert angles.max() > 13
    for name in ("brightness", "contrast", "saturation"):
        values = np.array([getattr(one, name) for one in changes])
        assert 0.8 <= values.min() < 0.83
        assert 1.17 < values.max() <= 1.2
    assert not draw(np.random.default_rng(3), flip=False, rotation_deg=1, jitter=0).mirror


def test_a_picture_is_changed_in_another_way_each_epoch() -> None:
    still = Training(probe_epochs=3, probe_lr=1e-12, tune_epochs=0, flip=False, rotation_deg=0, jitter=0)
    moving = Training(probe_epochs=3, probe_lr=1e-12, tune_epochs=0)
    losses = [[one.loss for one in learn(learner=tiny(training)).history] for training in (still, moving)]
    assert np.ptp(losses[0]) < 1e-6
    assert np.ptp(losses[1]) > 1e-4


def test_a_feed_keeps_what_fits_and_loads_the_rest_again() -> None:
    squares, rows = Squares(10), [np.arange(0, 4), np.arange(4, 10)]
    one = squares(0).nbytes
    squares.loads.clear()
    with Feed(squares, workers=2, cache_bytes=6 * one + 1) as feed:
        first, second = (np.concatenate(list(feed.batches(rows))) for _ in range(2))
    assert np.array_equal(first, second)
    assert sorted(squares.loads.values()) == [1] * 6 + [2] * 4


def test_a_feed_is_never_far_ahead_of_who_asks() -> None:
    squares = Squares(48)
    passes = np.split(np.arange(48), 12)
    with Feed(squares, workers=2) as feed:
        batches = feed.batches(passes)
        next(batches)
    assert len(squares.loads) <= 3 * 4


# real networks


@pytest.mark.parametrize(("name", "size_px"), [("resnet18", 64), ("vggface2", 80)])
def test_a_real_network_learns_and_its_extractor_takes_the_weights(
    name: str, size_px: int, tmp_path: Any
) -> None:
    pytest.importorskip({"resnet18": "torchvision", "vggface2": "facenet_pytorch"}[name])
    from safetensors.torch import save_file

    from extractors.base import MADE, Loaded
    from featurestore import plugins

    module = plugins.load("extractors.zoo", name, key="extractors")
    training = Training(probe_epochs=1, tune_epochs=1, batch_size=4)
    params = {
        "weights": "none",
        "finetune": True,
        "fit": "crop",
        "size_px": size_px,
        "align": "none",
        "design_labels": False,
    }
    with seeded(0, "cpu"):
        learner = module.learner(context=Context(), training=training, **params)
    drawn = Squares(12)
    drawn.groups = np.array([f"g{i // 2}" for i in range(12)])

    def load(row: int) -> npt.NDArray[np.uint8]:
        return learner.prepare([drawn(row)]).pixels[0]

    learned = finetune(
        learner, load, drawn.labels, drawn.groups, n_classes=2, seed=0, device="cpu", workers=1,
        progress=lambda epoch: None, threads=1,
    )  # fmt: skip
    assert [one.phase for one in learned.history] == ["probe", "tune"]
    path = tmp_path / MADE
    save_file(state_of(learned.module), path)
    built = module.build(
        context=Context({MADE: Loaded(path, "0" * 64)}, fitted_on="f" * 64),
        **{name: value for name, value in params.items() if name != "align" or "vggface2" in module.__name__},
    )
    rows = built([drawn(row) for row in range(4)])
    assert rows.values.shape == (4, 512)
    assert np.isfinite(rows.values).all()
    with torch.inference_mode():
        pixels = torch.from_numpy(np.stack([load(row) for row in range(4)]))
        from extractors.network import to_input

        wanted = learned.module.backbone(to_input(pixels, learner.normalize)).numpy()
    if name == "vggface2":
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(rows.values, wanted, rtol=1e-4, atol=1e-5)
