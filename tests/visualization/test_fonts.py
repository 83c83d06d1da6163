"""Letters of all kinds in pictures, or a warning."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmmlc import plots
from mmmlc.plots import picture_font


def drawn(text: str) -> bytes:
    image = Image.new('L', (40, 30), 255)
    ImageDraw.Draw(image).text((4, 4), text, 0, picture_font(16, text))
    assert np.asarray(image).min() < 100
    return image.tobytes()


@pytest.fixture
def said(monkeypatch):
    plots._say_missing.cache_clear()
    found: list[str] = []
    monkeypatch.setattr(plots, 'print_log', lambda text, *_: found.append(text))
    yield found
    plots._say_missing.cache_clear()


@pytest.mark.parametrize('pair', ['\u00e8\u00e9', '\u043a\u0442', '\u03b1\u03b2', 'ab'])
def test_letters_differ(pair, said):
    """Accents, Cyrillic, Greek: a font without them draws one box for all."""
    assert drawn(pair[0]) != drawn(pair[1])
    picture_font(16, 'two\nlines')
    assert not said


def test_what_the_font_lacks_is_said_once(said):
    for character in '\u732b\u72ac':
        drawn(character)
    assert len(said) == 1 and 'lacks some characters of the class names' in said[0]
