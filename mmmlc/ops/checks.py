"""Checks of option values, with errors that say what came and what was expected."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ValueError when an option is not one of its choices."""
    if value not in choices:
        raise ValueError(f'{name} is {value!r}, expected one of {", ".join(map(repr, choices))}')


def check_count(name: str, value: int) -> None:
    """Raise ValueError when an option is no integer of at least 1."""
    if not is_integer(value) or value < 1:
        raise ValueError(f'{name} is {value!r}, expected an integer of at least 1')


def check_fraction(name: str, value: float) -> None:
    """Raise ValueError when an option is no number in [0, 1]."""
    if not is_finite(value) or not 0 <= value <= 1:
        raise ValueError(f'{name} is {value!r}, expected a number in [0, 1]')


def check_fractions(name: str, values: ArrayLike, where: str) -> None:
    """Raise ValueError naming the first value that is no number in [0, 1].

    Args:
        name: What the values are.
        values: Numbers of any shape.
        where: The file or entry that they come from.

    Examples:
        >>> check_fractions('gt_score', [0.5, -1], 'a.jpg')
        Traceback (most recent call last):
        ...
        ValueError: a.jpg: gt_score[1] is -1.0, expected a number in [0, 1]
    """
    numbers_given = np.asarray(values, dtype=np.float64)
    wrong = np.argwhere(~((numbers_given >= 0) & (numbers_given <= 1)))
    if len(wrong):
        place = ', '.join(map(str, wrong[0]))
        value = numbers_given[tuple(wrong[0])]
        raise ValueError(f'{where}: {name}[{place}] is {value}, expected a number in [0, 1]')


def is_integer(value: object) -> bool:
    """Whether a value is a whole number of Python or NumPy; True and False are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def is_finite(value: object) -> bool:
    """Whether a value is a number that is neither NaN nor infinite; True and False are not.

    >>> [is_finite(x) for x in (1, 0.5, float('nan'), 10**400, True, '1')]
    [True, True, False, False, False, False]
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False
