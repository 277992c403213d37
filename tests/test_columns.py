from __future__ import annotations

import numpy as np
import pytest

from featurestore.columns import Codes, Texts, pieces
from featurestore.facts import FactColumns, Facts
from featurestore.rows import pack_keys, runs

ODD = ["", "a", "キャラ", "bad\udcff", "\0", "𝄞", "a\nb", "a"]


def test_texts_are_the_list_that_they_were_made_of() -> None:
    many = ODD * 1000
    texts = Texts(many)
    assert len(texts) == len(many)
    assert list(texts) == many
    assert texts[-1] == many[-1]
    assert list(texts[5:9]) == many[5:9]
    with pytest.raises(IndexError):
        texts[len(many)]
    texts.extend(["more"])
    assert list(texts) == [*many, "more"]


@pytest.mark.parametrize(
    ("many", "share"),
    [
        ([f"tar://{i % 7}/{i}.png::/shards/{i // 100}.tar" for i in range(5000)], 0.6),
        ([f"images/hero/{i}.png" for i in range(5000)], 0.5),
        ([f"/folders/{i}/of.png" for i in range(5000)], 1),
        (["::", "::/a", "a::", "a/b::c/d::e", "/", "//", "a/", "/a", "tar://::"] * 3, 0.5),
    ],
)
def test_what_texts_share_is_kept_once(many: list[str], share: float) -> None:
    texts = Texts(many)
    assert list(texts) == many
    assert len(texts._own) <= share * sum(map(len, many))
    assert len(texts._shared) <= 257 + len(many) // 16, "where nothing is shared it costs little"


def test_the_first_text_that_stands_twice_is_found() -> None:
    assert Texts(ODD).first_repeated() == 7
    assert Texts(ODD[:7]).first_repeated() is None
    assert Texts().first_repeated() is None
    names = [f"{i}.png" for i in range(5000)]
    assert Texts([*names, names[4000], names[7], names[4000]]).first_repeated() == 5000


def test_codes_are_the_list_that_they_were_made_of() -> None:
    many = ODD * 1000
    codes = Codes.of(many)
    assert list(codes) == many
    assert codes.values == ODD[:7]
    assert codes[3] == many[3]
    assert list(codes[-2:]) == many[-2:]
    assert codes.code("キャラ") == 2
    assert codes.code("nobody") == -1
    names, ranks = codes.taken(np.array([2, 1, 9])).ranked()
    assert [names[i] for i in ranks] == ["キャラ", "a", "a"]
    assert names == ["a", "キャラ"], "what no row has is left out"


def test_other_labels_at_some_places_leave_the_rest() -> None:
    facts = FactColumns.of([Facts("hero", "A"), Facts("villain", "B"), Facts("hero", "C")])
    other = facts.relabelled([2, 0], ["villain", "rogue"])
    assert list(other.label) == ["rogue", "villain", "villain"]
    assert list(facts.label) == ["hero", "villain", "hero"], "the first is as it was"
    assert other[2] == Facts("villain", "C")


def test_pieces_cover_every_row_once() -> None:
    for n in (0, 1, 2048, 2049, 5000):
        assert [i for part in pieces(n) for i in range(n)[part]] == list(range(n))


def test_equal_keys_stand_side_by_side_whatever_they_share() -> None:
    rng = np.random.default_rng(5)
    alike = rng.integers(0, 2, (300, 32)).astype(np.uint8)
    alike[:, :12] = 7  # the first 64 bits are those of all
    for keys in (
        rng.integers(0, 256, (300, 32)).astype(np.uint8),
        alike,
        pack_keys([]),
        pack_keys(["ab" * 32] * 3),
    ):
        every = np.concatenate([keys, keys[: len(keys) // 2]])
        order, is_first = runs(every)
        texts = [every[i].tobytes() for i in order]
        assert texts == sorted(texts)
        assert [i for i, first in enumerate(is_first) if first] == [
            i for i in range(len(texts)) if not i or texts[i] != texts[i - 1]
        ]
        assert all(order[i] < order[i + 1] for i in range(len(order) - 1) if not is_first[i + 1]), (
            "as they came"
        )
