"""A training that takes half a second: a small ResNet on two images."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmmlc.engine import RunOptions, build_runner, load_config

from .places import TOY_CONFIG
from .small_data import write_for

_numbers = itertools.count()


def tiny_config(folder: Path, epochs: int = 2, **options) -> Config:
    """Config of a training in ``folder / 'work'`` on data in ``folder / 'data'``."""
    changes = {
        'model.backbone.stem_channels': 4,
        'model.backbone.base_channels': 4,
        'model.head.in_channels': 16,
        'train_cfg.max_epochs': epochs,
        'optim_wrapper.optimizer.lr': 0.01,
        'randomness.seed': 0,
    }
    cfg = load_config(TOY_CONFIG, changes, folder / 'work')
    cfg.param_scheduler = dict(type='mmengine.MultiStepLR', milestones=[1], gamma=0.5)
    write_for(cfg, folder / 'data')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.serialize_data = False  # which collects garbage, for seconds
        loader.batch_size = 2
    cfg.merge_from_dict(options)
    # Formatting the text takes longer than the training.
    return Config(cfg.to_dict(), 'no text', 'config.py', format_python_code=False)


@contextlib.contextmanager
def without_slow_parts() -> Iterator[None]:
    """Asking compilers for the log takes longer than the training."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
        yield


def train(cfg: Config, resume: str | Path | None = None) -> Runner:
    """Train from a config, in this process, as ``tools/train.py`` does."""
    cfg = copy.deepcopy(cfg)
    # mmengine keeps loggers by their names: one of another test writes to that test's stream.
    cfg.experiment_name = f'tiny_{next(_numbers)}'
    runner = build_runner(cfg, options=RunOptions(resume=resume and str(resume)))
    runner.train()
    return runner
