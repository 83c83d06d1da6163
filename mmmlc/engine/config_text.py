"""The text of a config in a checkpoint, read without running it, and compared with another."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import Any

_NAMES = dict(inf=math.inf, nan=math.nan)
MISSING = '(nothing)'


def read_config_text(text: str) -> dict[str, Any] | None:
    """The values of ``Config.pretty_text``; None for what is no such text.

    What is neither a plain value nor a ``dict(...)`` is kept as its text.

    Examples:
        >>> read_config_text("a = dict(b=[1, -2.5], c=print('x'))")
        {'a': {'b': [1, -2.5], 'c': "print('x')"}}
    """
    try:
        return {
            target.id: _value(node.value)
            for node in ast.parse(text).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(node: ast.AST) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(child) for child in node.elts]
    if isinstance(node, ast.Dict):
        return {
            str(_value(k)): _value(v)
            for k, v in zip(node.keys, node.values, strict=True)
            if k is not None
        }
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand)
        return -number if isinstance(number, int | float) else ast.unparse(node)
    if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'dict':
        found: dict[str, Any] = {}
        for part in node.args:
            value = _value(part)
            found.update(value if isinstance(value, dict) else {})
        return found | {word.arg: _value(word.value) for word in node.keywords if word.arg}
    return ast.unparse(node)


def differences(old: Any, new: Any, key: str = '') -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, old and new value of everything that differs.

    Examples:
        >>> [*differences(dict(a=dict(b=1), c=2), dict(a=dict(b=3), c=2))]
        [('a.b', 1, 3)]
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            below = f'{key}.{name}' if key else name
            yield from differences(old.get(name, MISSING), new.get(name, MISSING), below)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f'{key}[{index}]')
    elif old != new:
        yield key, old, new
