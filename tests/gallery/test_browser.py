"""The gallery in a real browser, opened from disk: what a hand on the mouse or keyboard gets."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pytest

from front_door import invoke
from output_folder import OutputFolder, ramp

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api")
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium is installed")

HEIGHT, WIDTH = 30, 40
METRIC = ramp(HEIGHT, WIDTH, 1.25, 9.5)
RELATIVE = ramp(HEIGHT, WIDTH, 3.0, 1200.0)
LABELS = np.repeat(np.array([[2, 12]], np.uint8), 20, axis=1).repeat(HEIGHT, axis=0)
HOSTILE = '"><img src=x onerror="window.attacked=1"><script>window.attacked=1<%2Fscript>.png'


@dataclass
class Seen:
    """What a page did besides being looked at."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> OutputFolder:
    made = OutputFolder(tmp_path_factory.mktemp("gallery"))
    size = (WIDTH, HEIGHT)
    made.add("b.png", {"npy": METRIC}, quantity="depth", size=size)
    made.add("b.png", {"npy": LABELS}, quantity="labels", size=size)
    made.add("c.png", {"npy": RELATIVE}, quantity="inverse_depth", size=size)
    made.add(f"d{HOSTILE}", {"npy": METRIC}, quantity="depth", size=size)
    made.add("e.png", {"npy": METRIC}, quantity="depth", size=size).unlink()
    invoke("gallery", made.path)
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with playwright.sync_playwright() as running:
        # No sandbox: a container's root cannot have one, and the pages are this test's own.
        started = running.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def page(browser: "Browser", folder: OutputFolder, seen: Seen) -> Iterator["Page"]:
    context = browser.new_context(
        viewport={"width": 1200, "height": 800}, color_scheme="light", reduced_motion="reduce"
    )
    opened = context.new_page()
    opened.set_default_timeout(5000)
    opened.on("pageerror", lambda error: seen.errors.append(str(error)))
    opened.on("console", lambda it: seen.errors.append(it.text) if it.type == "error" else None)
    opened.on("request", lambda request: seen.requests.append(request.url))
    opened.goto((folder.path / "index.html").as_uri())
    yield opened
    context.close()
    assert seen.errors == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def open_picture(page: "Page", name: str) -> None:
    page.locator(".card", has_text=name).first.click()
    ready(page, name)


def ready(page: "Page", name: str) -> None:
    page.locator("#viewer-name", has_text=name).wait_for()
    page.locator("#frame:not([data-busy])").wait_for()


def point(page: "Page", row: int, column: int) -> None:
    """Move the mouse to the middle of a pixel of the map."""
    box = page.locator("#frame").bounding_box()
    assert box is not None
    x = box["x"] + (column + 0.5) / WIDTH * box["width"]
    page.mouse.move(x, box["y"] + (row + 0.5) / HEIGHT * box["height"])


def number(page: "Page") -> float:
    words = page.locator("#readout").inner_text().split()
    return float(words[0])


def painted(page: "Page", row: int, column: int) -> list[int]:
    """Return a pixel of the map as it is painted, RGBA."""
    script = "(it, [x, y]) => [...it.getContext('2d').getImageData(x, y, 1, 1).data]"
    rgba: list[int] = page.locator("#map").evaluate(script, [column, row])
    return rgba


@pytest.mark.parametrize(
    ("name", "values", "unit"), [("b.png", METRIC, "m"), ("c.png", RELATIVE, "(relative)")]
)
def test_the_pointer_reads_the_maps_value(
    page: "Page", name: str, values: npt.NDArray[np.float32], unit: str
) -> None:
    open_picture(page, name)
    for row, column in ((0, 0), (7, 31), (29, 39)):
        point(page, row, column)
        # Half a step of 16 bits, and half of the last digit printed: of three decimals, or of five.
        value = float(values[row, column])
        tolerance = float(np.ptp(values)) / 65534 / 2 + max(5e-4, 5e-5 * value)
        assert number(page) == pytest.approx(value, abs=tolerance)
        assert page.locator("#readout").inner_text().endswith(f" {unit}")
        assert page.locator("#value").inner_text() == page.locator("#readout").inner_text()


def test_near_is_bright_whatever_the_quantity(page: "Page") -> None:
    for name, is_near_first in (("b.png", True), ("c.png", False)):
        open_picture(page, name)
        ends = sum(painted(page, 0, 0)[:3]), sum(painted(page, HEIGHT - 1, WIDTH - 1)[:3])
        assert (ends[0] > ends[1]) == is_near_first
        page.keyboard.press("Escape")


def test_classes_have_names_and_can_be_hidden(page: "Page") -> None:
    open_picture(page, "b.png")
    page.get_by_role("button", name="Classes", exact=True).click()
    point(page, 5, 5)
    page.locator("#readout", has_text="sky").wait_for()
    point(page, 5, 35)
    assert page.locator("#readout").inner_text() == "person"
    assert page.locator("#class-list li").count() == 2
    assert painted(page, 5, 5)[3] > 0
    page.locator("#class-list li", has_text="sky").get_by_role("checkbox").uncheck()
    assert [painted(page, 5, column)[3] > 0 for column in (5, 35)] == [False, True]
    page.locator("#no").click()
    assert painted(page, 5, 35)[3] == 0
    page.locator("#all").click()
    assert all(painted(page, 5, column)[3] > 0 for column in (5, 35))


def split(page: "Page") -> float:
    return float(page.locator("#frame").evaluate("it => it.style.getPropertyValue('--split')"))


def test_the_slider_follows_the_mouse_and_the_keys(page: "Page") -> None:
    open_picture(page, "b.png")
    assert split(page) == 0.5
    point(page, 15, 20)
    page.mouse.down()
    point(page, 15, 9)
    page.mouse.up()
    assert split(page) == pytest.approx(9.5 / WIDTH, abs=0.01)
    clip = page.locator("#map").evaluate("it => getComputedStyle(it).clipPath")
    assert re.search(r"2[34][.\d]*%", clip)
    page.locator("#slider").focus()
    before = split(page)
    page.keyboard.press("ArrowRight")
    assert split(page) == pytest.approx(before + 0.02)
    assert page.locator("#viewer-name").inner_text() == "b.png"
    for key, place in (("1", 1), ("3", 0), ("2", 0.5)):
        page.keyboard.press(key)
        assert split(page) == place


def test_the_keyboard_goes_from_picture_to_picture(page: "Page") -> None:
    page.keyboard.press("Tab")
    page.locator(".card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    ready(page, "c.png")
    page.keyboard.press("ArrowLeft")
    ready(page, "b.png")
    page.keyboard.press("ArrowLeft")  # there is none
    page.keyboard.press("End")
    ready(page, "e.png")
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.dataset.name === 'e.png'")
    assert not page.locator("#viewer").is_visible()


def test_search_by_name(page: "Page") -> None:
    page.keyboard.press("/")
    page.keyboard.type("C.P")
    assert page.locator(".card:visible").count() == 1
    assert page.locator("#count").inner_text() == "1 of 4"
    page.keyboard.press("Enter")
    ready(page, "c.png")
    assert page.locator("#position").inner_text() == "1 of 1"
    page.keyboard.press("Escape")
    page.locator("#search").fill("nothing like it")
    assert page.locator("#none").is_visible()


def test_a_link_opens_its_picture(page: "Page", folder: OutputFolder) -> None:
    page.goto((folder.path / "index.html").as_uri() + "#c.png")
    page.reload()
    ready(page, "c.png")


def test_hostile_names_run_nothing(page: "Page") -> None:
    open_picture(page, "onerror")
    assert page.locator("#viewer-name").inner_text() == f"d{HOSTILE}"
    assert page.evaluate("window.attacked") is None
    url = page.locator("#files a").evaluate("it => it.href")
    assert Path(unquote(url.removeprefix("file://"))).is_file()


def test_a_name_that_is_no_utf8_is_shown(browser: "Browser", tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    folder.add("f\udcff.png", {"npy": METRIC}, quantity="depth", size=(WIDTH, HEIGHT))
    invoke("gallery", folder.path)
    page = browser.new_page()
    page.goto((folder.path / "index.html").as_uri())
    open_picture(page, "f\ufffd.png")
    point(page, 15, 20)
    assert number(page) == pytest.approx(METRIC[15, 20], abs=1e-3)
    page.close()


def test_without_its_photograph_a_map_is_shown_alone(page: "Page") -> None:
    open_picture(page, "e.png")
    assert not page.locator("#slider").is_visible()
    assert not page.locator("#photograph").is_visible()
    point(page, 15, 20)
    assert number(page) == pytest.approx(METRIC[15, 20], abs=1e-3)


def test_a_file_that_is_missing_is_named(page: "Page", folder: OutputFolder, seen: Seen) -> None:
    card = page.locator(".card").nth(1)
    key = card.get_attribute("data-key")
    script = folder.path / ".dpt-gallery" / f"{key}.js"
    hidden = script.rename(script.with_suffix(".hidden"))
    try:
        card.click()
        page.locator("#message", has_text=script.name).wait_for()
    finally:
        hidden.rename(script)
    seen.errors.clear()  # the browser's own line about the file


def ground(page: "Page") -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_light_and_dark(page: "Page") -> None:
    light = ground(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    dark = ground(page)
    assert light != dark
    page.locator("body > header .theme").click()
    assert ground(page) == light
    page.reload()  # the choice outlives the visit
    assert ground(page) == light
    page.keyboard.press("t")
    assert ground(page) == dark


def test_thousands_of_pictures_load_as_they_come_into_view(
    browser: "Browser", folder: OutputFolder, tmp_path: Path
) -> None:
    text = (folder.path / "index.html").read_text(encoding="utf-8")
    start, end = text.index("  <a class"), text.index("</main>")
    card = text[start:end].partition("</a>")[0] + "</a>"
    many = "".join(
        card.replace("b.png", f"p{it}.png").replace('-small.jpg"', f'-small.jpg?{it}"')
        for it in range(2000)
    )
    copy = tmp_path / "out"
    shutil.copytree(folder.path, copy)
    (copy / "index.html").write_text(text[:start] + many + text[end:], encoding="utf-8")
    opened = browser.new_page(viewport={"width": 1200, "height": 800})
    thumbnails: list[str] = []
    opened.on("request", lambda it: thumbnails.append(it.url) if "-small" in it.url else None)
    opened.goto((copy / "index.html").as_uri())
    opened.locator("#count", has_text="2000").wait_for()
    assert 0 < len(thumbnails) < 200
    opened.locator("#search").fill("p1999")
    assert opened.locator(".card:visible").count() == 1
    opened.locator(".card:visible").click()
    ready(opened, "p1999.png")
    opened.close()
