"""mmdet's parts, built lazily: mmmlc works without mmdet."""

from __future__ import annotations

from typing import Any

from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope

from mmmlc.dependencies import require_mmdet


def build_model(config: dict) -> Any:
    """Build a module of mmdet.

    Raises:
        ImportError: without mmdet; says how to get it.
    """
    return _build('MODELS', config)


def build_task_util(config: dict) -> Any:
    """Build an assigner, sampler or box coder of mmdet; ImportError as of :func:`build_model`."""
    return _build('TASK_UTILS', config)


def _build(registry: str, config: dict) -> Any:
    require_mmdet()
    import mmdet.registry

    # mmdet names parts of parts without their scope, and reads nested keys as attributes.
    with DefaultScope.overwrite_default_scope('mmdet'):
        return getattr(mmdet.registry, registry).build(ConfigDict(config))
