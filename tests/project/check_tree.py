"""Run in a copy of the tree: every module of mmmlc is imported, every config's model is built."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

import mmmlc
from mmmlc.dependencies import require_mmdet
from mmmlc.registry import MODELS

ROOT = Path.cwd()


def import_all() -> int:
    """Import all modules, from here; their number."""
    names = [module.name for module in pkgutil.walk_packages(mmmlc.__path__, 'mmmlc.')]
    for name in names:
        module = importlib.import_module(name)
        assert Path(module.__file__).is_relative_to(ROOT), f'{name} is of {module.__file__}'
    return len(names)


def build_all() -> int:
    """Load all configs and build each model that differs from the others; the number of configs."""
    for layer in (torch.nn.Linear, torch.nn.modules.conv._ConvNd):
        layer.reset_parameters = lambda self: None  # memory that nobody touches costs nothing
    paths = [path for path in sorted(ROOT.glob('configs/[!_]*/*.py'))]
    built = set()
    for path in paths:
        cfg = Config.fromfile(path)
        if cfg.model.get('head', {}).get('num_classes', 0) is None:  # counted in the data
            cfg.model.head.num_classes = 20
        key = json.dumps(cfg.model, sort_keys=True, default=str)
        if key in built or ("'mmdet." in str(cfg.model) and not mmdet_runs()):
            continue
        built.add(key)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            MODELS.build(cfg.model)
    return len(paths)


def mmdet_runs() -> bool:
    """Whether models of mmdet can be built here."""
    try:
        require_mmdet()
    except ImportError:
        return False
    return True


if __name__ == '__main__':
    print(f'{import_all()} modules, {build_all()} configs', file=sys.stdout)
