"""The review page in a real browser; skipped where there is no Chromium."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.audit.review import Review, ReviewServer
from harness.audit.suspects import Doubt
from harness.data.corrections import read_corrections

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no Chromium with its driver"
)
SCRIPT = "<script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    # no name but this machine's resolves: the page must work without internet
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    driver = Chrome(options=options, service=ChromeService(executable_path=DRIVER))
    yield driver
    driver.quit()


class Page:
    """The page as a person uses it."""

    def __init__(self, browser: Any, review: Review) -> None:
        self.browser, self.review = browser, review

    def until(self, holds: Any) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, 20, poll_frequency=0.05).until(lambda _: holds())

    def find(self, selector: str) -> list[Any]:
        return self.browser.find_elements("css selector", selector)

    def press(self, key: str) -> None:
        self.find("body")[0].send_keys(key)

    def decided(self) -> list[str]:
        return [element.text for element in self.find(".decision")]

    def written(self) -> list[tuple[str, str, str]]:
        return [(c.id, c.action, c.label) for c in read_corrections(self.review.corrections)]


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Page]:
    doubts = [
        Doubt("one", "ant", "bee", 0.9),
        Doubt("two", "ant", SCRIPT, 0.8),
        Doubt(SCRIPT, SCRIPT, "ant", 0.7),
    ]
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        Image.new("RGB", (8, 8), "teal").save(path)
    review = Review(doubts, ("ant", "bee", SCRIPT), paths, tmp_path / "corrections.csv")
    server = ReviewServer(review)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    browser.get_log("browser")  # what an earlier test left there
    browser.get(server.address)
    page = Page(browser, review)
    page.until(lambda: page.find("body[data-ready]"))
    yield page
    server.shutdown()
    thread.join()
    server.server_close()


def test_keys_decide_and_move_on(page: Page) -> None:
    for key in "krd":
        page.press(key)
    page.until(lambda: page.decided() == ["keep", f"relabel: {SCRIPT}", "drop"])
    assert page.written() == [
        ("one", "keep", ""),
        ("two", "relabel", SCRIPT),
        (SCRIPT, "drop", ""),
    ]
    assert page.find("#count")[0].text == "3 of 3 decided"


def test_undo_takes_the_last_decision_back(page: Page) -> None:
    page.press("d")
    page.press("s")
    page.press("u")
    page.until(lambda: page.decided() == ["drop", "", ""] and len(page.written()) == 3)
    assert page.written() == [("one", "drop", ""), ("two", "skip", ""), ("two", "undo", "")]
    assert page.find("article")[1].get_attribute("aria-current") == "true"


def test_arrows_move_and_clicks_decide_for_their_card(page: Page) -> None:
    page.press("\ue014")  # the right arrow
    page.press("k")
    page.until(lambda: page.decided() == ["", "keep", ""])
    cards = page.find("article")
    cards[2].find_element("css selector", "option:nth-child(2)").click()
    next(b for b in cards[2].find_elements("css selector", "button") if b.text == "relabel").click()
    page.until(lambda: page.decided() == ["", "keep", "relabel: bee"])
    assert page.written()[-1] == (SCRIPT, "relabel", "bee")


def test_what_is_shown_is_text(page: Page) -> None:
    assert page.browser.title == "Labels to review"
    shown = [element.text for element in page.find("article p")]
    assert SCRIPT in shown
    assert f"given: {SCRIPT}" in shown
    assert len(page.find("script")) == 1


def test_pictures_are_shown(page: Page) -> None:
    width = "return [...document.images].every(image => image.naturalWidth > 0)"
    page.until(lambda: page.browser.execute_script(width))
    assert page.browser.get_log("browser") == []


def test_what_is_not_saved_is_said(page: Page) -> None:
    page.review.corrections.mkdir()  # so that nothing can be written
    page.press("k")
    page.until(lambda: "not saved" in page.find("#problem")[0].text)
    assert page.decided() == ["", "", ""]
