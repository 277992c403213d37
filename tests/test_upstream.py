"""Each network's rows are what its own library gives for the same pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from zoo_weights import maker

from extractors.base import Context
from extractors.fitting import fit
from featurestore import plugins
from featurestore.errors import MissingData


def pictures(size_px: int, n: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    small = [Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)) for _ in range(n)]
    return [np.array(i.resize((size_px, size_px), Image.Resampling.BICUBIC)) for i in small]


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def test_resnet18_is_torchvisions(tmp_path: Path) -> None:
    import torchvision
    from torchvision.transforms import v2

    module, make = maker("resnet18", tmp_path)
    network = torchvision.models.resnet18(weights=None)
    extractor = make(finetune=False)
    network.load_state_dict(torch.load(tmp_path / "resnet18" / module.IMAGENET.name, weights_only=True))
    network.fc = torch.nn.Identity()
    preset = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    ready = v2.Compose(
        [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(preset.mean, preset.std)]
    )
    images = pictures(64)
    with torch.inference_mode():
        theirs = network.eval()(torch.stack([ready(i) for i in images])).numpy()
    assert relative(extractor(images).values, theirs) < 1e-5
    assert np.array_equal(make()(images).values, extractor(images).values), "learned weights are loaded alike"


def test_vggface2_is_facenet_pytorchs(tmp_path: Path) -> None:
    from facenet_pytorch import InceptionResnetV1, fixed_image_standardization

    module, make = maker("vggface2", tmp_path)
    extractor = make()
    state = torch.load(tmp_path / "vggface2" / module.PUBLISHED["vggface2"].name, weights_only=True)
    network = InceptionResnetV1(pretrained=None, classify=True, num_classes=3).eval()
    network.load_state_dict(state)
    network.classify = False
    images = pictures(80)
    batch = torch.stack([torch.from_numpy(i.transpose(2, 0, 1).astype(np.float32)) for i in images])
    with torch.inference_mode():
        theirs = network(fixed_image_standardization(batch)).numpy()
    rows = extractor(images).values
    assert relative(rows, theirs) < 1e-5
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("name", "size_px"), [("resnet18", 64), ("vggface2", 80)])
def test_a_picture_of_another_size_is_fitted_first(tmp_path: Path, name: str, size_px: int) -> None:
    _, make = maker(name, tmp_path)
    large = pictures(150, 1)[0][:, :120]
    for how in ("crop", "pad", "squash"):
        fitted = fit(large, size_px=size_px, how=how)[0]  # type: ignore[arg-type]
        assert np.array_equal(make(fit=how)([large]).values, make()([fitted]).values)


@pytest.mark.parametrize("name", ["resnet18", "vggface2"])
@pytest.mark.parametrize("params", [{"finetune": True}, {"weights": "none"}])
def test_random_numbers_never_take_the_place_of_made_weights(name: str, params: dict[str, Any]) -> None:
    module = plugins.load("extractors.zoo", name, key="extractors")
    with pytest.raises(MissingData, match=r"no model\.safetensors, which these params ask for"):
        module.build(context=Context(), **params)
