"""Take pictures for docs/templates.md from a ComfyUI's window: the gallery, and the tour.

    python -m tools.gallery_pictures 127.0.0.1:8188

The ComfyUI must have this pack. Needs Chromium.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.host.server import Server
from tests.web.conftest import OPTIONS, _chromium
from tests.web.desk import Desk
from tools.templates.__main__ import FOLDER, names

DOCS = FOLDER.parent / "docs"
WINDOW = {"width": 1366, "height": 900}
CARDS = '[data-testid^="template-workflow-"]'
LOADED = """images => {
    const all = [...document.querySelectorAll(images)];
    return all.length && all.slice(0, 6).every(({ naturalWidth }) => naturalWidth > 1);
}"""
# As the gallery opens a template.
VIEW = """({ scale, offset }) => {
    Object.assign(app.canvas.ds, { scale, offset });
    app.canvas.setDirty(true, true);
}"""
TOUR = ("tour-what", "tour-when", "tour-where")


def gallery(page: Page) -> None:
    """Open the browser of templates at those of the pack."""
    page.evaluate("() => app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.locator('[role="dialog"]').get_by_text("energy-guidance", exact=False).first.click()
    page.locator(CARDS).first.wait_for()
    page.wait_for_function(LOADED, arg=f"{CARDS} img")


def main(address: str) -> None:
    """Write docs/gallery.png and docs/tour-1.png to docs/tour-3.png."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_chromium(), args=OPTIONS)
        desk = Desk(browser.new_page(viewport=WINDOW), Server(address, Path()))
        gallery(desk.page)
        desk.page.screenshot(path=DOCS / "gallery.png")
        desk.reload()
        for number, key in enumerate(TOUR, 1):
            text = (FOLDER / f"{names()[key]}.json").read_text(encoding="utf-8")
            content = json.loads(text)
            desk.open(content)
            desk.run(VIEW, content["extra"]["ds"])
            desk.rest()
            desk.page.screenshot(path=DOCS / f"tour-{number}.png")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
