"""Test-time views for any config, as the command-line tools offer them."""

from __future__ import annotations

from mmengine.config import Config

VIEWS = ('features', 'images')


def use_ten_views(cfg: Config, mode: str) -> None:
    """Test the classifier of a config on ten views.

    Args:
        cfg: Changed in place; where its model is ``mmmlc.TenViews`` already, only the mode is set.
        mode: ``'features'`` or ``'images'``, see :class:`mmmlc.models.TenViews`.
    """
    if cfg.model.type != 'mmmlc.TenViews':
        cfg.model.classifier = cfg.model.type
        cfg.model.type = 'mmmlc.TenViews'
    cfg.model.mode = mode
