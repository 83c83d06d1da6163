"""YAML in which a key that stands twice is an error, not the last one."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import yaml


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        # What is merged by "<<" may be overridden.
        own = [key for key, _ in node.value if key.tag != 'tag:yaml.org,2002:merge']
        keys = [self.construct_object(key, deep=True) for key in own]
        for i, key in enumerate(keys):
            if isinstance(key, Hashable) and key in keys[:i]:
                raise ValueError(f'line {own[i].start_mark.line + 1}: {key!r} twice')
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> object:
    """The content of a file.

    Raises:
        ValueError: if it is no YAML or a key stands twice in a mapping; names file and line.
    """
    try:
        return yaml.load(path.read_text(encoding='utf-8'), _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f'{path} is not a readable YAML file: {error}') from error


def check_keys(where: str, entry: object, allowed: tuple, needed: tuple = ()) -> None:
    """ValueError, which begins with ``where``, if a mapping has other keys or lacks some."""
    if not isinstance(entry, dict):
        raise ValueError(f'{where}: {entry!r}, expected a mapping with the keys {list(allowed)}')
    if unknown := [key for key in entry if key not in allowed]:
        raise ValueError(f'{where}: unknown key {unknown[0]!r}, expected some of {list(allowed)}')
    if missing := [key for key in needed if not entry.get(key)]:
        raise ValueError(f'{where}: {missing[0]!r} is missing or empty')
