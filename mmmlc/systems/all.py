"""Imports what every system offers, so that its parts are registered (see mmmlc.registry)."""

from __future__ import annotations

import importlib

from mmmlc.systems import system_names

for _name in system_names():
    _system = importlib.import_module(f'mmmlc.systems.{_name}')
    for _part in getattr(_system, '__all__', ()):
        getattr(_system, _part)
