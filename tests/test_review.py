"""The review page: who may ask, what is answered, and deciding with keys in Chromium.

``python tests/test_review.py FOLDER`` takes the screenshot in ``docs/images`` of a copy of the demo cast in FOLDER.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # as a script

from collection.curation.command import review
from collection.curation.pictures import survey
from collection.curation.server import ReviewServer
from collection.curation.session import Session
from featurestore.metadata import LABELS
from featurestore.rejections import REJECTED
from tests.browser import HOSTILE, drawing, opened
from tests.conftest import ROOT, encoded, picture

HERO, VILLAIN, NEAR = "images/hero/a.png", "images/villain/c.png", "images/villain/d.png"


@pytest.fixture
def root(six: Path, tmp_path: Path) -> Path:
    """A data folder to decide in."""
    return shutil.copytree(six, tmp_path / "data")


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of two classes: one is blurred, two are nearly the same, one has a hostile character."""
    made = tmp_path_factory.mktemp("six")
    large = [np.asarray(Image.open(io.BytesIO(drawing(i))).resize((256, 256))) for i in range(5)]
    blurred = np.asarray(Image.fromarray(large[1]).filter(ImageFilter.GaussianBlur(6)))
    for file, pixels in (
        (HERO, large[0]),
        ("images/hero/b.png", blurred),
        ("images/hero/e.png", large[3]),
        (VILLAIN, large[2]),
        (NEAR, np.clip(large[2].astype(int) + 2, 0, 255).astype(np.uint8)),
        ("images/villain/f.png", large[4]),
    ):
        (made / file).parent.mkdir(parents=True, exist_ok=True)
        (made / file).write_bytes(encoded(pixels))
    (made / "metadata").mkdir()
    with (made / "metadata/characters.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "character", "series", "role"])
        writer.writerow([HERO, HOSTILE["character"].replace("\u2028\u2029", ""), HOSTILE["series"], "hero"])
        writer.writerow([VILLAIN, "Raka Sai", "Paper Garden", "antihero"])
    return made


def key_of(root: Path, file: str) -> str:
    return hashlib.sha256((root / file).read_bytes()).hexdigest()


def rejected(root: Path) -> dict[str, str]:
    if not (root / REJECTED).exists():
        return {}
    with (root / REJECTED).open(newline="", encoding="utf-8") as stream:
        return {row["file"]: row["reason"] for row in csv.DictReader(stream)}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A program that speaks to the server as it likes."""

    def __init__(self, server: ReviewServer) -> None:
        self.server = server
        self.host = server.hosts[0]

    def ask(
        self,
        route: str = "",
        *,
        method: str = "GET",
        path: str | None = None,
        body: bytes | None = None,
        headers: dict[str, str | None] | None = None,
    ) -> Answer:
        """One request; a header of None is left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        with contextlib.closing(connection):
            said = {"Host": self.host, **(headers or {})}
            connection.putrequest(
                method, f"/{self.server.token}/{route}" if path is None else path, skip_host=True
            )
            for name, value in said.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())

    def post(self, route: str, said: Any, **headers: str | None) -> Answer:
        """A decision as the page sends it, with some headers changed."""
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        usual: dict[str, str | None] = {
            "Origin": f"http://{self.host}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(route, method="POST", body=body, headers={**usual, **changed})


@contextlib.contextmanager
def served(root: Path, *, blind: bool = False) -> Iterator[ReviewServer]:
    server = ReviewServer(Session(survey(root, workers=1), blind=blind))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def client(root: Path) -> Iterator[Client]:
    with served(root) as server:
        yield Client(server)


# Who may ask


def test_it_listens_on_this_machine_alone_under_a_name_nobody_guesses(client: Client) -> None:
    assert client.server.server_address[0] == "127.0.0.1"
    assert client.server.socket.family is socket.AF_INET
    assert len(client.server.token) >= 32
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", client.server.url)
    with served(client.server.session.root) as other:
        assert other.token != client.server.token


@pytest.mark.parametrize("route", ["", "review.js", "pictures.json", "image/{key}.png"])
def test_without_the_token_nothing_is_told(client: Client, root: Path, route: str) -> None:
    route = route.format(key=key_of(root, HERO))
    assert client.ask(route).status == 200
    for start in (
        "",
        "x/",
        client.server.token[:-1] + "/",
        client.server.token.swapcase() + "/",
        "%00/",
        "%C3%A9/",
    ):
        answer = client.ask(path=f"/{start}{route}")
        assert answer.status == 403
        assert answer.body == b"no token: open the address that the command printed\n"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:{port}.evil.example",
        "",
        None,
    ],
)
def test_another_name_for_the_server_is_refused(client: Client, host: str | None) -> None:
    named = host.format(port=client.server.server_port) if host is not None else None
    answer = client.ask(headers={"Host": named})
    assert answer.status == 403
    assert b"another name" in answer.body


def test_localhost_is_its_name_too(client: Client, root: Path) -> None:
    client.host = client.server.hosts[1]
    assert client.ask().status == 200
    assert client.post("decide", {"key": key_of(root, HERO), "action": "accept"}).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Origin": "https://{host}"}, 403),
        ({"Origin": "http://{host}.evil.example"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Type": None}, 415),
        ({"Content_Length": None}, 411),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": "²"}, 411),
        ({"Content_Length": None, "Transfer_Encoding": "chunked"}, 411),
        ({"Content_Length": "5000"}, 413),
        ({"Content_Length": "9" * 30}, 413),
    ],
)
def test_a_decision_that_the_page_did_not_send_is_refused(
    client: Client, root: Path, headers: dict[str, str | None], status: int
) -> None:
    port = client.server.server_port
    said = {k: v.format(host=client.host, port=port) if v else v for k, v in headers.items()}
    answer = client.post("decide", {"key": key_of(root, HERO), "action": "reject"}, **said)
    assert answer.status == status
    assert not (root / REJECTED).exists()


def test_a_decision_without_the_token_is_refused(client: Client, root: Path) -> None:
    body = json.dumps({"key": key_of(root, HERO), "action": "reject"}).encode()
    headers = {
        "Origin": f"http://{client.host}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    for path in ("/decide", "/x/decide", "//decide"):
        assert client.ask(method="POST", path=path, body=body, headers=headers).status == 403
    assert not (root / REJECTED).exists()


def test_a_decision_is_no_get(client: Client, root: Path) -> None:
    key = key_of(root, HERO)
    assert client.ask(f"decide?key={key}&action=reject").status == 404
    assert client.ask("decide").status == 404
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "HEAD"):
        answer = client.ask(method=method)
        assert answer.status == 501
        assert "Python" not in str(answer.headers)
    assert not (root / REJECTED).exists()


@pytest.mark.parametrize(
    "route",
    [
        "../../../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "image/../../etc/passwd",
        "image/..%2f..%2fmetadata%2fcharacters.csv",
        "image/" + "0" * 64 + ".png",
        "image/{key}.png/../../review.py",
        "image/{KEY}.png",
        "image/{key}",
        "/etc/passwd",
        "review.html",
        "page/review.html",
        "review.js%00.png",
        "server.py",
        "data/images/hero/a.png",
    ],
)
def test_no_path_leads_to_a_file(client: Client, root: Path, route: str) -> None:
    key = key_of(root, HERO)
    answer = client.ask(route.format(key=key, KEY=key.upper()))
    assert answer.status == 404
    assert answer.body == b"nothing here\n"


def test_an_absolute_address_leads_nowhere(client: Client) -> None:
    assert client.ask(path=f"http://evil.example/{client.server.token}/").status == 403


@pytest.mark.parametrize(
    "request_line", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 70_000]
)
def test_a_broken_request_is_answered_in_a_plain_line_or_not_at_all(
    client: Client, request_line: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", client.server.server_port), timeout=10) as wire:
        wire.sendall(request_line)
        wire.shutdown(socket.SHUT_WR)
        told = b"".join(iter(lambda: wire.recv(65536), b""))
    assert b"<html" not in told.lower()
    assert client.ask().status == 200


# What is answered


def test_every_answer_has_the_policy_and_is_kept_nowhere(client: Client, root: Path) -> None:
    for answer in (
        client.ask(),
        client.ask("pictures.json"),
        client.ask(f"image/{key_of(root, HERO)}.png"),
        client.ask("nothing"),
        client.ask(path="/"),
        client.ask(method="PUT"),
    ):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Server"] == "kyara"


def test_the_page_asks_for_nothing_elsewhere(client: Client) -> None:
    for route in ("", "review.css", "review.js"):
        text = client.ask(route).body.decode()
        assert "//" not in re.sub(r"(?m)^\s*//.*$", "", text)
        assert "innerHTML" not in text
    assert not re.search(r"<script(?! src=)|<style|\son\w+=|\sstyle=", client.ask().body.decode())


def test_a_picture_is_what_the_study_sees_and_no_more(client: Client, root: Path) -> None:
    file = root / "images/hero/wide.jpg"
    note = b"secret note"
    exif = Image.Exif()
    exif[0x010E] = note.decode()
    exif[0x0112] = 6  # lies on its side
    stream = io.BytesIO()
    Image.fromarray(picture(5, (600, 300))).save(stream, "JPEG", exif=exif)
    file.write_bytes(stream.getvalue())
    with served(root) as server:
        answer = Client(server).ask(f"image/{key_of(root, 'images/hero/wide.jpg')}.png")
    assert answer.headers["Content-Type"] == "image/png"
    assert note not in answer.body
    with Image.open(io.BytesIO(answer.body)) as shown:
        assert shown.size == (128, 256)


@pytest.mark.parametrize("how", ["gone", "replaced", "emptied"])
def test_a_picture_that_is_no_longer_there_is_a_line(client: Client, root: Path, how: str) -> None:
    key = key_of(root, HERO)
    (root / HERO).unlink()
    if how != "gone":
        (root / HERO).write_bytes((root / VILLAIN).read_bytes() if how == "replaced" else b"")
    answer = client.ask(f"image/{key}.png")
    assert answer.status == 400
    assert answer.json["error"] == (
        "no file holds No. 1 any more; start the review again, pictures have changed"
    )


def test_a_picture_is_shown_as_long_as_one_of_its_files_holds_it(root: Path) -> None:
    copy = root / "images/villain/z.png"
    copy.write_bytes((root / HERO).read_bytes())
    key = key_of(root, HERO)
    with served(root) as server:
        before = Client(server).ask(f"image/{key}.png")
        (root / HERO).write_bytes((root / VILLAIN).read_bytes())
        assert Client(server).ask(f"image/{key}.png").body == before.body
        (root / HERO).unlink()
        assert Client(server).ask(f"image/{key}.png").body == before.body
        copy.unlink()
        assert Client(server).ask(f"image/{key}.png").status == 400
    assert before.status == 200


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"{", "no JSON"),
        (b"[" * 4000, "no JSON"),
        (b"[1]", "no JSON object"),
        ({"key": 1, "action": "accept"}, "are texts"),
        ({"key": "0" * 64, "action": "accept"}, "no picture has the key"),
        ({"key": "{key}", "action": "drop"}, "no decision 'drop'"),
        ({"key": "{key}", "action": "relabel", "label": "../../x"}, "no class"),
        ({}, "no picture has the key"),
    ],
)
def test_a_decision_that_makes_no_sense_is_a_line(client: Client, root: Path, said: Any, why: str) -> None:
    if isinstance(said, dict) and said.get("key") == "{key}":
        said = {**said, "key": key_of(root, HERO)}
    answer = client.post("decide", said)
    assert answer.status == 400
    assert why in answer.body.decode()
    assert not (root / REJECTED).exists()


def test_a_broken_table_is_told_on_the_page_and_left_alone(client: Client, root: Path) -> None:
    (root / REJECTED).write_text("key\nnone\n")
    answer = client.post("decide", {"key": key_of(root, HERO), "action": "reject"})
    assert answer.status == 400
    assert "line 2" in answer.json["error"]
    assert (root / REJECTED).read_text() == "key\nnone\n"


def test_a_decision_is_on_disk_before_it_is_answered(client: Client, root: Path) -> None:
    answer = client.post("decide", {"key": key_of(root, HERO), "action": "reject", "reason": "no face"})
    assert rejected(root) == {HERO: "no face"}
    assert answer.json["picture"]["verdict"] == "rejected"
    assert client.post("undo", {}).json["picture"]["verdict"] == ""
    assert client.post("undo", {}).json == {"picture": None}
    assert rejected(root) == {}


def test_the_log_never_holds_the_token(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    client.ask()
    client.ask("nothing")
    client.ask(path="/x/")
    told = capfd.readouterr()
    assert told.out == told.err == ""


def test_the_command_prints_the_address_and_ends_with_a_report(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: ReviewServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ReviewServer, "serve_forever", interrupted)
    said = list(review(root, workers=1))
    assert re.match(r"http://127\.0\.0\.1:\d+/[\w-]{32}/ shows 6 pictures", said[0])
    assert "near_duplicate: 2 (0 of 3 hero, 2 of 3 villain)" in said
    assert said[-1] == "relabelled: 0"


#: A shell may start what it runs in the background with Ctrl-C ignored.
_COMMAND = """\
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("collection", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("error", "is_told"), [(ConnectionResetError, False), (BrokenPipeError, False), (ValueError, True)]
)
def test_a_browser_that_goes_away_is_no_error(
    root: Path, error: type[Exception], is_told: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    with served(root) as server:
        try:
            raise error
        except error:
            server.handle_error(None, ("127.0.0.1", 1))
    assert bool(capfd.readouterr().err) is is_told


@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        (signal.SIGINT, 0, "data: 6 pictures to look at\n"),
        (
            signal.SIGTERM,
            143,
            "data: 6 pictures to look at\nkyara: terminated; what was committed is kept\n",
        ),
    ],
)
def test_a_signal_ends_the_command_with_a_report(
    root: Path, how: signal.Signals, code: int, told: str
) -> None:
    shutil.copy(ROOT / "params.yaml", root.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "review"],
        cwd=root.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        port, token = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/(.+)/", url).groups()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)) as connection:
            said = json.dumps({"key": key_of(root, HERO), "action": "reject", "reason": "no face"})
            headers = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/json"}
            connection.request("POST", f"/{token}/decide", said, headers)
            assert connection.getresponse().status == 200
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err == told
    out, _, following = out.partition("next: ")
    assert following == ("python -m collection card, then: dvc repro\n" if code == 0 else "")
    assert out.split("\n")[-4:] == [
        "accepted: 0 (0 of 3 hero, 0 of 3 villain)",
        "rejected: 1 (1 of 3 hero, 0 of 3 villain)",
        "relabelled: 0",
        "",
    ]


# In Chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as found:
        yield found


Open = Callable[..., Any]


@pytest.fixture
def show(browser: Any, root: Path) -> Iterator[Open]:
    """Open the page of a server that runs as long as the test."""
    with contextlib.ExitStack() as stack:

        def one(*, blind: bool = False, width: int = 1000, height: int = 700, **how: Any) -> Any:
            server = stack.enter_context(served(root, blind=blind))
            context = browser.new_context(viewport={"width": width, "height": height}, **how)
            stack.callback(context.close)
            page = context.new_page()
            page.said, page.asked = [], set()
            page.on("console", lambda message: page.said.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: page.said.append(f"error: {error}"))
            page.on("dialog", lambda dialog: (page.said.append("dialog"), dialog.dismiss()))
            page.on("request", lambda request: page.asked.add(request.url.removeprefix(server.url)))
            page.goto(server.url)
            page.wait_for_selector("body[data-ready]")
            return page

        yield one


def press(page: Any, *keys: str) -> None:
    """Press keys and wait until what they decided was answered."""
    for key in keys:
        page.keyboard.press(key)
    page.evaluate("() => queue")


def at(page: Any) -> str:
    """The number of the picture in hand."""
    return str(page.inner_text(".card[aria-selected=true] .no")).strip()


def numbers(page: Any) -> list[str]:
    """Of the pictures that are shown."""
    return [text.strip() for text in page.locator(".card:visible .no").all_inner_texts()]


def test_keys_move_accept_reject_relabel_and_undo(show: Open, root: Path) -> None:
    page = show()
    assert at(page) == "1"
    press(page, "j", "j", "k", "ArrowRight", "ArrowLeft")
    assert at(page) == "2"
    press(page, "x")
    assert at(page) == "3"
    assert rejected(root) == {"images/hero/b.png": "blurred"}
    press(page, "A", "2")
    assert at(page) == "5"
    assert not (root / LABELS).exists()  # it is the folder's label
    press(page, "1")
    with (root / LABELS).open() as stream:
        assert [(row["file"], row["label"]) for row in csv.DictReader(stream)] == [(NEAR, "hero")]
    assert "villain → hero" in page.inner_text(".card >> nth=4")
    assert page.inner_text("#progress") == "4 of 6 decided, 1 rejected, 3 flagged"
    press(page, "u", "u", "u", "u", "u")
    assert page.inner_text("#said") == "nothing to undo in this session"
    assert at(page) == "2"
    assert rejected(root) == {}
    assert not (root / LABELS).exists()
    assert page.said == []


def test_arrows_up_and_down_keep_the_column(show: Open) -> None:
    page = show(width=420)
    press(page, "ArrowDown", "ArrowRight", "ArrowUp")
    assert at(page) == "2"
    press(page, "ArrowUp", "End", "ArrowDown")
    assert at(page) == "6"
    press(page, "Home", "k", "ArrowUp")
    assert at(page) == "1"


def test_flagged_pictures_are_filtered_and_twins_are_found(show: Open, root: Path) -> None:
    page = show()
    press(page, "f")
    assert numbers(page) == ["2", "4", "5"]
    assert at(page) == "2"
    press(page, "j", "d")
    assert at(page) == "5"
    press(page, "x")  # its twin is settled by that
    assert rejected(root) == {NEAR: "near_duplicate"}
    assert page.locator(".card >> nth=3 >> .settled").count() == 1
    press(page, "f", "f")
    assert numbers(page) == ["2", "5"]
    press(page, "f", "Home", "a", "n")
    assert at(page) == "3"


def test_a_reason_is_typed_without_deciding_anything(show: Open, root: Path) -> None:
    page = show()
    press(page, "r")
    page.keyboard.type("axju no face")
    press(page, "Enter")
    assert rejected(root) == {}
    press(page, "x")
    assert rejected(root) == {HERO: "axju no face"}


def test_keys_with_control_are_the_browsers(show: Open, root: Path) -> None:
    page = show()
    press(page, "Control+a", "Alt+x", "Meta+x")
    assert page.inner_text("#progress").startswith("0 of 6 decided")


def test_buttons_do_what_keys_do(show: Open, root: Path) -> None:
    page = show(width=390, height=800, has_touch=True)
    page.tap(".card >> nth=1")
    page.tap("button[data-key=x]")
    page.tap(".card >> nth=3")
    page.tap("button[data-key='1']")
    page.evaluate("() => queue")
    assert list(rejected(root)) == ["images/hero/b.png"]
    assert (root / LABELS).exists()
    page.tap("button[data-key=u]")
    page.evaluate("() => queue")
    assert not (root / LABELS).exists()


def test_hostile_names_are_texts(show: Open) -> None:
    page = show()
    assert page.inner_text(".card >> nth=0 >> .series") == HOSTILE["series"]
    assert "<svg onload=alert(3)>" in page.inner_text(".card >> nth=0 >> .name")
    assert page.locator("#grid svg, #grid script").count() == 0
    press(page, "a")
    assert "<svg onload=alert(3)>" in page.inner_text("#said")
    assert page.said == []


def test_the_policy_is_in_force(show: Open) -> None:
    page = show()
    page.evaluate("""() => {
        const script = document.createElement('script');
        try { script.textContent = 'window.ran = true'; document.body.append(script); } catch { /* refused */ }
        try { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.ran = true">'); }
        catch { /* refused */ }
        const image = document.createElement('img');
        image.src = 'http://127.0.0.1:9/x.png';
        document.body.append(image);
    }""")
    page.wait_for_timeout(100)
    assert page.evaluate("() => window.ran") is None
    assert (
        len([text for text in page.said if "Content Security Policy" in text or "TrustedHTML" in text]) >= 2
    )


def test_another_site_cannot_decide(show: Open, root: Path, browser: Any) -> None:
    page = show()
    url = page.url
    with served(root) as other:  # another port is another origin
        stranger = browser.new_page()
        stranger.goto(other.url)
        said = stranger.evaluate(
            """async ([url, key]) => {
                const body = JSON.stringify({ key, action: 'reject' });
                try {
                  const answer = await fetch(url + 'decide', { method: 'POST', mode: 'no-cors', body });
                  return answer.type;
                } catch (error) { return String(error); }
            }""",
            [url, key_of(root, HERO)],
        )
        stranger.close()
    assert "TypeError" in said or said == "opaque"
    assert rejected(root) == {}


def test_blind_hides_labels_roles_and_paths(show: Open, root: Path) -> None:
    page = show(blind=True)
    text = page.content()
    for hidden in ("villain", "antihero", "images/hero", "hero/"):
        assert hidden not in text
    assert page.is_visible("#blind")
    assert page.locator("#labels button").count() == 0
    press(page, "2")
    assert "labels are hidden" in page.inner_text("#said")
    press(page, "a", "x")
    assert page.inner_text("#progress").startswith("2 of 6 decided, 1 rejected")
    assert "villain" not in page.content()
    assert not (root / LABELS).exists()


def test_what_was_not_saved_is_told(show: Open, root: Path) -> None:
    page = show()
    (root / REJECTED).write_text("key\nnone\n")
    press(page, "x")
    assert page.inner_text("#said").startswith("not saved: ")
    assert "line 2" in page.inner_text("#said")
    assert page.locator(".card.rejected").count() == 0
    (root / REJECTED).unlink()
    press(page, "Home", "x")
    assert page.locator(".card.rejected").count() == 1


def test_what_was_not_taken_back_is_told(show: Open, root: Path) -> None:
    page = show()
    press(page, "x")
    Session(survey(root, workers=1)).decide(key_of(root, HERO), "accept")
    press(page, "u")
    assert page.inner_text("#said").startswith("not taken back: No. 1 was decided anew elsewhere")
    assert not (root / REJECTED).exists()
    press(page, "u")
    assert page.inner_text("#said") == "nothing to undo in this session"


def test_in_place_of_a_picture_that_is_gone_the_page_says_why(show: Open, root: Path) -> None:
    page = show()
    (root / HERO).unlink()
    page.reload()
    page.wait_for_selector("img[alt^='no file holds No. 1 any more; start the review again']")


@pytest.mark.parametrize("width", [360, 1000])
def test_nothing_is_wider_than_the_screen(show: Open, width: int) -> None:
    page = show(width=width)
    press(page, "x", "z")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_of(show: Open, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = show(color_scheme=scheme, bypass_csp=True)
    press(page, "a", "x", "f")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]] == []


# The picture in docs/curation.md


def _spoilt(source: Path, root: Path) -> None:
    """Forty of the demo cast, some of them spoilt."""
    with (source / "metadata/characters.csv").open(newline="") as stream:
        cast = list(csv.DictReader(stream))[:40]
    for row in cast:
        (root / row["file"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / row["file"], root / row["file"])
    (root / "metadata").mkdir()
    with (root / "metadata/characters.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, cast[0])
        writer.writeheader()
        writer.writerows(cast)
    heroes = [root / row["file"] for row in cast if "/hero/" in row["file"]]
    villains = [root / row["file"] for row in cast if "/villain/" in row["file"]]
    for file, source_file, change in (
        (heroes[1], heroes[1], lambda image: image.filter(ImageFilter.GaussianBlur(3))),
        (heroes[3], heroes[3], lambda image: image.resize((256, 100))),
        (heroes[4], heroes[2], lambda image: image.point(lambda v: min(255, v + 3))),
        (heroes[5], heroes[5], _captioned),
        (villains[0], heroes[6], lambda image: image.point(lambda v: min(255, v + 3))),
        (heroes[7], heroes[7], lambda image: Image.new("RGB", image.size, (200, 190, 180))),
    ):
        change(Image.open(source_file).convert("RGB")).save(file, quality=95)


def _captioned(image: Image.Image) -> Image.Image:
    from PIL import ImageDraw, ImageFont

    pen, font = ImageDraw.Draw(image), ImageFont.load_default(15)
    pen.rectangle([0, 176, 256, 256], fill="white")
    for i, line in enumerate(
        ("what is said in a bubble", "is no part of a face, and", "it may tell the role")
    ):
        pen.text((10, 184 + 22 * i), line, fill="black", font=font)
    return image


def screenshot(source: Path, target: Path) -> None:
    """The page on a desktop, four decisions in."""
    with tempfile.TemporaryDirectory() as folder, opened() as browser:
        root = Path(folder)
        _spoilt(source, root)
        with served(root) as server:
            page = browser.new_page(viewport={"width": 1180, "height": 840}, color_scheme="light")
            page.goto(server.url)
            page.wait_for_selector("body[data-ready]")
            press(page, "a", "x", "a", "j", "2")
            page.wait_for_timeout(500)
            shown = Image.open(io.BytesIO(page.screenshot()))
            shown.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)
            page.close()


if __name__ == "__main__":
    made = Path("docs/images/review.png")
    screenshot(Path(sys.argv[1]), made)
    sys.stdout.write(f"{made}: {made.stat().st_size / 1000:.0f} kB\n")
