"""Plots as files."""

from __future__ import annotations

import functools
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.logging import print_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: str | Path, **options: Any) -> None:
    """Save a plot; characters that the font lacks are said once, not one by one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        figure.savefig(path, **options)
    for warning in caught:
        if 'missing from font' in str(warning.message):
            _say_missing(Path(path).name)
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


@functools.cache
def _say_missing(name: str) -> None:
    print_log(
        f'{name}: the font of the plots lacks some characters of the class names, boxes stand for '
        'them. With another one, for example Noto Sans CJK, they are drawn: '
        "matplotlib.rcParams['font.family']",
        'current',
        logging.WARNING,
    )
