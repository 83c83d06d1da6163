"""Plots as files."""

from __future__ import annotations

import functools
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: str | Path, **options: Any) -> None:
    """Save a plot; characters that the font lacks are said once, not one by one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        figure.savefig(path, **options)
    for warning in caught:
        if 'missing from font' in str(warning.message):
            _say_missing(str(path))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


@functools.cache
def _say(text: str) -> None:
    from mmengine.logging import print_log

    print_log(text, 'current', logging.WARNING)


def _say_missing(path: str) -> None:
    _say(
        f'{Path(path).name}: the font of the plots lacks some characters of the class names, boxes '
        'stand for them. With another one, for example Noto Sans CJK, they are drawn: '
        "matplotlib.rcParams['font.family']"
    )
