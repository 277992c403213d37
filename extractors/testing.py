"""Conformance of an extractor: what every engine may rely on. Shipped, so that new ones can use it.

Every module of the zoo is found and checked by the tests unasked. Refuses to know any of them.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from extractors.base import Card, Extractor
from featurestore.schema import keywords_of
from featurestore.spec import Status, canonical_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from extractors.base import RGB

__all__ = ["other_params", "sample_images", "yield_checks"]

Check = tuple[str, Callable[[], None]]


def sample_images() -> list[RGB]:
    """Nine images of several sizes: noise, ramps, one colour, extremes."""
    import numpy as np

    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 256).astype(np.uint8)
    images = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((256, 256), (120, 77), (301, 512))]
    images += [
        np.repeat(np.tile(ramp, (256, 1))[..., None], 3, axis=2),
        np.dstack([np.tile(ramp, (64, 1))] * 3),
    ]
    images += [np.full((256, 256, 3), v, dtype=np.uint8) for v in (0, 128, 255)]
    images.append(np.tile(np.array([200, 30, 60], np.uint8), (40, 90, 1)))
    return images


def _same(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32], tolerance: float) -> bool:
    import numpy as np

    if tolerance == 0:
        return np.array_equal(one, other, equal_nan=True)
    return np.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


def check_card(module: ModuleType, extractor: Extractor) -> None:
    """The card is one, says the truth about the columns, and the spec is JSON."""
    assert isinstance(module.CARD, Card)
    assert isinstance(extractor, Extractor)
    assert module.CARD.n_columns in (None, len(extractor.spec.columns))
    assert extractor.spec.name == module.__name__.rpartition(".")[2]
    canonical_json(dict(extractor.spec.params))


def check_rows(extractor: Extractor, images: Sequence[RGB]) -> None:
    """Shapes, types, statuses; NaN throughout a row that is not ok, finite where it is."""
    import numpy as np

    before = [image.copy() for image in images]
    rows = extractor(images)
    assert rows.values.shape == (len(images), len(extractor.spec.columns))
    assert rows.values.dtype == np.float32
    assert rows.status.shape == (len(images),)
    assert rows.status.dtype == np.uint8
    assert set(np.unique(rows.status)) <= set(Status)
    fine = rows.status == Status.OK
    assert np.isfinite(rows.values[fine]).all()
    assert np.isnan(rows.values[~fine]).all()
    assert all(np.array_equal(a, b) for a, b in zip(images, before, strict=True)), "images were changed"


def check_batches(extractor: Extractor, images: Sequence[RGB], tolerance: float) -> None:
    """A row depends neither on the batch around it nor on the order."""
    import numpy as np

    whole = extractor(images).values
    alone = np.concatenate([extractor([image]).values for image in images])
    assert _same(whole, alone, tolerance), "rows depend on the batch size"
    assert _same(whole, extractor(images[::-1]).values[::-1], tolerance), "rows depend on the order"
    assert extractor([]).values.shape == (0, len(extractor.spec.columns)), "no images is no rows"


def check_threads(extractor: Extractor, images: Sequence[RGB], tolerance: float) -> None:
    """An extractor that calls itself thread-safe gives the same rows in four threads at once."""
    if not extractor.thread_safe:
        return
    whole = extractor(images).values
    with ThreadPoolExecutor(4) as pool:
        for rows in pool.map(lambda _: extractor(images), range(8)):
            assert _same(whole, rows.values, tolerance), "rows depend on the threads"


def check_read_only(extractor: Extractor, images: Sequence[RGB]) -> None:
    """Images that cannot be written to are as good as others."""
    frozen = [image.copy() for image in images]
    for image in frozen:
        image.setflags(write=False)
    assert _same(extractor(frozen).values, extractor(images).values, 0)


def other_params(module: ModuleType) -> Iterator[dict[str, Any]]:
    """For each param of ``build`` that has choices, each choice but the default."""
    for name, (kind, default) in keywords_of(module.build).items():
        if typing.get_origin(kind) is Literal:
            yield from ({name: choice} for choice in typing.get_args(kind) if choice != default)
        elif kind is bool:
            yield {name: not default}


def check_fingerprint(module: ModuleType, extractor: Extractor) -> None:
    """Every param moves the fingerprint; the same params give the same."""
    assert module.build().spec.fingerprint == extractor.spec.fingerprint
    seen = [extractor.spec.fingerprint, *(module.build(**p).spec.fingerprint for p in other_params(module))]
    assert len(set(seen)) == len(seen), "two params share a fingerprint"


def yield_checks(module: ModuleType, extractor: Extractor, *, tolerance: float = 0.0) -> Iterator[Check]:
    """Names and checks of one extractor with default params.

    Parameters
    ----------
    module : module
        ``extractors.zoo.<name>``.
    extractor : Extractor
        What its ``build()`` gave.
    tolerance : float
        Relative and absolute, between batches; 0 = the same bits.
    """
    images = sample_images()
    for check, arguments in (
        (check_card, (module, extractor)),
        (check_rows, (extractor, images)),
        (check_batches, (extractor, images, tolerance)),
        (check_threads, (extractor, images, tolerance)),
        (check_read_only, (extractor, images)),
        (check_fingerprint, (module, extractor)),
    ):
        yield check.__name__, functools.partial(check, *arguments)
