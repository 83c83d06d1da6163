"""What a pickle may hold before it is read: the one list for checkpoints and for other pickles.

A pickle names functions and classes, and reading it calls them: an unknown one can run any code.
Checkpoints are read by torch's own restricted unpickler, other pickles, whose protocols that one
doesn't know, by the standard library's; what either may name is said here. Nothing else is looked
up, ``getattr`` least of all.
"""

from __future__ import annotations

import _codecs
import contextlib
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
import torch

_NUMBERS = '?' + np.typecodes['AllInteger'] + np.typecodes['Float']


class RefusedPickleError(ValueError):
    """A pickle that names what is not allowed; ``name`` says what."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


# Any, not Callable: NumPy's annotation of __reduce__ allows for a name in the function's place.
def named(function: Any, name: str) -> Callable:
    """A copy of a function that unpicklers find under the name (module and all) in files."""

    def alias(*args: Any) -> Any:
        return function(*args)

    alias.__module__, alias.__qualname__ = name.rsplit('.', 1)
    alias.__name__ = alias.__qualname__
    return alias


def numpy_globals() -> list[Callable]:
    """What arrays and numbers of NumPy 1 and 2 are made of in a pickle."""
    # How pickle writes the bytes of NumPy's numbers; torch 2.4 does not allow it by itself.
    found: list[Callable] = [np.ndarray, np.dtype, _codecs.encode]
    found += {type(np.dtype(code)) for code in _NUMBERS}
    # NumPy 1 and 2 write different names; either reads both.
    for core in ('core', '_core'):
        # Where this NumPy keeps the functions, its own objects say.
        found.append(named(np.zeros(1).__reduce__()[0], f'numpy.{core}.multiarray._reconstruct'))
        found.append(named(np.float64(0).__reduce__()[0], f'numpy.{core}.multiarray.scalar'))
        found.append(named(np.zeros(1).__reduce_ex__(5)[0], f'numpy.{core}.numeric._frombuffer'))
    return found


@contextlib.contextmanager
def allowed(more: Iterable[Callable]) -> Iterator[None]:
    """``torch.load(weights_only=True)`` allows arrays, ``more``, and what the user has allowed."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    # mmengine adds getattr to the list, by which an unpickler can reach everything.
    kept = [item for item in before if item is not getattr]
    torch.serialization.add_safe_globals([*kept, *numpy_globals(), *more])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def load(file: BinaryIO) -> Any:
    """Read a pickle of arrays, tensors and plain containers, of any protocol.

    Raises:
        RefusedPickleError: if it names anything else; what else is wrong with the file raises what
            ``pickle.load`` does.
    """
    return _Unpickler(file).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What a file may name; nothing is imported for it."""
        found = _by_name().get(f'{module}.{name}')
        if found is None:
            raise RefusedPickleError(f'{module}.{name}')
        return found


def _by_name() -> dict[str, Any]:
    plain: list[Any] = [*numpy_globals(), OrderedDict, torch._utils._rebuild_tensor_v2]
    names = {f'{item.__module__}.{item.__qualname__}': item for item in plain}
    # torch's own function for this unpickles whatever is in there.
    names['torch.storage._load_from_bytes'] = _tensor_from_bytes
    return names


def _tensor_from_bytes(data: bytes) -> torch.Tensor:
    return torch.load(io.BytesIO(data), weights_only=True)
