"""The number of classes of a config, from its data."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DATASETS


def fill_num_classes(cfg: Config) -> None:
    """Replace ``model.head.num_classes=None`` by the number of classes of the training data.

    Reads the labels once more than training does; for a million CSV rows that is some seconds.

    Raises:
        ValueError: if the training data is missing or names no classes.
    """
    head = (cfg.get('model') or {}).get('head')
    if not isinstance(head, dict) or head.get('num_classes', 0) is not None:
        return
    key = 'train_dataloader' if cfg.get('train_dataloader') else 'test_dataloader'
    if not cfg.get(key):
        raise ValueError('model.head.num_classes is None and train_dataloader too: set either')
    classes = DATASETS.build(cfg[key].dataset).metainfo.get('classes')
    if not classes:
        raise ValueError(f'model.head.num_classes is None, and {key}.dataset names no classes')
    head['num_classes'] = len(classes)
    print_log(f'model.head.num_classes={len(classes)}, from {key}.dataset', logger='current')
