"""Pages in a real browser: Chromium, driven by Playwright.

A test that asks for the fixture `pages` is skipped, with the reason, where there is no browser.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = (360, 800, 1280)
"""Pixels: a phone, a tablet, a desk."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def start(driver: Any) -> Browser:
    """Start Chromium, or skip the test that asks for it."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None and not Path(driver.chromium.executable_path).is_file():
        pytest.skip(f"there is no browser: none of {', '.join(_NAMES)} is installed")
    # In a container there is often no room for the browser's own sandbox, and little shared memory.
    started: Browser = driver.chromium.launch(
        executable_path=found,
        # The microphone of tests beeps, and asks nobody.
        args=[
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
        ],
    )
    return started


class Pages:
    """Opens pages, and remembers whatever goes wrong in them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.problems: list[str] = []

    def open(self, page: Path | str, *, width: int = 800, height: int = 900, **more: Any) -> Page:
        """Open a page's file, or an address, in a window of its own.

        The page may ask nothing of any network but of the machine itself. `more` goes to
        `Browser.new_context`.
        """
        context = self._browser.new_context(viewport={"width": width, "height": height}, **more)
        opened = context.new_page()
        opened.on("console", lambda said: self._note(said.type, said.text))
        opened.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        opened.on("requestfailed", lambda asked: self.problems.append(f"failed: {asked.url[:200]}"))
        opened.goto(page.resolve().as_uri() if isinstance(page, Path) else page)
        return opened

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(f"{kind}: {text}")


def votes_after(page: Page, action: Callable[[], object]) -> Any:
    """Do something in a page with a live model; return the votes that follow, if any.

    Votes are computed with the next picture that the browser draws, so they are waited for.
    """
    computed = page.evaluate("gridcnn.mounted[0].computed()")
    action()
    page.wait_for_function("(before) => gridcnn.mounted[0].computed() > before", arg=computed)
    return votes_in(page)


def votes_in(page: Page) -> Any:
    """Return the votes that a page with a live model shows, in the order of the classes."""
    return page.evaluate(
        "(() => { const votes = gridcnn.mounted[0].votes(); return votes && [...votes]; })()"
    )


def faults_of(page: Page, *, contrast: bool = True) -> list[str]:
    """Return what axe-core finds in a page that is serious or critical.

    `contrast` says whether it looks at the contrast of texts, which takes most of the time.
    """
    from axe_playwright_python.sync_playwright import Axe

    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    # All that is right would be thousands of lines, so only what is wrong is returned.
    found: list[str] = page.evaluate(
        """async (contrast) => {
            const { violations } = await axe.run(document, {
                resultTypes: ["violations"], rules: { "color-contrast": { enabled: contrast } },
            });
            const bad = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
            return bad.flatMap(({ id, nodes }) => (
                nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`)));
        }""",
        contrast,
    )
    return found


def faults_at_widths(page: Page) -> list[str]:
    """Return what is wrong with a page in windows of all `WIDTHS`, which it is resized to.

    These are pictures that are not drawn, parts beyond the window, and what axe-core finds. Colours
    are the same at each width, so their contrast is looked at once.
    """
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{width}: wider than the window"] if overflows(page) else []
        found += [f"{width}: not drawn: {name}" for name in broken_pictures(page)]
        faults = faults_of(page, contrast=width == WIDTHS[-1])
        found += [f"{width}: {fault}" for fault in faults]
    return found


def overflows(page: Page) -> bool:
    """Return whether a page is wider than its window, so that it has to be scrolled sideways."""
    return bool(
        page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    )


def broken_pictures(page: Page) -> list[str]:
    """Return the descriptions of pictures that are not drawn, or pressed to nothing."""
    broken: list[str] = page.evaluate(
        """[...document.images].filter((each) => {
            const box = each.getBoundingClientRect();
            const isHidden = !each.checkVisibility() || each.closest("details:not([open])");
            return !each.complete || !each.naturalWidth
                || (!isHidden && (box.width < 2 || box.height < 2));
        }).map((each) => each.alt)"""
    )
    return broken
