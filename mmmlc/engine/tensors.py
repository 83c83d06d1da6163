"""The tensors of a checkpoint: how large they are, and whether all of them are numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


def tensors_of(content: Any, name: str = '') -> Iterator[tuple[str, Tensor]]:
    """All tensors in dicts and lists, at any depth, with their dotted names."""
    if isinstance(content, Tensor):
        yield name, content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from tensors_of(value, f'{name}.{key}' if name else str(key))
    elif isinstance(content, list | tuple):
        for index, value in enumerate(content):
            yield from tensors_of(value, f'{name}.{index}' if name else str(index))


def size_of(content: Any) -> int:
    """Bytes of all tensors."""
    return sum(tensor.numel() * tensor.element_size() for _, tensor in tensors_of(content))


def not_finite(content: Any) -> list[str]:
    """Names of the tensors with a NaN or an infinity; one wait for the device, whatever their size.

    Examples:
        >>> not_finite(dict(a=torch.ones(2), b=[torch.tensor([1, torch.nan])]))
        ['b.0']
    """
    found = [(name, t) for name, t in tensors_of(content) if t.is_floating_point() and t.numel()]
    if not found:
        return []
    finite = torch.stack([tensor.isfinite().all() for _, tensor in found]).tolist()
    return [name for (name, _), good in zip(found, finite, strict=True) if not good]


def describe_not_finite(names: list[str]) -> str:
    """Some words for people.

    Examples:
        >>> describe_not_finite(['head.fc.weight', 'head.fc.bias'])
        'head.fc.weight and 1 more hold NaN or infinite values'
    """
    more = f' and {len(names) - 1} more hold' if names[1:] else ' holds'
    return f'{names[0]}{more} NaN or infinite values'
