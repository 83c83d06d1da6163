"""Plots as files, and the font of plots and pictures."""

from __future__ import annotations

import functools
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.logging import print_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import ImageFont


def save_figure(figure: Figure, path: str | Path, **options: Any) -> None:
    """Save a plot; characters that the font lacks are said once, not one by one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        figure.savefig(path, **options)
    for warning in caught:
        if 'missing from font' in str(warning.message):
            _say_missing()
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def picture_font(size: int, *texts: str) -> ImageFont.FreeTypeFont:
    """The font of the plots for a picture: ``matplotlib.rcParams['font.family']``.

    Pillow's own draws the same box for every letter that is not English.

    Args:
        size: In pixels.
        texts: That are drawn with it; characters that it lacks are said, once.
    """
    from PIL import ImageFont

    path, known = _font_file()
    # Line ends have no letter, and need none.
    drawn = (character for text in texts for character in text if character.isprintable())
    if any(ord(character) not in known for character in drawn):
        _say_missing()
    return ImageFont.truetype(path, size)


@functools.cache
def _font_file() -> tuple[str, frozenset[int]]:
    """Its path, and the characters that it has."""
    from matplotlib import font_manager, ft2font, rcParams

    path = font_manager.findfont(font_manager.FontProperties(family=rcParams['font.family']))
    return path, frozenset(ft2font.FT2Font(path).get_charmap())


@functools.cache
def _say_missing() -> None:
    print_log(
        'The font of plots and pictures lacks some characters of the class names, boxes stand for '
        'them. With another one, for example Noto Sans CJK, they are drawn: '
        "matplotlib.rcParams['font.family']",
        'current',
        logging.WARNING,
    )
