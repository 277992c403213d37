"""The card tells what a study gets, and who chose it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
from conftest import encoded, picture

from collection.card import write_card
from collection.provenance import Source, write_sources
from featurestore.errors import DataError, LabelConflict, MetadataError, MissingData
from featurestore.files import sha256_of
from featurestore.index import build_index
from featurestore.scan import IndexOptions, scan


@pytest.fixture
def rows(data: Path) -> list[Source]:
    """Three heroes, two villains, and an offer that was not taken."""
    (data / "metadata").mkdir()
    made = []
    for label, role, numbers in (("hero", "hero", (0, 1, 2)), ("villain", "antihero", (3, 4))):
        for i in numbers:
            file = f"images/{label}/series{i}/{label}{i}.png"
            made.append(
                Source(
                    key=sha256_of(data / file), file=file, character=f"C{i}", series=f"series{i}", role=role,
                    label_source="a list", provider="serpapi", url=f"https://a.example/{i}", crop="anime",
                )
            )  # fmt: skip
    kept = {row.file for row in made}
    for path in (data / "images").rglob("*.png"):
        if path.relative_to(data).as_posix() not in kept:
            path.unlink()
    made.append(Source(provider="serpapi", url="https://a.example/gone", reason="404"))
    write_sources(data, made)
    (data / "metadata/characters.csv").write_text(
        "file,character\n" + "".join(f"{row.file},{row.character}\n" for row in made if row.file)
    )
    return made


def card(root: Path) -> str:
    return write_card(root).read_text()


def decide(root: Path, name: str, *lines: str) -> None:
    (root / "metadata" / name).write_text("\n".join(lines) + "\n")


def test_without_decisions_it_has_every_picture(data: Path, rows: list[Source]) -> None:
    text = card(data)
    assert "| hero | hero | 3 | 3 | 3 |" in text
    assert "| villain | antihero | 2 | 2 | 2 |" in text
    assert "Labels come from: a list (5)." in text
    assert "| 404 | 1 |" in text
    assert "Rejected by hand: 0" in text
    assert "not here" not in text
    assert "do not agree" not in text
    assert "Asked for" not in text
    assert "6 pictures were tried, 5 taken" in text
    assert "offered" not in text


def test_what_was_rejected_is_left_out_with_its_reasons(data: Path, rows: list[Source]) -> None:
    decide(
        data, "rejected.csv", "key,file,reason", f"{rows[0].key},x.png,blurred", f"{rows[1].key},x.png,blurred",
        f"{rows[3].key},x.png,",
    )  # fmt: skip
    text = card(data)
    assert "| hero | hero | 1 | 1 | 1 |" in text
    assert "| villain | antihero | 1 | 1 | 1 |" in text
    assert "| a curator rejected them: blurred (2), no reason given (1) | 3 |" in text
    assert "| hero | anime | 1 |" in text
    assert "Rejected by hand: 3" in text
    assert "Of 2 pictures, a search engine chose 2" in text


@pytest.mark.parametrize("by", ["key", "name"])
def test_what_was_relabelled_counts_under_its_label(data: Path, rows: list[Source], by: str) -> None:
    one = rows[0]
    line = f"{one.file},villain," if by == "name" else f"elsewhere.png,villain,{one.key}"
    decide(data, "labels.csv", "file,label,key", line, f"{rows[1].file},hero,{rows[1].key}")
    text = card(data)
    assert "| hero | hero | 2 | 2 | 2 |" in text
    assert "| villain | hero | 1 | 1 | 1 |" in text
    assert "Role and label do not agree for 1 picture: the label is a curator's (labels.csv)" in text
    assert "| villain | anime | 3 |" in text
    assert "Labels come from: a list (4), labels.csv (1)." in text
    assert "under another label than their folder's: 1 (labels.csv)" in text, "the folder's own is none"
    assert set(scan(data, IndexOptions()).facts.label) == {"hero", "villain"}


def test_decisions_on_pictures_that_are_not_here_are_counted_apart(data: Path, rows: list[Source]) -> None:
    decide(data, "labels.csv", "file,label,key", f"a.png,villain,{'0' * 64}")
    decide(data, "rejected.csv", "key,file", f"{'1' * 64},b.png")
    decide(data, "accepted.csv", "key,file", f"{rows[0].key},c.png", f"{'2' * 64},c.png")
    text = card(data)
    assert "Rejected by hand: 0 (rejected.csv)." in text
    assert "their folder's: 0 (labels.csv)" in text
    assert "Decisions on pictures that are not here, or on earlier cuts of those that are: 3." in text
    assert "a curator rejected them" not in text


def test_it_agrees_with_the_index(data: Path, rows: list[Source]) -> None:
    (data / rows[0].file).write_bytes(b"torn")
    (data / rows[1].file).unlink()
    (data / "images/villain/new.png").write_bytes(encoded(picture(77)))
    (data / "images/villain/twin.png").write_bytes(encoded(picture(77)))
    decide(data, "rejected.csv", "key,file", f"{rows[3].key},x.png")
    (data / "metadata/characters.csv").unlink()
    text = card(data)
    assert "| hero | hero | 1 | - | 1 |" in text
    assert "| villain | - | 1 | - | - |" in text
    assert "| villain | antihero | 1 | - | 1 |" in text
    assert len({s.sha256 for s in scan(data, IndexOptions()).seen if s.rejected is None}) == 3
    assert "| no usable image: not_an_image (1) | 1 |" in text
    assert "| taken, and no longer here | 2 |" in text
    assert "no record says who chose 1" in text


@pytest.mark.parametrize(
    ("provider", "says"),
    [
        ("serpapi", "a search engine chose 5, and its ranking knows fame"),
        ("urls", "whoever wrote a table of addresses chose 5"),
        ("folder", "whoever filled a folder for each character chose 5"),
        ("import", "whoever filled the folder that was imported chose 5"),
        ("a friend", "a friend chose 5"),
        ("", "somebody chose 5"),
    ],
)
def test_it_says_who_chose_the_pictures(data: Path, rows: list[Source], provider: str, says: str) -> None:
    write_sources(data, [replace(row, provider=provider) for row in rows[:-1]] + rows[-1:])
    text = card(data)
    assert f"Of 5 pictures, {says}" in text
    assert ("search engine" in text) == (provider == "serpapi"), "an offer that was not taken chose nothing"


def test_a_table_that_no_study_could_read_is_an_error_and_the_card_stays(
    data: Path, rows: list[Source]
) -> None:
    before = card(data)
    decide(data, "labels.csv", "file,label", "images/hero/nowhere.png,villain")
    with pytest.raises(MetadataError, match=r"no file 'images/hero/nowhere\.png'"):
        write_card(data)
    assert (data / "metadata/README.md").read_text() == before


def test_without_a_record_there_is_no_card(data: Path) -> None:
    with pytest.raises(MissingData, match=r"nothing says where the pictures .* collection import DIR --add"):
        write_card(data)


def test_it_counts_the_series_that_have_both_classes(data: Path, rows: list[Source]) -> None:
    assert "5 series, 0 of them with pictures of both classes." in card(data)
    decide(
        data,
        "characters.csv",
        "file,series",
        *(f"{row.file},{'ab'[i % 2]}" for i, row in enumerate(rows[:-1])),
    )
    assert "2 series, 2 of them with pictures of both classes." in card(data)
    decide(data, "labels.csv", "file,label", f"{rows[0].file},rival")
    assert "2 series, 2 of them with pictures of two classes or more." in card(data)


def test_it_speaks_of_sites_that_refuse_only_where_one_was_asked(data: Path, rows: list[Source]) -> None:
    assert "ask not to be mined" not in card(data)
    write_sources(data, [replace(row, opt_out="none found") for row in rows])
    assert "Sites that ask not to be mined were not read: none asked." in card(data)
    write_sources(data, [*rows, Source(url="https://b.example/1", reason="no", opt_out="X-Robots-Tag: noai")])
    assert "were not read: X-Robots-Tag: noai (1)." in card(data)


def test_it_says_how_pictures_were_cut_by_search_and_by_crop(data: Path, rows: list[Source]) -> None:
    (data / "metadata/search.json").write_text('{"cut": "anime, margin 1.1"}')
    assert "Asked for: anime, margin 1.1.\n" in card(data)
    (data / "metadata/crop.json").write_text('[{"cut": "anime, margin 2"}, {"cut": "anime, margin 1.1"}]')
    assert "Asked for: anime, margin 1.1; or: anime, margin 2.\n" in card(data)
    (data / "metadata/crop.json").write_text("[3]")
    with pytest.raises(DataError, match=r"crop\.json: does not say how pictures were cut"):
        write_card(data)


@pytest.mark.parametrize("address", ["http://[bad/x", "http://a\u2100b.example/x", "http://[::1/"])
@pytest.mark.parametrize("field", ["page", "url"])
def test_an_address_that_is_none_is_counted_as_such(
    data: Path, rows: list[Source], address: str, field: str
) -> None:
    write_sources(data, [replace(rows[0], **{"url": "", field: address}), *rows[1:]])
    assert "| no address | 1 | 1 |" in card(data)
    assert "| a.example | 5 | 4 |" in card(data)


_LIVE = (
    "![x](http://evil.example/t.png)",
    "[click](javascript:alert(1))",
    "<script>alert(1)</script>",
    "a`b` <img src=x onerror=alert(1)>",
    "``[x](y)``",
    "\\[x](y) \\| <b>",
    "[![x](y)](z) | x | **y** |",
    "&lt;b&gt; www.evil.example",
    "<http://evil.example>",
    "`",
)


@pytest.mark.parametrize("text", _LIVE)
def test_what_others_wrote_is_text_in_the_card(data: Path, rows: list[Source], text: str) -> None:
    text_of = dict.fromkeys(("label_source", "query", "licence", "opt_out", "provider", "crop", "time"), text)
    write_sources(
        data, [replace(row, **text_of) for row in rows[:-1]] + [Source(page=text, reason=text, licence=text)]
    )
    (data / "metadata/search.json").write_text(json.dumps({"cut": text}))
    decide(data, "rejected.csv", "key,file,reason", f"{rows[0].key},x.png,{quoted(text)}")
    decide(
        data, "characters.csv", "file,character,role",
        *(f"{row.file},{quoted(text)},{quoted(text)}" for row in rows[:-1]),
    )  # fmt: skip
    said = card(data)
    rest = said.replace("[sources.csv](sources.csv)", "").replace(_queries(said), "")
    assert not re.search(r"<|(?<!\\)(\\\\)*[\[\]]", rest), "brackets are escaped"
    html = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table").render(said)
    own = {"h1", "h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "a", "code"}
    assert set(re.findall(r"<(?!/)(\w+)", html)) == own
    assert re.findall(r"<a [^>]*>", html) == ['<a href="sources.csv">']
    assert re.findall(r"<code>(.*?)</code>", html) == ["python -m collection card", "role", escape(text)]
    assert html.count(f"<td>{escape(text)}</td>") == 7, "role, provider, rights, reason, method: as written"


def test_it_counts_by_provider_site_and_licence_what_was_tried_and_what_was_taken(
    data: Path, rows: list[Source]
) -> None:
    before = card(data)
    assert "| serpapi | 6 | 5 |" in before
    assert "| nothing | 6 | 5 |" in before, "of rights"
    own, shown, *others, gone = rows
    write_sources(
        data,
        [
            replace(own, provider="folder", url="", licence="CC BY 4.0"),
            replace(shown, page="https://pages.example/1"),
            *others,
            replace(gone, licence="CC BY 4.0"),
        ],
    )
    text = card(data)
    for line in (
        "| serpapi | 5 | 4 |", "| folder | 1 | 1 |",
        "| a.example | 4 | 3 |", "| pages.example | 1 | 1 |", "| this machine | 1 | 1 |",
        "| CC BY 4.0 | 2 | 1 |", "| nothing | 4 | 4 |",
    ):  # fmt: skip
        assert text.count(f"{line}\n") == 1, line


def test_it_says_when_pictures_were_taken_and_what_was_asked(data: Path, rows: list[Source]) -> None:
    assert " taken; no record says when." in (before := card(data))
    assert "Queries: none.\n" in before
    write_sources(
        data,
        [replace(row, time=f"2026-0{5 - i}-01T00:00:00", query=f"C{i % 2} anime") for i, row in enumerate(rows[:-1])]
        + [replace(rows[-1], time="2027-01-01T00:00:00")],
    )  # fmt: skip
    text = card(data)
    said = (
        "what the record says of these was written between 2026-01-01T00:00:00 and 2026-05-01T00:00:00 (UTC)."
    )
    assert said in text, "of those that were taken"
    assert "Queries: 2, one template for all, without a word about roles; the first: `C0 anime`.\n" in text


def test_a_name_in_two_series_is_two_characters(data: Path, rows: list[Source]) -> None:
    decide(
        data, "characters.csv", "file,character,series",
        *(f"{row.file},Ren,{series}" for row, series in zip(rows, "ABACC", strict=False)),
    )  # fmt: skip
    text = card(data)
    assert "| hero | hero | 3 | 2 | 2 |" in text
    assert "| villain | antihero | 2 | 1 | 1 |" in text


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _queries(said: str) -> str:
    """The line of the card that has a query, as code."""
    return next(line for line in said.splitlines() if line.startswith("Queries: "))


def test_a_picture_in_two_classes_is_an_error_as_it_is_of_the_index(data: Path, rows: list[Source]) -> None:
    before = card(data)
    (data / "images/villain/copy.png").write_bytes((data / rows[0].file).read_bytes())
    told = []
    for refused in (write_card, lambda root: build_index(scan(root, IndexOptions()), IndexOptions())):
        with pytest.raises(LabelConflict, match="delete one of them") as caught:
            refused(data)
        told.append(str(caught.value).partition(";")[0])
    assert (
        told[0]
        == told[1]
        == (f"the same picture is 'hero' in {rows[0].file} and 'villain' in images/villain/copy.png")
    )
    assert (data / "metadata/README.md").read_text() == before
    decide(data, "labels.csv", "file,label,key", f"images/villain/copy.png,hero,{rows[0].key}")
    assert "| hero | hero | 3 | 3 | 3 |" in card(data), "with one label it is one picture"
