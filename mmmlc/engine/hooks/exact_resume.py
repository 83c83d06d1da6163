"""A training that goes on from a checkpoint computes what it would have computed uninterrupted."""

from __future__ import annotations

import logging
from typing import Any

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmmlc.datasets.seeded_batches import SeededBatches, derive_seed, seed_batches, seed_cpu
from mmmlc.registry import HOOKS


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Make all that is random in a training a function of its seed and of where it stands.

    - Augmentation: of seed, epoch and index of the image, see
      :class:`~mmmlc.datasets.seeded_batches.SeededBatches`.
    - What models draw (dropout, Mixup, sampled patches): of seed, iteration and process. Modules
      with a method ``seed_draws(seed)`` get a seed that all processes share in every iteration.
    - The order of the images: the sampler's seed is kept in checkpoints; mmengine builds it
      from a new one when a training with ``randomness.seed=None`` goes on.

    So there are no states of generators to be kept. A checkpoint from within an epoch
    (``by_epoch=False``) goes on with the next batch of that epoch; mmengine begins it anew. A
    validation that was to follow the checkpoint is made up for: its result, and the best
    checkpoint, would be missing.
    """

    # Before all that draws.
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._seed = 0
        self._rank = 0
        self._batches: SeededBatches | None = None
        self._seeded: list[Any] = []
        self._resumed: dict[str, Any] = {}  # of the checkpoint to go on from
        self._epoch, self._first = 0, 0  # the current epoch and its first iteration
        self._validated = (-1, -1)  # epoch and iteration

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep what can't be derived: the sampler's seed, and how far the epoch is."""
        meta, loader = checkpoint['meta'], runner.train_dataloader
        within = _by_epoch(runner) and meta['epoch'] == self._epoch
        meta['exact_resume'] = dict(
            sampler_seed=getattr(_sampler(loader), 'seed', None),
            epoch_length=len(loader),
            batches_done=meta['iter'] - self._first if within else 0,
            processes=dist.get_world_size(),
            validated=self._validated == (meta['epoch'], meta['iter']),
        )
        if not _is_whole_step(runner, meta['iter']):
            _warn(
                f'the checkpoint of iteration {meta["iter"]} lies between two updates '
                '(accumulative_counts): gradients are not kept, it cannot be resumed exactly'
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember what the checkpoint says, if the training goes on from it."""
        if not runner._resume:
            return
        meta = checkpoint.get('meta') or {}
        self._resumed = meta.get('exact_resume') or {}
        if 'sampler_seed' not in self._resumed and not runner._randomness_cfg.get('diff_rank_seed'):
            self._resumed['sampler_seed'] = meta.get('seed')
        if not self._resumed.get('validated'):
            runner.register_hook(MissedValidationHook())

    def before_train(self, runner: Runner) -> None:
        """Take over the loader of the training images."""
        shared = [runner.seed]  # with diff_rank_seed every process has its own
        dist.broadcast_object_list(shared)
        self._seed, self._rank = shared[0], dist.get_rank()
        loader = runner.train_dataloader
        sampler, resumed = _sampler(loader), self._resumed
        if resumed.get('sampler_seed') is not None and hasattr(sampler, 'seed'):
            sampler.seed = resumed['sampler_seed']
        if resumed.get('processes', dist.get_world_size()) != dist.get_world_size():
            _warn(
                f'the training began with {resumed["processes"]} processes and goes on with '
                f'{dist.get_world_size()}: images stay as they are, what models draw differs'
            )
        self._batches = seed_batches(loader, self._seed)
        if self._batches is None:
            _warn('train_dataloader makes no batches: its random numbers are not those of a seed')
        self._seeded = [m for m in runner.model.modules() if hasattr(m, 'seed_draws')]

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the loader where the training stands."""
        done = self._batches_done(runner)
        self._resumed = {}
        self._epoch, self._first = runner.epoch, runner.iter - done
        if self._batches is not None:
            self._batches.epoch = runner.epoch
            self._batches.skip_batches = done

    def _batches_done(self, runner: Runner) -> int:
        """Batches of the epoch at hand that have been trained on."""
        done = self._resumed.get('batches_done', 0)
        if not done or not _by_epoch(runner):
            return 0
        then, now = self._resumed['epoch_length'], len(runner.train_dataloader)
        if then == now and self._batches is not None:
            return done
        _warn(
            f'the checkpoint is from batch {done} of {then} of an epoch, which now has {now} '
            'batches: the epoch begins anew'
        )
        return 0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed what the model will draw from."""
        seed = derive_seed(self._seed, 'model', runner.iter, self._rank)
        seed_cpu(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)
        for module in self._seeded:
            module.seed_draws(derive_seed(self._seed, 'all', runner.iter))

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Remember what was validated: checkpoints are written before and after it."""
        self._validated = (runner.epoch, runner.iter)


class MissedValidationHook(Hook):
    """Validate before a training goes on, where that was next when the checkpoint was written."""

    # When all hooks are ready for it.
    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Validate as mmengine's loops do after an epoch or iteration."""
        loop = runner.train_loop
        if runner.val_loop is None or not _stands_at_a_boundary(runner):
            return
        loop._decide_current_val_interval()
        at, end = (
            (loop.epoch, loop.max_epochs) if _by_epoch(runner) else (loop.iter, loop.max_iters)
        )
        if at and at >= loop.val_begin and (at % loop.val_interval == 0 or at == end):
            runner.val_loop.run()


def _stands_at_a_boundary(runner: Runner) -> bool:
    return not _by_epoch(runner) or runner.iter == runner.epoch * len(runner.train_dataloader)


def _by_epoch(runner: Runner) -> bool:
    return isinstance(runner.train_loop, EpochBasedTrainLoop)


def _sampler(loader: DataLoader) -> Any:
    # With a batch sampler the loader's own sampler is a dummy.
    return getattr(loader.batch_sampler, 'sampler', loader.sampler)


def _is_whole_step(runner: Runner, iterations: int) -> bool:
    counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
    return iterations % counts == 0 or iterations == runner.max_iters


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)
