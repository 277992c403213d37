"""Answers are paid for once; errors say which it was and what was kept; the key is seen nowhere."""

from __future__ import annotations

import io
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from collection.providers import BudgetSpent, ProviderRefused
from collection.providers.serpapi import SerpApi
from collection.records import Character
from collection.secret import MissingKey, Secret, read_secret
from tests.serpapi_double import KEY, SerpApiDouble, images

SPIKE = Character("Somebody", "Some Series", "hero")
OTHER = Character("Nobody", "Some Series", "villain")


def offers(query: str) -> list[dict[str, Any]] | None:
    return None if "Nobody" in query else images(3, lambda i: f"https://images.example/{i}.jpg")


@pytest.fixture
def double() -> Any:
    with SerpApiDouble(offers) as made:
        yield made


def provider(double: SerpApiDouble, folder: Path, key: str = KEY, **how: Any) -> SerpApi:
    how = {"base_url": double.base_url, "sleep": lambda _: None, **how}
    return SerpApi(Secret(key), folder / "answers", **how)


def test_candidates_are_the_originals_in_the_order_of_the_answer(
    double: SerpApiDouble, tmp_path: Path
) -> None:
    found = provider(double, tmp_path).candidates(SPIKE)
    assert [one.url for one in found] == [f"https://images.example/{i}.jpg" for i in range(3)]
    assert found[1].page == "https://example.org/page/1"
    assert (found[1].rank, found[1].provider, found[1].query) == (1, "serpapi", double.asked[0])


def test_an_answer_is_paid_for_once(double: SerpApiDouble, tmp_path: Path) -> None:
    first = provider(double, tmp_path)
    assert not first.known(SPIKE)
    found = first.candidates(SPIKE)
    again = provider(double, tmp_path, key="another key, or none")
    assert again.known(SPIKE)
    assert again.candidates(SPIKE) == found
    assert (first.spent, again.spent, len(double.asked)) == (1, 0, 1)


def test_no_results_are_an_answer_too(double: SerpApiDouble, tmp_path: Path) -> None:
    one = provider(double, tmp_path)
    assert one.candidates(OTHER) == []
    assert one.candidates(OTHER) == []
    assert len(double.asked) == 1


def test_a_budget_is_not_exceeded_and_what_is_kept_is_free(double: SerpApiDouble, tmp_path: Path) -> None:
    one = provider(double, tmp_path, budget=1)
    one.candidates(SPIKE)
    with pytest.raises(BudgetSpent, match="budget of 1 credits"):
        one.candidates(OTHER)
    assert one.candidates(SPIKE)
    assert len(double.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            401,
            {"error": "Invalid API key. Your API key should be here: x"},
            "the key is not valid: check SERPAPI_KEY",
        ),
        (429, {"error": "Your account has run out of searches."}, "no searches left"),
        (429, {"error": "You are exceeding the hourly throughput limit."}, "too many searches in this hour"),
        (403, {"error": "Account deleted."}, "may not search"),
        (400, {"error": "Unsupported value."}, "Unsupported value"),
    ],
)
def test_a_refusal_says_which_it_is_and_what_was_kept(
    double: SerpApiDouble, tmp_path: Path, status: int, body: dict[str, str], said: str
) -> None:
    one = provider(double, tmp_path)
    one.candidates(SPIKE)
    double.fails = [(status, body)]
    with pytest.raises(ProviderRefused, match=said) as refused:
        one.candidates(OTHER)
    assert "1 answers of this run are kept" in str(refused.value)
    assert refused.value.exit_code == 4


def test_a_service_that_fails_is_asked_again_and_then_given_up(double: SerpApiDouble, tmp_path: Path) -> None:
    waited: list[float] = []
    one = provider(double, tmp_path, sleep=waited.append)
    double.fails = [(503, "<html>busy</html>"), (500, {"error": "oh"})]
    assert one.candidates(SPIKE)
    assert waited == [2.0, 4.0]
    double.fails = [(503, "<html>busy</html>")] * 3
    with pytest.raises(ProviderRefused, match="again later"):
        one.candidates(OTHER)
    with pytest.raises(ProviderRefused, match="no connection"):
        provider(double, tmp_path, base_url="http://127.0.0.1:9").candidates(OTHER)


def test_the_key_is_in_no_file_no_error_and_no_log(double: SerpApiDouble, tmp_path: Path) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    texts = []
    try:
        double.fails = [(200, {"error": f"what you sent: {KEY}"})]
        for one, who in ((provider(double, tmp_path), OTHER), (provider(double, tmp_path), SPIKE)):
            try:
                one.candidates(who)
            except ProviderRefused:
                texts.append(traceback.format_exc())
        double.fails = [(401, {"error": f"Invalid API key {KEY}"})]
        with pytest.raises(ProviderRefused) as refused:
            provider(double, tmp_path).candidates(OTHER)
        texts.append("".join(traceback.format_exception(refused.value)))
        with pytest.raises(ProviderRefused) as refused:
            provider(double, tmp_path, base_url="http://127.0.0.1:9").candidates(OTHER)
        texts += ["".join(traceback.format_exception(refused.value)), repr(refused.value.__context__)]
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    texts += [stream.getvalue(), *(p.read_text() for p in tmp_path.rglob("*.json"))]
    assert "GET /search" in stream.getvalue(), "the client's addresses were logged"
    assert len(list(tmp_path.rglob("*.json"))) == 1
    for text in texts:
        for part in ("canary-key", "4711", "must%26not", "must&not"):
            assert part not in text


def test_a_key_comes_from_the_environment_else_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SERPAPI_KEY=from-the-file\n")
    assert (
        read_secret("SERPAPI_KEY", {"SERPAPI_KEY": "from-outside"}, file, where="x").reveal()
        == "from-outside"
    )
    assert read_secret("SERPAPI_KEY", {}, file, where="x").reveal() == "from-the-file"


@pytest.mark.parametrize("text", ["", "SERPAPI_KEY=\n", "SERPAPI_KEY=short\n"])
def test_a_key_that_is_none_is_missing(tmp_path: Path, text: str) -> None:
    file = tmp_path / ".env"
    file.write_text(text)
    with pytest.raises(MissingKey, match=r"get one at https://serpapi\.com") as missing:
        read_secret("SERPAPI_KEY", {}, file, where="https://serpapi.com")
    assert missing.value.exit_code == 4
