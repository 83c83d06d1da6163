"""Tiny trainings of the project's own toy configs: data, teachers and configs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from make_toy_scenes import make_toy_scenes
from mmengine.config import Config
from mmengine.registry import init_default_scope
from rich.console import Console

from mmmlc.engine.launch import load_config
from mmmlc.engine.prepare import parts_of, without_pretrained
from mmmlc.proposals.store import ImageProposals, encode, write_store
from mmmlc.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
IMAGES = dict(train=12, val=4)
BATCH, EPOCHS = 4, 3
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def toy_configs(systems: list[str] | None = None) -> dict[str, list[Path]]:
    """The toy configs that can be trained, by system: the folder they lie in."""
    found: dict[str, list[Path]] = {}
    for path in sorted(ROOT.glob('configs/*/*_toy*.py')):
        if Config.fromfile(path).get('model', {}).get('type') != 'mmmlc.TenViews':
            found.setdefault(path.parent.name, []).append(path)
    missing = set(systems or ()) - found.keys()
    if missing:
        raise ValueError(f'--systems {sorted(missing)[0]}: expected some of {", ".join(found)}')
    return {name: paths for name, paths in found.items() if not systems or name in systems}


def write_toys(folder: Path) -> Path:
    """Draw a few ToyScenes, with proposals made up, once; the folder of the data."""
    data = folder / 'toy_scenes'
    written = make_toy_scenes(data, **IMAGES, console=Console(file=io.StringIO()))
    for split, count in IMAGES.items():
        path = data / f'proposals_{split}.prop'
        if written or not path.exists():
            rng = np.random.default_rng(count)
            names = sorted(p.name for p in (data / split).iterdir())
            blocks = []
            for _ in names:
                corners = np.sort(rng.uniform(size=(2, 30, 2)), axis=0)
                blocks.append(encode(np.concatenate([*corners], 1), rng.uniform(size=30)))
            images = [ImageProposals(name, 96, 96, 30) for name in names]
            write_store(path, split, images, blocks, {})
    return data


def toy_config(path: Path, data: Path, work_dir: Path, **options) -> Config:
    """A toy config, cut down to seconds.

    Args:
        path: The config file.
        data: Folder of :func:`write_toys`.
        work_dir: Of the training.
        **options: Of the config, dotted keys with ``__`` for the dots.
    """
    cfg = load_config(path, work_dir=work_dir)
    for part in _dicts(cfg._cfg_dict):
        for key, value in part.items():
            if isinstance(value, str) and value.startswith('data/toy_scenes'):
                part[key] = str(data) + value.removeprefix('data/toy_scenes')
    without_pretrained(cfg.model)
    for loader in (cfg[key] for key in LOADERS):
        if loader:
            loader.update(batch_size=BATCH, num_workers=0, persistent_workers=False)
    _shorten(cfg)
    _make_teacher(cfg, data.parent)
    cfg.randomness = dict(seed=3)
    cfg.default_hooks.logger.interval = 1
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    # Formatting a config takes longer than training on it.
    return Config(cfg._cfg_dict.to_dict(), format_python_code=False)


def _dicts(config: dict) -> Iterator[dict]:
    for part in parts_of(config):
        if isinstance(part, dict):
            yield part


def _shorten(cfg: Config) -> None:
    cfg.train_cfg.max_epochs = EPOCHS
    schedulers = cfg.param_scheduler
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        for key in ('total_steps', 'T_max'):
            if key in scheduler:
                scheduler[key] = EPOCHS
    for hook in cfg.custom_hooks:
        if 'clusters' in hook:
            hook.update(clusters=(20, 20), locations=1000, min_size=2, every=2, pictures=False)
    if cfg.model.head.get('num_parts') if cfg.model.get('head') else False:
        cfg.model.head.num_parts = (8, 8)


def _make_teacher(cfg: Config, folder: Path) -> None:
    """An untrained teacher in place of a trained one; the two stages keep its answers on disk."""
    for hook in cfg.custom_hooks:
        if not str(hook.type).endswith('TeacherHook'):
            continue
        hook.config = str(ROOT / hook.config)
        teacher = load_config(hook.config, hook.get('options'))
        without_pretrained(teacher.model)
        init_default_scope('mmpretrain')
        torch.manual_seed(1)
        model = MODELS.build(teacher.model)
        hook.checkpoint = str(folder / f'teacher_{Path(cfg.work_dir).name}.pth')
        if 'stage' in cfg.filename:
            hook.cache = str(Path(cfg.work_dir) / 'teacher.cache')
        torch.save(dict(state_dict=model.state_dict()), hook.checkpoint)
