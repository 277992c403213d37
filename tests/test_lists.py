"""The lists that come with the package, lists of one's own, and what is asked for a character."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import ROOT

from collection.lists import (
    COLUMNS,
    ROLE_WORDS,
    TEMPLATE,
    alternating,
    both_roles,
    query_of,
    read_list,
    read_lists,
    shipped_lists,
)
from collection.records import Character
from featurestore.errors import MetadataError, MissingData, UsageError

HEADER = ",".join(COLUMNS)
HEROES, OTHERS = map(read_list, shipped_lists())
CAST = HEROES + OTHERS
ASTA = Character("Asta", "Black Clover", "hero", ("Black Asta",), "", "my own reading")

#: What must be refused at the least: the code's list may grow, and lose none of these.
LEAST = {
    "hero", "heroes", "heroine", "heroines", "heroic", "superhero", "superheroes", "anti hero",
    "anti heroes", "anti heroine", "anti heroines", "villain", "villains", "villainess", "villainesses",
    "villainous", "villainy", "supervillain", "supervillains", "anti villain", "anti villains",
    "protagonist", "protagonists", "antagonist", "antagonists", "antagonistic", "evil", "good", "bad",
    "good guy", "good guys", "bad guy", "bad guys", "baddie", "baddies", "goodie", "goodies", "big bad",
    "wicked", "sinister", "malevolent", "malicious", "cruel", "noble", "virtuous", "righteous", "ally",
    "allies", "foe", "foes", "enemy", "enemies", "nemesis", "opponent", "opponents", "rival", "rivals",
    "main character", "saviour", "savior", "murderer", "killer", "scary", "creepy",
}  # fmt: skip


def role_words(text: str) -> set[str]:
    """By another way than the code's: whole words, and pairs of them."""
    words = re.findall(r"[a-z]+", text.casefold())
    return {*words, *map(" ".join, pairwise(words))} & (LEAST | {*ROLE_WORDS})


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "mine.csv"
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


# --- the lists that come with the package


def test_there_are_as_many_heroes_as_villains_and_antiheroes() -> None:
    assert 140 <= len(HEROES) <= 160
    assert 140 <= len(OTHERS) <= 160
    assert {c.role for c in HEROES} == {"hero"}
    assert {c.role for c in OTHERS} == {"villain", "antihero"}


def test_they_come_from_sixty_series_or_more_and_from_none_more_than_eight() -> None:
    n_by_series = Counter(c.series for c in CAST)
    assert len(n_by_series) >= 60
    assert max(n_by_series.values()) <= 8


def test_both_roles_come_from_seventy_of_a_hundred_series_or_more() -> None:
    heroes, others = ({c.series for c in side} for side in (HEROES, OTHERS))
    assert both_roles(CAST) == len(heroes & others) / len(heroes | others) >= 0.7


def test_every_series_gives_as_many_heroes_as_others_so_that_it_tells_no_role() -> None:
    assert Counter(c.series for c in HEROES) == Counter(c.series for c in OTHERS)


def test_nobody_stands_in_them_twice() -> None:
    assert read_lists(shipped_lists()) == CAST  # a name or alias twice in a series would be an error
    names = Counter(
        (c.series, words)  # whichever name comes first
        for c in CAST
        for words in {tuple(sorted(name.casefold().split())) for name in (c.name, *c.aliases)}
    )
    assert set(names.values()) == {1}


def test_every_label_says_where_it_comes_from() -> None:
    assert all(re.fullmatch(r"general knowledge: \S.{8,}", c.label_source) for c in CAST)


def test_hints_are_few_and_the_same_for_all_of_a_series() -> None:
    hints = defaultdict(set)
    for character in CAST:
        hints[character.series].add(character.hints)
    assert all(len(some) == 1 for some in hints.values())
    assert sum(bool(c.hints) for c in CAST) < 15


def test_their_text_is_ready_for_any_spreadsheet() -> None:
    for path in shipped_lists():
        text = path.read_bytes().decode("utf-8")
        assert text.splitlines()[0] == HEADER
        assert "\r" not in text
        assert unicodedata.is_normalized("NFC", text)


def test_they_lie_inside_the_package_and_do_not_hide_its_module() -> None:
    import collection.lists

    folder = Path(collection.lists.__file__)
    assert folder.name == "lists.py"
    assert [path.parent.parent for path in shipped_lists()] == [folder.parent] * 2
    assert not (folder.with_name("lists") / "__init__.py").exists()


def test_the_page_gives_the_figures_that_its_command_prints() -> None:
    page = (ROOT / "docs" / "lists.md").read_text(encoding="utf-8")
    (code,) = re.findall(r'^python -c "\n(.+?)"\n', page, re.M | re.S)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"```text\n{done.stdout}```" in page
    n = {role: sum(c.role == role for c in CAST) for role in ("hero", "villain", "antihero")}
    assert f"{n['hero']} heroes, {n['villain']} villains and {n['antihero']} antiheroes" in page


# --- the query


def test_no_query_has_a_role_word_but_in_a_name() -> None:
    for character in CAST:
        found = role_words(query_of(character))
        assert found <= role_words(f"{character.name} {character.series}"), character
        nobody = replace(character, name="Ann", series="Sky")
        assert not role_words(query_of(nobody)), character


def test_a_role_word_in_a_series_title_stays_for_both_roles_alike() -> None:
    series = "My Hero Academia"
    roles = {c.role for c in CAST if c.series == series and "My Hero Academia" in query_of(c)}
    assert roles == {"hero", "villain"}


def test_all_queries_have_the_same_form() -> None:
    for character in CAST:
        tail = f" {character.hints}" if character.hints else ""
        assert query_of(character) == f"{character.name} {character.series} anime face{tail}"
    assert TEMPLATE == "{name} {series} anime face"


def test_the_role_changes_no_query() -> None:
    for character in CAST:
        queries = {
            query_of(replace(character, role=role, label_source=role))
            for role in ("hero", "villain", "antihero")
        }
        assert queries == {query_of(character)}


def test_no_two_characters_are_asked_for_in_the_same_words() -> None:
    assert len({query_of(c).casefold() for c in CAST}) == len(CAST)


def test_a_query_has_single_blanks_and_composed_letters() -> None:
    pokemon = Character(" Ash  Ketchum", "Poke\u0301mon\n", "hero", hints="\tanime  series ")
    assert query_of(pokemon) == "Ash Ketchum Pokémon anime face anime series"
    assert query_of(ASTA, "{series}:  {name}") == "Black Clover: Asta"


def test_braces_in_a_name_are_only_letters() -> None:
    assert query_of(replace(ASTA, name="{series!r}")) == "{series!r} Black Clover anime face"


@pytest.mark.parametrize("template", ["{series} anime face", "anime face", "", "{{name}}"])
def test_a_template_without_the_name_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match=r"must have \{name\}"):
        query_of(ASTA, template)


@pytest.mark.parametrize(
    "template", ["{name} {role}", "{name.__class__}", "{name!r}", "{name:>9}", "{name} {}", "{name} {0}"]
)
def test_a_template_with_anything_else_in_braces_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="nothing else"):
        query_of(ASTA, template)


@pytest.mark.parametrize("template", ["{name", "name}", "{name} }"])
def test_a_template_with_odd_braces_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="mend its braces"):
        query_of(ASTA, template)


@pytest.mark.parametrize("word", sorted(LEAST | {*ROLE_WORDS}))
def test_a_role_word_is_refused_in_template_and_hints(word: str) -> None:
    for form in (word, word.upper(), word.replace(" ", "-"), word.replace(" ", "_"), word.replace(" ", "")):
        with pytest.raises(UsageError, match="tell the role"):
            query_of(ASTA, f"{{name}} {form} face")
        with pytest.raises(UsageError, match="tell the role"):
            query_of(replace(ASTA, hints=f"by {form}, face"))


@pytest.mark.parametrize("template", ["evil{name}", "{name}'s evil face", "{name} ｅｖｉｌ", "_evil_ {name}"])
def test_no_sign_or_width_hides_a_role_word(template: str) -> None:
    with pytest.raises(UsageError, match="'evil'"):
        query_of(ASTA, template)


def test_words_that_only_contain_a_role_word_are_allowed() -> None:
    assert query_of(ASTA, "{name} devil goodness heroin badge") == "Asta devil goodness heroin badge"


# --- lists of one's own


def test_a_list_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "Asta,Black Clover,hero,Black Asta,,my own reading",
        "",
        '"Teach, Marshall D.",One Piece,villain,Blackbeard | Kurohige|,manga,"a poll, 2020"',
    )
    assert read_list(path) == [
        ASTA,
        Character(
            "Teach, Marshall D.", "One Piece", "villain", ("Blackbeard", "Kurohige"), "manga", "a poll, 2020"
        ),
    ]


def test_columns_may_stand_in_any_order_and_behind_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    header, row = ",".join(reversed(COLUMNS)), "my own reading,,Black Asta,hero,Black Clover,Asta"
    path.write_text(f"{header}\r\n{row}\r\n", encoding="utf-8-sig", newline="")
    assert read_list(path) == [ASTA]


def test_the_same_name_in_two_series_is_two_characters(tmp_path: Path) -> None:
    path = written(tmp_path, "Kagura,Inuyasha,antihero,,,x", "Kagura,Gintama,hero,,,x")
    assert both_roles(read_list(path)) == 0


def test_heroes_and_others_are_asked_about_in_turn_each_in_the_order_of_the_lists() -> None:
    roles = ("hero", "hero", "villain", "hero", "antihero", "villain", "antihero")
    people = [replace(ASTA, name=f"{i}", role=role) for i, role in enumerate(roles)]
    assert "".join(one.name for one in alternating(people)) == "0214356"
    assert "".join(one.name for one in alternating(people[:4])) == "0213"
    both = alternating(CAST)
    assert [one for one in both if one.role == "hero"] == HEROES
    assert [one for one in both if one.role != "hero"] == OTHERS
    for n in range(0, 2 * min(len(HEROES), len(OTHERS)), 2):
        assert sum(one.role == "hero" for one in both[:n]) == n / 2


GOOD = "Asta,Black Clover,hero,,,x"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((GOOD, "Yuno,Black Clover,rival,,,x"), r"line 3: the role 'rival' is none of hero, villain, antihero"),
        ((GOOD, "Yuno,Black Clover,Hero,,,x"), r"line 3: the role 'Hero'"),
        ((GOOD, "", " ,Black Clover,hero,,,x"), r"line 4: character is empty; fill it in"),
        ((GOOD, "Yuno,,hero,,,x"), r"line 3: series is empty"),
        ((GOOD, "Yuno,Black Clover,,,,x"), r"line 3: role is empty"),
        ((GOOD, "Yuno,Black Clover,hero,,,"), r"line 3: label_source is empty"),
        ((GOOD, "ASTA,black  clover!,villain,,,x"), r"line 3: 'ASTA' of .* stands in .*, line 2 too; delete one"),
        ((GOOD, "Yuno,Black Clover,hero,Ásta,,x"), r"line 3: 'Ásta' of 'Black Clover' stands in"),
        ((GOOD, "=1+1,Black Clover,hero,,,x"), r"line 3: a spreadsheet would compute '=1\+1'; write it"),
        ((GOOD, "Yuno,Black Clover,hero,Y|@cmd,,x"), r"line 3: a spreadsheet would compute '@cmd'"),
        ((GOOD, "Yuno,Black Clover,hero,,+a,x"), r"line 3: a spreadsheet would compute '\+a'"),
        ((GOOD, "Yuno,Black Clover,hero,,the Bad Guy,x"), r"line 3: 'bad guy' in query_hints tells the role"),
        ((GOOD, "Yuno,Black Clover,hero,,,x,y"), r"line 3: more fields than the header"),
        ((), r"no character; write one a line"),
        (("",), r"no character; write one a line"),
    ],
)  # fmt: skip
def test_a_bad_line_is_an_error_that_names_it(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(MetadataError, match=rf"mine\.csv[:,] {said}"):
        read_list(written(tmp_path, *lines))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (f"{HEADER},notes", r"line 1: an unknown column 'notes'; the columns are character, series, role"),
        (f"{HEADER},", r"line 1: an unknown column ''"),
        (f"{HEADER},role", r"line 1: a second column 'role'"),
        (
            HEADER.replace("character", "Character"),
            r"line 1: the column 'Character' must be written 'character'",
        ),
        ("character,series,role,aliases,query_hints", r"lacks the column label_source; .* the first line"),
    ],
)
def test_a_bad_header_is_an_error_that_names_the_column(tmp_path: Path, header: str, said: str) -> None:
    with pytest.raises(MetadataError, match=rf"mine\.csv.*{said}"):
        read_list(written(tmp_path, "Asta,Black Clover,hero,,x", header=header))


def test_a_list_that_is_none_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no list .*nobody\.csv; name a CSV file"):
        read_list(tmp_path / "nobody.csv")
    with pytest.raises(MetadataError, match="a folder"):
        read_list(tmp_path)
    path = tmp_path / "latin.csv"
    path.write_bytes(f"{HEADER}\nNausica\xe4,x,hero,,,x\n".encode("latin-1"))
    with pytest.raises(MetadataError, match=r"latin\.csv: no UTF-8"):
        read_list(path)


def test_nobody_may_stand_in_two_lists(tmp_path: Path) -> None:
    path = written(tmp_path, "Deku,My Hero Academia,villain,,,x")
    with pytest.raises(MetadataError, match=r"mine\.csv, line 2: 'Deku' .*Hero_list\.csv, line \d+ too"):
        read_lists([*shipped_lists(), path])


def test_both_roles_counts_series_and_not_characters() -> None:
    villain = replace(ASTA, name="Dante Zogratis", role="villain")
    alone = replace(ASTA, series="Sky")
    assert both_roles([]) == 0
    assert both_roles([ASTA, villain, villain, alone]) == 0.5
    assert both_roles([ASTA, replace(villain, role="antihero", series="BLACK CLOVER")]) == 1
