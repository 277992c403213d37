"""Offers are tried in their order, each once, until everybody has what was wanted; a journal remembers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from collection.gathering import Gathered, gather, planned
from collection.journal import Journal
from collection.providers import BudgetSpent, ProviderRefused, QueryRefused
from collection.records import Candidate, Character, Fetched, Verdict
from featurestore.errors import DataError


def character(name: str) -> Character:
    return Character(name, "Series", "hero")


class Offers:
    """A provider with a list of addresses for each character; one that is not listed stops it."""

    name = "offers"
    costs = True
    lasts = True

    def __init__(
        self, stop: Exception | None = None, known: Sequence[str] = (), **offers: Sequence[str]
    ) -> None:
        self._offers, self._stop, self._known = offers, stop, set(known)

    def known(self, one: Character) -> bool:
        return one.name in self._known

    def candidates(self, one: Character) -> list[Candidate]:
        if one.name not in self._offers:
            assert self._stop is not None
            raise self._stop
        return [Candidate(one, self.name, one.name, i, url) for i, url in enumerate(self._offers[one.name])]

    def forget_empty(self) -> int:
        return 0

    def strangers(self, characters: Sequence[Character]) -> list[str]:
        return []


class Web:
    """What each address gives: its own name as content, or a reason."""

    def __init__(self, **bad: str) -> None:
        self.bad, self.asked, self.rounds = bad, list[str](), 0

    def __call__(self, urls: Sequence[str], done: Callable[[Fetched], None]) -> None:
        self.rounds += 1
        for url in urls:
            self.asked.append(url)
            reason = self.bad.get(url, "")
            done(Fetched(url, sha256="" if reason else f"of-{url.split('+')[0]}", reason=reason))


def run(provider: Offers, web: Web, path: Path, **how: int | None) -> Gathered:
    names = [*provider._offers, *(["late"] if provider._stop else [])]
    return gather([character(name) for name in names], provider, web, Journal(path), **how)


def taken(found: Gathered) -> list[tuple[str, str]]:
    return [(one.candidate.character.name, one.candidate.url) for one in found.taken]


def test_the_first_good_offer_is_taken_and_no_further_one_is_tried(tmp_path: Path) -> None:
    web = Web(a0="404", b0="too small", b1="404")
    found = run(Offers(a=["a0", "a1", "a2"], b=["b0", "b1", "b2"]), web, tmp_path / "j")
    assert taken(found) == [("a", "a1"), ("b", "b2")]
    assert sorted(web.asked) == ["a0", "a1", "b0", "b1", "b2"]
    assert [one.reason for one in found.entries] == ["404", "", "too small", "404", ""]
    assert not found.missing


def test_each_round_tries_one_offer_of_everybody_at_once(tmp_path: Path) -> None:
    web = Web(a0="404", b0="404")
    run(Offers(a=["a0", "a1"], b=["b0", "b1"], c=["c0"]), web, tmp_path / "j")
    assert web.rounds == 2


def test_no_more_offers_are_tried_than_allowed(tmp_path: Path) -> None:
    web = Web(a0="404", a1="404", a2="404")
    found = run(Offers(a=["a0", "a1", "a2", "a3"]), web, tmp_path / "j", tries=3)
    assert web.asked == ["a0", "a1", "a2"]
    assert found.missing == ((character("a"), "3 offers, 0 good"),)


def test_where_every_good_one_is_wanted_nobody_who_has_one_is_missing(tmp_path: Path) -> None:
    web = Web(a1="404", b0="404")
    offers = Offers(a=["a0", "a1", "a2"], b=["b0"])
    found = run(offers, web, tmp_path / "j", wanted=None, tries=None)
    assert taken(found) == [("a", "a0"), ("a", "a2")]
    assert found.missing == ((character("b"), "1 offer, 0 good"),)


def test_a_picture_that_two_are_offered_goes_to_the_first_listed(tmp_path: Path) -> None:
    web = Web(a0="404")
    found = run(Offers(a=["a0", "x"], b=["x+b", "b1"]), web, tmp_path / "j")
    assert taken(found) == [("a", "x"), ("b", "b1")]
    assert found.entries[2].reason == "also offered for a"


def test_several_pictures_of_one_are_different_ones(tmp_path: Path) -> None:
    found = run(Offers(a=["x", "x+again", "y"]), Web(), tmp_path / "j", wanted=2)
    assert taken(found) == [("a", "x"), ("a", "y")]
    assert found.entries[1].reason == "a picture that was taken already"


class Choosy(Offers):
    """Refuses queries about those whose name begins with x."""

    def candidates(self, one: Character) -> list[Candidate]:
        if one.name.startswith("x"):
            raise QueryRefused("offers: not understood")
        return super().candidates(one)


def test_a_query_that_is_refused_concerns_one_character(tmp_path: Path) -> None:
    found = run(Choosy(a=["a0"], x1=[], b=["b0"], x2=[], x3=[], c=["c0"]), Web(), tmp_path / "j")
    assert taken(found) == [("a", "a0"), ("b", "b0"), ("c", "c0")]
    assert found.missing == tuple((character(name), "offers: not understood") for name in ("x1", "x2", "x3"))
    assert (found.stopped, found.refused) == ("", False)


def test_three_queries_that_are_refused_in_a_row_are_no_matter_of_the_queries(tmp_path: Path) -> None:
    found = run(Choosy(a=["a0"], x1=[], x2=[], x3=[], b=["b0"]), Web(), tmp_path / "j")
    assert taken(found) == [("a", "a0")]
    assert (found.stopped, found.refused) == ("offers: not understood, 3 times", True)
    assert found.missing[-1] == (character("b"), "not asked about")


def test_a_second_run_fetches_nothing_and_finds_the_same(tmp_path: Path) -> None:
    provider = Offers(a=["a0", "a1"], b=["b0"])
    first = run(provider, Web(a0="404"), tmp_path / "j")
    again = Web()
    assert run(provider, again, tmp_path / "j") == first
    assert again.asked == []


@pytest.mark.parametrize(("stop", "refused"), [(BudgetSpent("spent"), False), (ProviderRefused("no"), True)])
def test_a_provider_that_stops_keeps_what_was_found(tmp_path: Path, stop: Exception, refused: bool) -> None:
    found = run(Offers(stop, a=["a0"]), Web(), tmp_path / "j")
    assert taken(found) == [("a", "a0")]
    assert (found.stopped, found.refused) == (str(stop), refused)
    assert found.missing == ((character("late"), "not asked about"),)


def test_what_is_kept_is_used_after_the_provider_stopped(tmp_path: Path) -> None:
    provider = Offers(BudgetSpent("spent"), known=["b"], a=["a0"], b=["b0"])
    names = ["a", "late", "b"]
    found = gather([character(n) for n in names], provider, Web(), Journal(tmp_path / "j"))
    assert taken(found) == [("a", "a0"), ("b", "b0")]


def test_a_plan_counts_who_is_asked_about_and_what_is_kept() -> None:
    assert planned([character("a"), character("b")], Offers(a=[], b=[], known=["b"])) == (2, 1)


# --- the journal


DONE = Fetched("u", "v", "2026-01-01T00:00:00", 200, Verdict(False, "robots"), "s", 5, "png", "", ("w",))


def test_a_journal_gives_back_what_was_added(tmp_path: Path) -> None:
    Journal(tmp_path / "j").add(DONE)
    assert Journal(tmp_path / "j").done == {"u": DONE}


def test_a_line_is_on_the_disk_before_the_next_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced, fsync = tmp_path / "j", [b""], os.fsync

    def watched(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            synced.append(path.read_bytes())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    journal = Journal(path)
    for n_lines, url in enumerate(("one", "two"), start=1):
        journal.add(replace(DONE, url=url))
        assert synced[-1] == path.read_bytes()
        assert synced[-1].count(b"\n") == n_lines


def test_a_line_that_a_killed_run_left_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Journal(path).add(DONE)
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole + whole[:length])
        journal = Journal(path)
        assert journal.done == {"u": DONE}
        journal.add(replace(DONE, url="two"))
        assert list(Journal(path).done) == ["u", "two"]


def test_a_finished_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "j").write_text(json.dumps({"url": "x"}) + "\n")
    with pytest.raises(DataError, match="line 1: no record"):
        Journal(tmp_path / "j")


def test_failures_are_forgotten_when_asked(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.add(DONE)
    journal.add(replace(DONE, url="bad", reason="404"))
    assert journal.forget(lambda one: bool(one.reason)) == 1
    assert list(Journal(tmp_path / "j").done) == ["u"]
