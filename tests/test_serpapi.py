"""Answers are paid for once; errors say which it was and what was kept; the key is seen nowhere."""

from __future__ import annotations

import io
import json
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from collection.providers import BudgetSpent, ProviderRefused, QueryRefused, serpapi
from collection.providers.serpapi import SerpApi
from collection.records import Character
from collection.secret import MissingKey, Secret, read_secret
from featurestore.errors import DataError
from tests.serpapi_double import FAILED, KEY, SerpApiDouble, images

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
    assert [one.page for one in found] == [f"https://example.org/page/{i}" for i in range(3)]
    assert [one.licence for one in found] == ["https://example.org/licence/0", "", ""]
    assert (found[1].rank, found[1].provider, found[1].query) == (1, "serpapi", double.asked[0])


def test_all_that_an_answer_depends_on_is_asked_for(double: SerpApiDouble, tmp_path: Path) -> None:
    provider(double, tmp_path).candidates(SPIKE)
    assert double.requests == [
        {
            "engine": "google_images", "q": "Somebody Some Series anime face", "hl": "en", "gl": "us",
            "nfpr": "1", "safe": "active",
        }
    ]  # fmt: skip


def test_two_that_ask_otherwise_share_no_answer(double: SerpApiDouble, tmp_path: Path) -> None:
    provider(double, tmp_path).candidates(SPIKE)
    open_minded = provider(double, tmp_path, safe="off")
    assert not open_minded.known(SPIKE)
    open_minded.candidates(SPIKE)
    assert [asked["safe"] for asked in double.requests] == ["active", "off"]
    assert provider(double, tmp_path).known(SPIKE)


def test_only_originals_of_the_web_are_candidates_and_keep_their_place(tmp_path: Path) -> None:
    originals: list[Any] = [
        "x-raw-image:///00ff", "/pictures/1.jpg", "//images.example/2.jpg", "data:image/png;base64,AA==",
        "file:///etc/passwd", "ftp://images.example/5.jpg", "", None, 5, "http://images.example/9.jpg",
    ]  # fmt: skip
    found = images(len(originals) + 1, lambda i: "https://images.example/last.jpg")
    for one, original in zip(found, originals, strict=False):
        one["original"] = original
    del found[0]["original"]
    with SerpApiDouble(lambda _: [*found, None]) as double:  # type: ignore[list-item]
        one = provider(double, tmp_path)
        for _ in ("asked", "kept"):
            assert [(each.rank, each.url) for each in one.candidates(SPIKE)] == [
                (9, "http://images.example/9.jpg"),
                (10, "https://images.example/last.jpg"),
            ]


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


def test_an_answer_without_offers_is_asked_for_again_when_told_so(
    double: SerpApiDouble, tmp_path: Path
) -> None:
    """The service finds nothing now and then where there is something."""
    one = provider(double, tmp_path)
    one.candidates(SPIKE)
    double.fails = [(200, {"error": "Google hasn't returned any results for this query."})]
    assert one.candidates(OTHER) == []
    assert one.known(OTHER)
    assert one.forget_empty() == 1
    assert (one.known(SPIKE), one.known(OTHER)) == (True, False)


def test_a_budget_is_not_exceeded_and_what_is_kept_is_free(double: SerpApiDouble, tmp_path: Path) -> None:
    one = provider(double, tmp_path, budget=1)
    one.candidates(SPIKE)
    with pytest.raises(BudgetSpent, match="budget of 1 credit is"):
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
        (418, {"error": "I am \u001b[31ma teapot."}, r"it failed \(I am \\x1b\[31ma teapot\.\)"),
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
    assert "1 answer of this run is kept" in str(refused.value)
    assert refused.value.exit_code == 4


def test_a_query_that_is_not_understood_says_so_and_is_not_kept(
    double: SerpApiDouble, tmp_path: Path
) -> None:
    one = provider(double, tmp_path)
    double.fails = [(400, {"error": "Unsupported value."})]
    with pytest.raises(QueryRefused, match=r"serpapi: Unsupported value\."):
        one.candidates(SPIKE)
    assert one.candidates(SPIKE)


NO_ANSWERS = [
    (200, "[]"), (200, "null"), (200, "5"), (200, "{"), (200, "[" * 100_000), (200, "<html>"), (200, "{}"),
    (200, '{"images_results": 5}'), (200, '{"images_results": {"original": "x"}}'),
    (200, '{"search_metadata": {"status": "Processing"}}'), (200, '{"error": {"a": 1}}'),
    (503, '"Service Unavailable"'), (500, "[]"), (502, "null"), (500, '{"error": 5}'),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
@pytest.mark.parametrize(("status", "body"), NO_ANSWERS)
def test_what_is_no_answer_is_asked_for_again_then_told_without_the_key_and_never_kept(
    double: SerpApiDouble, tmp_path: Path, status: int, body: str, kind: str
) -> None:
    one = provider(double, tmp_path)
    double.fails, double.kind = [(status, body)] * 3, kind
    with pytest.raises(ProviderRefused, match="again later") as refused:
        one.candidates(SPIKE)
    told = "".join(traceback.format_exception(refused.value))
    assert "canary" not in told
    assert double.fails == []
    assert (one.known(SPIKE), one.spent) == (False, 0)
    assert one.candidates(SPIKE)


def test_an_answer_that_does_not_come_is_not_waited_for(
    double: SerpApiDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 1 <= serpapi._TIMEOUT_S <= 300
    monkeypatch.setattr(serpapi, "_TIMEOUT_S", 0.1)
    double.waits_s = 1.0
    waited: list[float] = []
    one = provider(double, tmp_path, sleep=waited.append)
    with pytest.raises(
        ProviderRefused, match=r"no answer in 0\.1 s\): run the same command again later"
    ) as told:
        one.candidates(SPIKE)
    assert waited == [2.0, 4.0]
    assert "canary" not in "".join(traceback.format_exception(told.value))
    assert not one.known(SPIKE)


def test_an_answer_that_breaks_off_says_what_was_kept(double: SerpApiDouble, tmp_path: Path) -> None:
    one = provider(double, tmp_path)
    one.candidates(SPIKE)
    double.cut = True
    with pytest.raises(ProviderRefused, match="1 answer of this run is kept") as refused:
        one.candidates(OTHER)
    assert "canary" not in "".join(traceback.format_exception(refused.value))


def test_texts_of_an_answer_are_kept_whatever_characters_they_hold(tmp_path: Path) -> None:
    """Half a character is none that a file takes; a control character is none that a record takes."""
    odd = images(1, lambda i: "https://images.example/1.jpg")
    odd[0] |= {"title": "half \ud83d", "link": "https://example.org/\x00\x07\x9fa", "\ud83d": 1}
    odd[0]["source"] = f"{KEY} and {json.dumps(KEY)}"
    with SerpApiDouble(lambda query: odd) as double:
        one = provider(double, tmp_path)
        assert one.candidates(SPIKE)[0].page == r"https://example.org/\x00\x07\x9fa"
        assert one.candidates(SPIKE)
        assert len(double.asked) == 1, "it is paid for once"
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*.json"))
    assert b"canary" not in kept


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "{}", "null", '{"answer": 5}', '{"answer": {}}', '{"answer": {"images_results": 5}}',
        '{"answer": {"images_results": null}}', '{"answer": {"images_resu',
    ],
)  # fmt: skip
def test_a_kept_answer_that_is_none_is_named(double: SerpApiDouble, tmp_path: Path, text: str) -> None:
    one = provider(double, tmp_path)
    one.candidates(SPIKE)
    (file,) = tmp_path.rglob("*.json")
    file.write_text(text)
    for read in (lambda: one.candidates(SPIKE), one.forget_empty):
        with pytest.raises(DataError, match=f"{file.name}: no kept answer .*; delete it and search again"):
            read()
    assert (file.read_text(), len(double.asked)) == (text, 1)


def test_a_service_that_fails_is_asked_again_and_then_given_up(double: SerpApiDouble, tmp_path: Path) -> None:
    waited: list[float] = []
    one = provider(double, tmp_path, sleep=waited.append)
    double.fails = [FAILED, (500, {"error": "oh"})]
    assert one.candidates(SPIKE)
    assert waited == [2.0, 4.0]
    double.fails = [FAILED] * 3
    with pytest.raises(ProviderRefused, match=r"We couldn't get valid results .*again later; 1 answer of"):
        one.candidates(OTHER)
    assert (one.known(OTHER), one.spent) == (False, 1)
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
