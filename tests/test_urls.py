"""A table of addresses: what its rows offer, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from collection.providers.urls import Urls
from collection.telling import plan_text
from featurestore.errors import MetadataError, MissingData

GOOD = "http://host.example/1.png,Ann,One,hero"


def table(folder: Path, *rows: str, header: str = "url,character,series,role") -> Path:
    path = folder / "mine.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_rows_are_offers_in_their_order_under_the_tables_name(tmp_path: Path) -> None:
    rows = [
        f"{GOOD},http://host.example/page,CC0",
        "https://host.example/2.png,Bob,One,antihero,,",
        f"{GOOD},,",
    ]
    found = Urls(table(tmp_path, *rows, header="url,character,series,role,page,licence"))
    ann, _ = found.characters
    assert (ann.name, ann.series, ann.role, ann.label_source) == ("Ann", "One", "hero", "mine.csv")
    assert [(one.rank, one.url, one.page, one.licence) for one in found.candidates(ann)] == [
        (0, "http://host.example/1.png", "http://host.example/page", "CC0"),
        (1, "http://host.example/1.png", "", ""),
    ]
    assert found.strangers([ann]) == ["Bob"]
    plan = plan_text(found.characters, found, None)
    assert "2 characters of 1 series: 1 hero, 1 antihero\n3 pictures on offer\n" in plan


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            "file:///etc/passwd,Ann,One,hero",
            r"mine\.csv, line 3: url 'file:///etc/passwd', .*search --folder",
        ),
        ("http://host.example/2.png,,One,hero", r"line 3: url 'http.*', character ''; it takes"),
        ("http://host.example/2.png,Bob,One,Hero", r"line 3: the role 'Hero' is none of .*; write 'hero'"),
        ("http://host.example/2.png,Bob,One,Anti-Hero", "write 'antihero'"),
        ("http://host.example/2.png,Bob,One,good", "the role 'good' is none of hero, villain, antihero$"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(MetadataError, match=said):
        Urls(table(tmp_path, GOOD, row))


def test_a_table_that_is_not_there_or_says_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no table .*gone\.csv; name a CSV file with the columns url,char"):
        Urls(tmp_path / "gone.csv")
    with pytest.raises(MetadataError, match=r"mine\.csv: no address; write one a line"):
        Urls(table(tmp_path))
    with pytest.raises(MetadataError, match=r"line 1: the column 'URL' must be written 'url'"):
        Urls(table(tmp_path, GOOD, header="URL,character,series,role"))
    with pytest.raises(MetadataError, match=r"line 1: the column 'Licence' must be written 'licence'"):
        Urls(table(tmp_path, f"{GOOD},CC0", header="url,character,series,role,Licence"))
