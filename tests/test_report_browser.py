"""The report as a reader sees it: in Chromium, without a network, on a desktop and a phone, in the light and the dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import HOSTILE, needed_chromium, opened, small_run

#: Contrast of two colours, as WCAG 2 defines it, in the page.
_CONTRAST = """
([one, other]) => {
  const light = text => {
    const pen = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    pen.fillStyle = text; pen.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("run")).report()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    label = HOSTILE["label"]
    others = {name: text for name, text in HOSTILE.items() if name != "label"}
    folder = tmp_path_factory.mktemp("hostile")
    return small_run(folder, classes=("hero", label), positive=label, **others).report()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as found:
        yield found


def _page(browser: Any, path: Path, *, width: int = 1280, height: int = 800, **how: Any) -> Any:
    """A report with the network cut, and whatever the page says or asks for kept."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, reduced_motion="reduce", offline=True, **how
    )
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.said.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (page.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: page.asked.append(request.url.partition(":")[0]))
    page.goto(path.as_uri())
    return page


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a report."""
    pages = []

    def one(path: Path, **how: Any) -> Any:
        pages.append(_page(browser, path, **how))
        return pages[-1]

    yield one
    for page in pages:
        page.context.close()


@pytest.fixture(scope="module", params=["light", "dark"])
def drawn(request: pytest.FixtureRequest, browser: Any, report: Path) -> Iterator[Any]:
    """A report on a desktop, read down to its end; the tests that share it change no more than views."""
    page = _page(browser, report, color_scheme=request.param)
    page.scheme = request.param
    scrolled(page)
    yield page
    page.context.close()


def scrolled(page: Any) -> None:
    """Down to the end, as a reader would, so that every figure is drawn."""
    for figure in page.query_selector_all("figure.plot .canvas"):
        figure.scroll_into_view_if_needed()
    page.wait_for_function("() => !document.querySelector('.canvas:not([data-drawn])')")


def violations(page: Any, **options: Any) -> list[str]:
    """What axe-core complains of: the needs of a screen reader and a keyboard (WCAG A and AA), good practice."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


def unfolded(page: Any) -> None:
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true; })")


def test_it_opens_without_a_network_and_without_a_complaint(drawn: Any) -> None:
    page = drawn
    assert set(page.asked) <= {"file", "data"}
    assert page.said == []
    assert page.locator("main > section").count() == 13
    assert page.locator(".canvas[data-drawn]").count() == page.locator("figure.plot").count() > 12
    assert all(page.evaluate("() => [...document.images].map(image => image.naturalWidth > 0)"))
    empty = page.evaluate(
        "() => [...document.querySelectorAll('.canvas')].filter(one => !one.querySelector('.trace')).length"
    )
    assert empty == 0


def test_figures_far_from_the_screen_wait(show: Any, report: Path) -> None:
    page = show(report)
    page.wait_for_timeout(300)
    assert page.locator(".canvas[data-drawn]").count() < page.locator(".canvas").count() / 2


def test_the_policy_is_in_force(show: Any, report: Path) -> None:
    page = show(report)
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'window.ran = true';
        document.body.appendChild(script);
        const image = document.createElement('img');
        image.src = 'http://localhost:9/x.png';
        document.body.appendChild(image);
        document.querySelector('h1').setAttribute('onclick', 'window.ran = true');
    }""")
    page.click("h1")
    page.wait_for_timeout(100)
    assert page.evaluate("() => window.ran") is None
    assert len([text for text in page.said if "Content Security Policy" in text]) == 3


def test_hostile_names_do_nothing(show: Any, hostile: Path) -> None:
    page = show(hostile)
    scrolled(page)
    page.hover("#fig-map .point >> nth=0", force=True)
    page.wait_for_selector(".tip:not([hidden])")
    page.hover("#fig-board-cv .point >> nth=1", force=True)
    page.click("#edits .choice button >> nth=1")
    page.wait_for_timeout(200)
    assert page.said == []
    assert set(page.asked) <= {"file", "data"}
    assert page.locator("iframe, svg a, main b:text('bold')").count() == 0
    assert HOSTILE["label"] in page.inner_text("h1")
    shown = page.text_content("#fig-board-cv .canvas").replace("\xa0", " ")
    assert HOSTILE["head"].replace(" ", "") in shown.replace(" ", "")


def test_axe_finds_nothing_to_complain_of(drawn: Any) -> None:
    unfolded(drawn)
    assert violations(drawn) == []


def test_figures_have_the_colours_and_the_contrast_of_the_page(drawn: Any) -> None:
    page = drawn
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    dark = page.evaluate(_CONTRAST, [ground, "white"]) > 10
    assert dark == (page.scheme == "dark")
    texts = page.evaluate(
        "() => [...document.querySelectorAll('.canvas text')].map(t => getComputedStyle(t).fill)"
    )
    assert len(texts) > 100
    for colour in set(texts):
        assert page.evaluate(_CONTRAST, [colour, ground]) >= 4.5, colour
    marks = page.evaluate(
        "() => [...document.querySelectorAll('#fig-board-cv .point')].map(t => getComputedStyle(t).fill)"
    )
    for colour in set(marks):
        assert page.evaluate(_CONTRAST, [colour, ground]) >= 3, colour


def test_figures_follow_when_the_evening_comes(drawn: Any) -> None:
    colour = "() => getComputedStyle(document.querySelector('#fig-board-cv .ytick text')).fill"
    before = drawn.evaluate(colour)
    drawn.emulate_media(color_scheme="dark" if drawn.scheme == "light" else "light")
    drawn.wait_for_function(f"before => ({colour})() !== before", arg=before)
    drawn.emulate_media(color_scheme=drawn.scheme)
    drawn.wait_for_function(f"before => ({colour})() === before", arg=before)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen(show: Any, report: Path, width: int) -> None:
    page = show(report, width=width, height=780)
    scrolled(page)
    unfolded(page)
    wide = page.evaluate(
        "() => [...document.querySelectorAll('main *')].filter(one => "
        "!one.closest('.scroll, .canvas, pre, .tip') && one.getBoundingClientRect().right > innerWidth + 1)"
        ".map(one => one.outerHTML.slice(0, 80))"
    )
    assert wide == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_hostile_names_make_nothing_wider_than_a_phone(show: Any, hostile: Path) -> None:
    page = show(hostile, width=360, height=780)
    scrolled(page)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_a_keyboard_reaches_all_of_it_and_is_caught_nowhere(show: Any, report: Path) -> None:
    page = show(report)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#answer")
    reached = []
    for _ in range(400):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "() => document.activeElement === document.body ? '' : document.activeElement.outerHTML.slice(0, 60)"
        )
        if not name:
            break
        reached.append(name)
    assert not name  # past the end
    for wanted in ("<summary", "<button", 'class="scroll', "<pre"):
        assert any(wanted in text for text in reached), wanted


def test_details_and_views_open_by_keyboard(drawn: Any) -> None:
    drawn.evaluate("() => { document.querySelector('#fig-map details').open = false; }")
    drawn.focus("#fig-map summary")
    drawn.keyboard.press("Enter")
    assert drawn.locator("#fig-map details[open] tbody tr").count() == 36
    drawn.focus("#fig-map button[value=split]")
    drawn.keyboard.press("Enter")
    assert drawn.get_attribute("#fig-map button[value=split]", "aria-pressed") == "true"
    assert drawn.get_attribute("#fig-map button[value=class]", "aria-pressed") == "false"
    assert "train" in drawn.text_content("#fig-map .legend")


def test_one_choice_of_a_head_changes_every_figure_of_edits(drawn: Any) -> None:
    page = drawn
    title = "() => [...document.querySelectorAll('#edits .canvas')].map(one => one.data.length && one.layout.yaxis.range)"
    assert page.get_attribute("#edits .choice button >> nth=0", "aria-pressed") == "true"
    page.evaluate(
        "() => { window.redrawn = 0; document.querySelectorAll('#edits .canvas').forEach(one => "
        "one.on('plotly_afterplot', () => { window.redrawn += 1; })); }"
    )
    page.click("#edits .choice button[value=mlp]")
    page.wait_for_function("() => window.redrawn >= document.querySelectorAll('#edits .canvas').length")
    assert page.get_attribute("#edits .choice button[value=mlp]", "aria-pressed") == "true"
    assert len(page.evaluate(title)) == 2


def test_a_point_of_the_map_shows_its_picture_and_what_was_said_of_it(drawn: Any) -> None:
    page = drawn
    page.locator("#fig-map .canvas").scroll_into_view_if_needed()
    page.hover("#fig-map .point >> nth=3", force=True)
    page.wait_for_selector("#fig-map .tip:not([hidden])")
    said = page.inner_text("#fig-map .tip")
    assert re.search(r"p\d{3}\.png", said)
    assert "P(villain)" in said
    page.click("#fig-map button[value=pictures]")
    page.wait_for_selector("#fig-map canvas.overlay")
    painted = page.evaluate(
        "() => { const c = document.querySelector('#fig-map canvas.overlay'); "
        "return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v); }"
    )
    assert painted


def test_on_paper_every_figure_is_drawn_dark_on_light(show: Any, report: Path) -> None:
    page = show(report, color_scheme="dark")
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert page.locator(".canvas:not([data-drawn])").count() == 0
    assert 8 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 30
    page.emulate_media(media="print")
    page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    colour = page.evaluate("() => getComputedStyle(document.querySelector('.canvas text')).fill")
    assert page.evaluate(_CONTRAST, [colour, "white"]) > 10
    wide = page.evaluate(
        "() => Math.max(...[...document.querySelectorAll('.canvas svg')].map(one => one.clientWidth))"
    )
    assert wide <= 680  # a page of A4 less its margins
    assert not page.is_visible(".contents")
    page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("() => document.documentElement.className") == ""
    assert page.said == []


def test_without_scripts_it_still_reads(show: Any, report: Path) -> None:
    page = show(report, java_script_enabled=False)
    assert page.is_visible("h1")
    assert page.locator("main > section").count() == 13
    assert page.is_visible("#leaderboard table")
    assert page.is_visible("#fig-board-cv .waiting")
    assert not page.is_visible("#fig-map .choice")
    page.click("#fig-map summary")
    assert page.is_visible("#fig-map table")


def test_contents_fold_on_a_phone(show: Any, report: Path) -> None:
    page = show(report, width=390, height=844)
    assert not page.is_visible(".contents ol")
    page.click(".contents summary")
    page.click(".contents a[href='#limits']")
    assert not page.is_visible(".contents ol")
    assert page.url.endswith("#limits")


def test_contents_mark_the_section_in_view(drawn: Any) -> None:
    drawn.evaluate("() => document.getElementById('limits').scrollIntoView()")
    drawn.wait_for_selector(".contents a[href='#limits'][aria-current]")
    assert drawn.locator(".contents a[aria-current]").count() == 1


def test_axe_would_find_what_is_wrong(drawn: Any) -> None:
    drawn.evaluate(
        """colour => {
            document.querySelector('.aid').style.color = colour;
            const image = document.querySelector('.sheet img');
            image.removeAttribute('alt');
            image.removeAttribute('title');
        }""",
        "#aaa" if drawn.scheme == "light" else "#555",
    )
    wrong = violations(drawn, runOnly=["color-contrast", "image-alt"])
    assert {text.partition(":")[0] for text in wrong} == {"color-contrast", "image-alt"}


def test_without_a_chromium_tests_are_skipped_and_fail_where_all_must_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        needed_chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no Chromium here"):
        needed_chromium()
