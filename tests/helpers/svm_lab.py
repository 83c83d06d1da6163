"""The tool of linear classifiers on a small model of any config."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmmlc.engine.feature_files import open_features
from mmmlc.engine.launch import load_config
from mmmlc.registry import MODELS

from .places import tool
from .small_data import write_for


def small_config(path: Path, folder: Path) -> str:
    """A toy config on the two images of ``small_data``, with random weights at ``w.pth``."""
    cfg = load_config(path, work_dir=folder / 'work')
    write_for(cfg, folder / 'data')
    cfg.model.backbone.update(stem_channels=4, base_channels=4)
    part = cfg.model.neck if 'neck' in cfg.model else cfg.model.head
    part.in_channels = 16
    # The test images are the training images: two classes each, all others are never positive.
    cfg.train_dataloader.dataset.update(
        {k: cfg.test_dataloader.dataset[k] for k in ('ann_file', 'data_prefix')}
    )
    model = MODELS.build(Config(dict(model=cfg.model)).model)
    torch.save(dict(state_dict=model.state_dict()), folder / 'w.pth')
    cfg.dump(folder / 'config.py')
    return str(folder / 'config.py')


def learn_two_images(
    path: Path, folder: Path, monkeypatch, options: list[str]
) -> tuple[np.ndarray, Callable[[], None]]:
    """Features of the training images, and a check that a second run takes them from the disk."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)  # asks compilers, slowly
    config = small_config(path, folder)
    words = [config, str(folder / 'w.pth'), '--out', str(folder / 'out'), '--jobs', '1']
    words += ['--costs', '100000', *options]
    metrics = tool('svm_eval').main(words)
    data = open_features(folder / 'out/train')
    # Image i has the classes i and i + 1; class 1, in both, has no negative and cannot be trained.
    assert metrics['mAP'] == pytest.approx(100)
    summary = json.loads((folder / 'out/summary.json').read_text())
    assert summary['mAP'] == metrics['mAP'] and summary['threshold'] == 0.5
    saved = np.load(folder / 'out/svm.npz')
    assert saved['weight'].shape == (20, data.features.shape[1])
    assert saved['cost'].tolist() == [1e5, 0, 1e5] + [0] * 17

    def again() -> None:
        assert tool('svm_eval').main(words) == metrics

    return data.features, again
