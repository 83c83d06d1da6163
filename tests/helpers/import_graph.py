"""Which module of a package imports which, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Import(NamedTuple):
    """One import statement's target."""

    module: str  # that imports
    target: str  # a module of the package, or another package's name in full
    line: int
    when: str  # 'loading', 'calling' (in a function) or 'typing' (under TYPE_CHECKING)


def read_imports(root: Path, package: str) -> list[Import]:
    """All imports in the modules of ``root/package``."""
    modules = {_name(path, root): path for path in sorted((root / package).rglob('*.py'))}
    return [
        Import(name, target, line, when)
        for name, path in modules.items()
        for node, when in _statements(ast.parse(path.read_text()), 'loading')
        for target in _targets(node, name, path.name == '__init__.py', modules.keys())
        for line in [node.lineno]
    ]


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def _statements(node: ast.AST, when: str) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Import statements below a node, and when they run."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, when
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and when == 'loading':
        when = 'calling'
    typing = isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test)
    for child in ast.iter_child_nodes(node):
        skipped = typing and child in node.body
        yield from _statements(child, 'typing' if skipped else when)


def _targets(
    node: ast.Import | ast.ImportFrom, module: str, is_package: bool, modules
) -> Iterator[str]:
    """Modules that a statement imports; ``from package import module`` imports the module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    parents = module.split('.')[: None if is_package else -1]
    parents = parents[: len(parents) - node.level + 1] if node.level else []
    base = '.'.join([*parents, *filter(None, [node.module])])
    for alias in node.names:
        inner = f'{base}.{alias.name}'
        yield inner if inner in modules else base


def find_cycles(edges: set[tuple[str, str]]) -> list[list[str]]:
    """Groups of modules that import each other, each sorted (strongly connected components)."""
    below: dict[str, set[str]] = {}
    for start, end in edges:
        below.setdefault(start, set()).add(end)
    reach = {start: _reachable(start, below) for start in below}
    groups = {
        frozenset(m for m in found if start in reach.get(m, ())) for start, found in reach.items()
    }
    return sorted(sorted(group) for group in groups if group)


def _reachable(start: str, below: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [*below.get(start, ())]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += below.get(module, ())
    return found
