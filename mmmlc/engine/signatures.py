"""Whether the arguments that a config gives fit what a class takes: names, and types of our own.

The names are those of ``__init__``, and where it passes its ``**kwargs`` on to the parents, of
theirs. Where it is not known who reads them, every name is let through.
"""

from __future__ import annotations

import difflib
import inspect
import math
import numbers
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmmlc.ops.checks import is_integer

# Whose classes pass **kwargs on to their parents, and nowhere else.
_FORWARDING = ('mmmlc.', 'mmengine.optim.scheduler.', 'mmengine.hooks.checkpoint_hook.')


class Parameter(NamedTuple):
    """What is known of an argument: its annotation as written, and as types where it is ours."""

    text: str
    hint: Any


def wrong_arguments(
    cls: type, arguments: Mapping[str, Any], where: str, others: Collection[str] = ()
) -> Iterator[str]:
    """Say what is wrong with the arguments of a class, each with its key in the config.

    Args:
        cls: The class; ``type`` and keys that begin with ``_`` are no arguments of it.
        arguments: As the config gives them.
        where: Key of the arguments.
        others: Names that are read by somebody else.
    """
    known = parameters(cls)
    for name, value in arguments.items():
        if name == 'type' or name.startswith('_') or name in others:
            continue
        if known is not None and name not in known:
            yield f'{where}.{name}: {cls.__name__} takes no such argument{suggest(name, known)}'
            continue
        if name == 'num_classes' and value is None:  # filled in from the data before the build
            continue
        if known and (found := known.get(name)) and not fits(value, found.hint):
            yield f'{where}.{name} is {value!r}, expected {found.text} ({cls.__name__})'


def suggest(name: str, known: Collection[str]) -> str:
    """The nearest known name, or all of them if there are few."""
    if near := difflib.get_close_matches(name, known, 1, 0.5):
        return f', did you mean {near[0]!r}?'
    return f': it takes {", ".join(sorted(known)[:20])}' if known else ''


def parameters(cls: type) -> dict[str, Parameter] | None:
    """Arguments of a class by name; None where any name may be read."""
    found: dict[str, Parameter] = {}
    for owner in inspect.getmro(cls):
        init = vars(owner).get('__init__')
        if init is None:
            continue
        if not inspect.isfunction(init):
            return None if owner is not object else found
        hints = _hints(init)
        rest = None
        for name, parameter in list(inspect.signature(init).parameters.items())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                rest = name
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                text = inspect.formatannotation(parameter.annotation).strip('\'"')
                found.setdefault(name, Parameter(text, hints.get(name, Any)))
        if rest is None:
            return found
        if rest != 'kwargs' or not f'{owner.__module__}.'.startswith(_FORWARDING):
            return None
    return found


def _hints(function: Any) -> dict[str, Any]:
    if not f'{function.__module__}.'.startswith('mmmlc.'):
        return {}  # annotations of others are not kept to
    try:
        return typing.get_type_hints(function)
    except NameError:  # imported for type checkers alone
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of a config is of an annotated type; True for types that configs don't hold.

    A list may stand for a tuple, a whole number for a float, and nothing but True and False for a
    bool. NaN is no number.

    >>> fits(1, float), fits('half', float), fits([1, 2.5], Sequence[int]), fits(True, int)
    (True, False, False, False)
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    if hint is None or hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return is_integer(value)
    if hint is float:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        return real and not math.isnan(value)
    if hint is str:
        return isinstance(value, str)
    kind = origin or hint
    if kind in (dict, Mapping):
        return isinstance(value, Mapping)
    if kind in (list, tuple, Sequence):
        return _fits_sequence(value, inner)
    return True


def _fits_sequence(value: Any, inner: tuple) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return False
    if len(inner) > 1 and inner[1] is not Ellipsis:
        return len(value) == len(inner) and all(map(fits, value, inner))
    return all(fits(one, inner[0]) for one in value) if inner else True
