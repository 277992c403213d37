"""Conformance of an extractor: what every engine may rely on. Shipped, so that new ones can use it.

Every module of the zoo is found and checked by the tests unasked. Refuses to know any of them.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from extractors.base import Card, Extractor, Staged
from featurestore.params import EXTRACTOR_CONTEXT
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


def _other(kind: Any, value: Any) -> Iterator[Any]:
    """Other values of a param's type; none for texts, which only the extractor understands."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        ranges = args[1:]
        yield from (v for v in _other(args[0], value) if v is None or all(r.allows(v) for r in ranges))
    elif origin is Literal:
        yield from (choice for choice in args if choice != value)
    elif origin in (typing.Union, types.UnionType):
        if str not in args:
            yield from (v for option in args for v in _other(option, value))
    elif kind is bool:
        yield not value
    elif kind is int:
        yield (value or 1) + 1
    elif kind is float:
        yield from (value / 2 or 0.5,)
    elif kind is type(None) and value is not None:
        yield None
    elif dataclasses.is_dataclass(kind):
        for name, inner in typing.get_type_hints(kind, include_extras=True).items():
            for other in _other(inner, getattr(value, name)):
                yield dataclasses.replace(value, **{name: other})


def other_params(module: ModuleType) -> Iterator[dict[str, Any]]:
    """Each param of ``build`` with each of some other values, one at a time."""
    for name, (kind, default) in keywords_of(module.build, EXTRACTOR_CONTEXT).items():
        yield from ({name: other} for other in _other(kind, default))


def check_fingerprint(module: ModuleType, make: Callable[..., Extractor]) -> None:
    """Every param moves the fingerprint; the same params give the same."""
    own = make().spec
    assert make().spec.fingerprint == own.fingerprint
    seen: dict[str, dict[str, Any]] = {own.fingerprint: {}}
    for changed in other_params(module):
        fingerprint = make(**changed).spec.fingerprint
        assert fingerprint not in seen, f"{changed} and {seen[fingerprint]} share a fingerprint"
        seen[fingerprint] = changed


def check_stages(extractor: Extractor, images: Sequence[RGB], tolerance: float) -> None:
    """A staged extractor gives the same rows in stages, two batches under way."""
    if not isinstance(extractor, Staged):
        return
    assert extractor.batch_size() >= 1
    first, second = extractor.preprocess(images[:2]), extractor.preprocess(images[2:4])
    one, two = extractor.launch(first), extractor.launch(second)
    both = [*extractor.finish(one).values, *extractor.finish(two).values]
    for row, whole in zip(both, extractor(images[:4]).values, strict=True):
        assert _same(row, whole, tolerance), "rows depend on the stages"


def yield_checks(
    module: ModuleType, make: Callable[..., Extractor], *, tolerance: float = 0.0
) -> Iterator[Check]:
    """Names and checks of one extractor.

    Parameters
    ----------
    module : module
        ``extractors.zoo.<name>``.
    make : callable
        Builds it with its default params, or those that it is given; with weights, if it needs any.
    tolerance : float
        Relative and absolute, between batches; 0 = the same bits.
    """

    @functools.lru_cache(maxsize=1)
    def made() -> tuple[Extractor, list[RGB]]:
        return make(), sample_images()

    def with_images(check: Callable[..., None], *more: Any) -> Callable[[], None]:
        return lambda: check(*made(), *more)

    yield "check_card", lambda: check_card(module, made()[0])
    yield "check_rows", with_images(check_rows)
    yield "check_batches", with_images(check_batches, tolerance)
    yield "check_threads", with_images(check_threads, tolerance)
    yield "check_stages", with_images(check_stages, tolerance)
    yield "check_read_only", with_images(check_read_only)
    yield "check_fingerprint", lambda: check_fingerprint(module, make)
