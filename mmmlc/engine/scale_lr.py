"""Learning rates for another batch size than the config's: the linear scaling rule.

Goyal et al., Accurate, Large Minibatch SGD, 2017: k times the images per update, k times the rate.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

from mmengine.config import Config
from mmengine.logging import print_log

_WORLD_SIZE = dict(pytorch='WORLD_SIZE', slurm='SLURM_NTASKS', mpi='OMPI_COMM_WORLD_SIZE')
# What schedules take as a rate, not as a factor of the optimiser's.
_RATES = ('eta_max', 'eta_min', 'min_value')


def world_size(launcher: str) -> int:
    """Number of processes that the launcher has started, from its environment variable."""
    if launcher == 'none':
        return 1
    name = _WORLD_SIZE[launcher]
    if name not in os.environ:
        raise ValueError(f'--launcher {launcher} expects the environment variable {name}')
    return int(os.environ[name])


def images_per_update(cfg: Config, world_size: int) -> int:
    """Images behind one update of the weights: all processes, and all accumulated batches."""
    loader = cfg.train_dataloader
    batch_sampler = loader.get('batch_sampler') or {}
    # This one shares the config's batch between the processes.
    shared = batch_sampler.get('type') in ('mmmlc.TotalBatchSampler', 'TotalBatchSampler')
    batch = loader.batch_size if shared else loader.batch_size * world_size
    return batch * cfg.optim_wrapper.get('accumulative_counts', 1)


def scale_lr(cfg: Config, world_size: int) -> float:
    """Scale the learning rate, and rates in the schedules, to the images per update.

    Switches mmengine's own scaling off: it takes the batch of ``mmmlc.TotalBatchSampler`` for that
    of one process, knows nothing of accumulation, and leaves ``OneCycleLR(eta_max=...)`` as it is.

    Args:
        cfg: Changed in place. ``auto_scale_lr.base_batch_size`` is the number of images per update
            that its learning rate belongs to, afterwards the actual one.
        world_size: Number of processes.

    Returns:
        The factor.

    Raises:
        ValueError: without a base batch size, or with several optimisers.
    """
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    if not isinstance(base, int) or base < 1:
        raise ValueError(
            f'auto_scale_lr.base_batch_size is {base}, expected the number of images per update '
            'that optim_wrapper.optimizer.lr belongs to'
        )
    optimizer = cfg.optim_wrapper.get('optimizer')
    if not optimizer or 'lr' not in optimizer:
        raise ValueError('optim_wrapper.optimizer has no lr to scale: expected a single optimiser')
    images = images_per_update(cfg, world_size)
    factor = images / base
    optimizer.lr *= factor
    for schedule in _schedules(cfg.get('param_scheduler')):
        _scale_schedule(schedule, factor)
    cfg.auto_scale_lr.enable = False
    # A second time, or from the config that a run leaves behind, there is nothing left to scale.
    cfg.auto_scale_lr.base_batch_size = images
    print_log(
        f'auto_scale_lr: {images} images per update, rates belong to {base}: times {factor:g}, '
        f'lr={optimizer.lr:g}',
        logger='current',
        level=logging.INFO,
    )
    return factor


def check_lr_factors(cfg: Config) -> None:
    """Refuse factors of the learning rate that mmengine's one-cycle schedule would undo.

    ``OneCycleLR`` with a single ``eta_max`` sets that rate for all parameter groups.

    Raises:
        ValueError: if ``optim_wrapper`` has a ``lr_mult`` other than 1 beside such a schedule.
    """
    one_cycle = any(
        schedule['type'].removeprefix('mmengine.') == 'OneCycleLR'
        and not isinstance(schedule.get('eta_max'), list | tuple)
        for schedule in _schedules(cfg.get('param_scheduler'))
    )
    if one_cycle and (factor := next(_lr_factors(cfg.optim_wrapper, 'optim_wrapper'), None)):
        raise ValueError(
            f"{factor} has no effect: param_scheduler OneCycleLR sets every parameter's rate to "
            'eta_max; take another schedule, as LinearLR and CosineAnnealingLR'
        )


def _lr_factors(config: dict, path: str) -> Iterator[str]:
    """Where a config, at any depth, sets a ``lr_mult`` other than 1."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _lr_factors(value, f'{path}[{key!r}]')
        elif key.endswith('lr_mult') and value != 1:
            yield f'{path}[{key!r}]={value}'


def _schedules(schedules: dict | list | None) -> Iterator[dict]:
    yield from [schedules] if isinstance(schedules, dict) else schedules or []


def _scale_schedule(schedule: dict, factor: float) -> None:
    if not schedule['type'].endswith('LR'):  # of the momentum, or of anything
        return
    for key in _RATES:
        value = schedule.get(key)
        if isinstance(value, list | tuple):
            schedule[key] = [rate * factor for rate in value]
        elif value is not None:
            schedule[key] = value * factor
