"""The picture of a template in the list: what it does, drawn, since no model has run yet."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont

from tools.templates.families import Family
from tools.templates.tasks import Task

SIDE, MARGIN = 512, 36
GROUND, PANEL, INK, FAINT = "#1c1f26", "#262b35", "#eceff4", "#8a93a3"
RED, BLUE, YELLOW = "#dc5050", "#5080dc", "#e6c350"
Pen = ImageDraw.ImageDraw
TOP, BOTTOM = 120, 390  # of the drawing


def draw(family: Family, task: Task) -> Image.Image:
    """The card: family, drawing, task."""
    image = Image.new("RGB", (SIDE, SIDE), GROUND)
    pen = ImageDraw.Draw(image)
    pen.text((MARGIN, 32), family.title, INK, ImageFont.load_default(44))
    pen.rounded_rectangle((MARGIN, TOP, SIDE - MARGIN, BOTTOM), 12, PANEL)
    DRAWINGS[task.key](pen)
    pen.text((MARGIN, 408), task.title.capitalize(), INK, ImageFont.load_default(30))
    pen.text((MARGIN, 460), "not tried on real weights yet", FAINT, ImageFont.load_default(20))
    return image


def _sentence(pen: Pen) -> None:
    pen.rounded_rectangle((86, 160, 426, 300), 24, outline=INK, width=4)
    pen.line((150, 300, 130, 345, 200, 300), INK, 4)
    for y, right in ((195, 380), (230, 340), (265, 280)):
        pen.line((120, y, right, y), FAINT, 8)


def _picture(pen: Pen) -> None:
    _frame(pen, 70)
    _arrow(pen)
    _frame(pen, 312)


def _frame(pen: Pen, left: int) -> None:
    pen.rectangle((left, 190, left + 130, 320), outline=INK, width=4)
    pen.polygon((left + 12, 308, left + 60, 235, left + 112, 308), BLUE)
    pen.ellipse((left + 84, 206, left + 112, 234), YELLOW)


def _arrow(pen: Pen) -> None:
    pen.line((222, 255, 284, 255), FAINT, 6)
    pen.polygon((282, 241, 302, 255, 282, 269), FAINT)


def _style(pen: Pen) -> None:
    for k, color in enumerate((RED, YELLOW, BLUE)):
        pen.rectangle((70, 190 + 44 * k, 200, 228 + 44 * k), color)
    _arrow(pen)
    pen.rectangle((312, 190, 442, 320), outline=INK, width=4)
    for k, color in enumerate((RED, YELLOW, BLUE, RED)):
        for j in range(4):
            left, top = 318 + 30 * j, 196 + 30 * k
            pen.arc((left, top, left + 30, top + 30), 180 * (j % 2), 180 * (j % 2) + 180, color, 8)


def _face(pen: Pen) -> None:
    for left, color in ((80, YELLOW), (322, YELLOW)):
        pen.ellipse((left, 190, left + 110, 325), outline=color, width=6)
        pen.ellipse((left + 28, 235, left + 40, 247), INK)
        pen.ellipse((left + 70, 235, left + 82, 247), INK)
        pen.arc((left + 30, 255, left + 80, 300), 20, 160, INK, 5)
    _arrow(pen)


def _boxes(pen: Pen) -> None:
    pen.rectangle((90, 210, 225, 345), outline=RED, width=5)
    pen.ellipse((110, 235, 205, 330), RED)
    pen.rectangle((285, 180, 425, 345), outline=BLUE, width=5)
    pen.rounded_rectangle((310, 215, 400, 330), 14, BLUE)


def _path(pen: Pen) -> None:
    for k, color in enumerate((FAINT, FAINT, RED)):
        left, top = 80 + 120 * k, 290 - 50 * k
        pen.ellipse((left, top, left + 76, top + 76), outline=color, width=5)
    pen.ellipse((332, 202, 384, 254), RED)
    pen.line((118, 328, 358, 228), INK, 4)


def _restored(pen: Pen) -> None:
    pen.rectangle((100, 225, 160, 285), outline=INK, width=3)
    pen.polygon((106, 279, 128, 245, 152, 279), BLUE)
    _arrow(pen)
    _frame(pen, 312)


DRAWINGS: dict[str, Callable[[Pen], None]] = {
    "guide-by-text": _sentence,
    "guide-by-image": _picture,
    "style": _style,
    "face": _face,
    "restore": _restored,
    "place-words": _boxes,
    "along-a-path": _path,
}
