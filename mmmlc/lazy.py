"""Names that a package offers without importing the modules behind them before they are used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from mmmlc.dependencies import require_core


def lazy_exports(
    package: str, **modules: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package (PEP 562).

    A package whose tensor functions need torch alone can so offer its models too, which need
    OpenMMLab: ``import package.functions`` runs its ``__init__``, and must not import the models.

    Args:
        package: Its ``__name__``.
        **modules: For each of its modules the names to offer, separated by blanks.

    Examples:
        >>> getattr_, _, names = lazy_exports('mmmlc.ops', checks='check_choice')
        >>> names
        ['check_choice']
        >>> getattr_('check_choice').__module__
        'mmmlc.ops.checks'
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        try:
            module = importlib.import_module(f'{package}.{homes[name]}')
        except ImportError:
            require_core()  # if that is the reason, says so with the command that helps
            raise
        return getattr(module, name)

    def __dir__() -> list[str]:
        return sorted(homes)

    return __getattr__, __dir__, sorted(homes)
