"""The gallery of templates, as ComfyUI's window shows it; last, for it leaves a template open."""

from __future__ import annotations

import pytest

from tests.web.desk import Desk
from tools.templates.__main__ import names

CARDS = '[data-testid="template-workflows-content"] [data-testid^="template-workflow-"]'
PACK = "energy-guidance"


@pytest.fixture
def gallery(desk: Desk) -> Desk:
    """The window with the templates of the pack."""
    if desk.version < (1, 40):
        pytest.skip("an older browser of templates, with other marks")
    desk.run("() => void app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    dialog = desk.find('[role="dialog"]')
    dialog.get_by_text(PACK, exact=True).click()
    return desk


def shown(desk: Desk) -> list[str]:
    """Titles on the cards that are laid out; more come as one scrolls."""
    return desk.find(f"{CARDS} h3").all_text_contents()


def test_templates_stand_in_order_with_their_thumbnails_and_open(gallery: Desk) -> None:
    first = next(iter(names().values()))
    gallery.find(CARDS, has_text=first).first.wait_for()
    titles = shown(gallery)
    assert titles == list(names().values())[: len(titles)]
    gallery.until(
        "cards => { const all = [...document.querySelectorAll(`${cards} img`)]; "
        "return all.length && all.slice(0, 3).every((image) => image.naturalWidth === 512); }",
        CARDS,
    )
    # The frontend fits a template into the window.
    gallery.find(CARDS, has_text=first).first.click()
    gallery.until("() => app.graph.nodes.some(({ type }) => type === 'EGGuideWithText')")
    gallery.until("() => app.canvas.ds.scale >= 0.6")
