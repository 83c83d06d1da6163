"""The published systems, a package each: a paper read from top to bottom.

A system is found by its folder here; nothing lists them. What it registers is what its
``__init__`` offers, and :mod:`mmmlc.systems.all` imports that when a config names a part.
"""

from __future__ import annotations

import pkgutil


def system_names() -> list[str]:
    """Names of the packages in this folder, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
