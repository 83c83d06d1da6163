"""Checks of option values, with errors that say what came and what was expected."""

from __future__ import annotations

from collections.abc import Sequence


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ValueError when an option is not one of its choices."""
    if value not in choices:
        raise ValueError(f'{name} is {value!r}, expected one of {", ".join(map(repr, choices))}')


def check_fraction(name: str, value: float) -> None:
    """Raise ValueError when an option is no number in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f'{name} is {value}, expected a number in [0, 1]')
