"""A torch network as an extractor: the same values whatever the batch, and memory that runs out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import zoo_weights
from safetensors.torch import save_file
from zoo_weights import maker

from extractors.base import Loaded, Prepared, Staged
from extractors.devices import pick_device
from extractors.engines import local
from extractors.network import Network, Normalize, load_state, to_input
from featurestore.errors import MissingDevice, ParamsError, WeightsDamaged
from featurestore.spec import FeatureSpec, Status

NORMALIZE = Normalize(255.0, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def prepare(images: Sequence[np.ndarray]) -> Prepared:
    """The top left corner; nothing of a black picture."""
    there = np.array([bool(image.any()) for image in images], dtype=bool)
    corners = [image[:8, :8] for image, one in zip(images, there, strict=True) if one]
    pixels = np.stack(corners) if corners else np.empty((0, 8, 8, 3), np.uint8)
    return Prepared(pixels, np.where(there, Status.OK, Status.NO_FACE).astype(np.uint8))


def network(module: torch.nn.Module | None = None, **options: object) -> Network:
    if module is None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = torch.nn.Sequential(
                torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 5)
            )
    spec = FeatureSpec("toy", 1, {}, tuple("abcde"))
    given = {
        "device": "cpu",
        "precision": "fp32",
        "channels_last": True,
        "input_px": 8,
        "normalize": NORMALIZE,
    }
    return Network(spec, module, prepare, **{**given, **options})  # type: ignore[arg-type]


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    made = [rng.integers(1, 256, (8, 8, 3), dtype=np.uint8) for _ in range(9)]
    made[4] = np.zeros((8, 8, 3), np.uint8)
    return made


def test_a_network_is_a_staged_extractor() -> None:
    assert isinstance(network(), Staged)


def test_pixels_are_normalised_as_torchvision_does(images: list[np.ndarray]) -> None:
    from torchvision.transforms import functional

    ours = to_input(torch.from_numpy(np.stack(images)), NORMALIZE)
    theirs = torch.stack(
        [functional.normalize(functional.to_tensor(i), NORMALIZE.mean, NORMALIZE.std) for i in images]
    )
    assert torch.equal(ours, theirs)
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_a_picture_with_nothing_to_compute_is_nan_with_a_status(images: list[np.ndarray]) -> None:
    rows = network()(images)
    assert rows.status.tolist() == [0, 0, 0, 0, Status.NO_FACE, 0, 0, 0, 0]
    assert np.isnan(rows.values[4]).all()
    assert np.isfinite(np.delete(rows.values, 4, axis=0)).all()
    assert np.isnan(network()([images[4]]).values).all()


class Small(torch.nn.Module):
    """A device with memory for a few images."""

    def __init__(self, fits: int) -> None:
        super().__init__()
        self.fits = fits
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        if len(x) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return x.mean(dim=(2, 3)).repeat(1, 2)[:, :5]


def test_a_batch_that_does_not_fit_is_halved_and_that_is_remembered(
    images: list[np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    small = Small(fits=2)
    extractor = network(small)
    rows = extractor(images)
    assert np.array_equal(rows.values, network(Small(fits=100))(images).values, equal_nan=True)
    assert small.seen == [8, 4, 2, 2, 2, 2]
    assert extractor.largest == 2
    assert "out of memory at 8 images; 4 from now on" in caplog.text
    small.seen.clear()
    extractor(images)
    assert small.seen == [2, 2, 2, 2], "it is not tried again"


def test_a_device_without_memory_for_one_image_is_an_error(images: list[np.ndarray]) -> None:
    with pytest.raises(MissingDevice, match="cpu has no memory for a single image"):
        network(Small(fits=0))(images)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_sixteen_bits_are_near_and_are_not_the_same(images: list[np.ndarray], precision: str) -> None:
    full, half = network()(images).values, network(precision=precision)(images).values
    assert half.dtype == np.float32
    assert not np.array_equal(full, half, equal_nan=True)
    assert np.allclose(full, half, atol=0.05, equal_nan=True)


def test_a_state_dict_is_loaded_whole_or_refused(tmp_path: Path) -> None:
    source, target = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    save_file({f"backbone.{k}": v for k, v in source.state_dict().items()}, tmp_path / "a.safetensors")
    load_state(target, Loaded(tmp_path / "a.safetensors", ""), strip="backbone.")
    assert torch.equal(source.weight, target.weight)
    torch.save({**source.state_dict(), "fc.weight": torch.zeros(1)}, tmp_path / "b.pt")
    load_state(target, Loaded(tmp_path / "b.pt", ""), drop=("fc.",))
    for name, content in {"c.pt": {"weight": torch.zeros(2, 3)}, "d.pt": [1, 2], "e.pt": None}.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(WeightsDamaged, match=f"{name}: no weights of this network"):
            load_state(target, Loaded(tmp_path / name, ""))
    (tmp_path / "f.safetensors").write_bytes(b"half a file")
    with pytest.raises(WeightsDamaged, match=r"f\.safetensors"):
        load_state(target, Loaded(tmp_path / "f.safetensors", ""))


class Danger:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code of a weights file ran",))


def test_a_weights_file_runs_no_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weight": Danger()}, tmp_path / "a.pt")
    with pytest.raises(WeightsDamaged):
        load_state(torch.nn.Linear(3, 2), Loaded(tmp_path / "a.pt", ""))
    assert "ran" not in capsys.readouterr().out


def test_a_device_is_chosen_or_named_as_missing() -> None:
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") in ("cuda", "mps", "cpu")
    with pytest.raises(ParamsError, match="is none of auto, cpu, cuda, mps"):
        pick_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(MissingDevice, match="set it to auto or cpu"):
            pick_device("cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cpu_and_cuda_agree(precision: str, tmp_path: Path) -> None:
    _, make = maker("resnet18", tmp_path)
    context = zoo_weights.MADE["resnet18"](tmp_path)[0]
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (96, 96, 3), dtype=np.uint8) for _ in range(20)]
    found = []
    for device in ("cpu", "cuda"):
        extractor = make(context=dataclasses.replace(context, device=device), precision=precision)
        found.append(extractor(pictures).values)
    tolerance = 1e-3 if precision == "fp32" else 0.05
    assert np.abs(found[0] - found[1]).max() <= tolerance * np.abs(found[0]).max()


@pytest.mark.gpu
def test_a_gpu_that_is_kept_busy_gives_each_picture_its_own_row() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(1, 256, (8, 8, 3), dtype=np.uint8) for _ in range(50)]
    extractor = network(device="cuda")
    assert not extractor.thread_safe
    batches = [list(range(i, min(i + 4, 50))) for i in range(0, 50, 4)]
    rows = {}
    for batch, found in local.run(extractor, batches, lambda i: pictures[i], workers=3):
        rows.update(zip(batch, found.values, strict=True))
    expected = network()(pictures).values
    assert np.allclose(np.array([rows[i] for i in range(50)]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
def test_a_gpu_that_runs_out_of_memory_goes_on_with_half() -> None:
    class Greedy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            free, _ = torch.cuda.mem_get_info()
            torch.empty(int(len(x) / 6 * free), dtype=torch.uint8, device=x.device)  # four images fit
            return x.mean(dim=(2, 3)).repeat(1, 2)[:, :5]

    rng = np.random.default_rng(0)
    pictures = [rng.integers(1, 256, (8, 8, 3), dtype=np.uint8) for _ in range(16)]
    extractor = network(Greedy(), device="cuda")
    assert np.isfinite(extractor(pictures).values).all()
    assert extractor.largest is not None
    assert extractor.largest <= 8
    assert extractor.batch_size() >= 1
