"""A resumed training is compared with the one that wrote the checkpoint, before it goes on.

mmengine takes the checkpoint's optimiser and schedules over, whatever the config says, loads what
weights fit, and goes on with other classes under the old ones' weights. So what would be ignored
or mixed up is refused here; what simply holds from now on is named.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import zip_longest

from mmengine import dist
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from .config_text import differences, read_config_text
from .records import images_or_none
from .takeover_states import lengthen, optimizer_refusals, schedule_refusals, schedulers, short

# Where a run lies and starts, or settings that are compared by their effect.
_NOT_NAMED = {'load_from', 'resume', 'launcher', 'auto_scale_lr'}
_NOT_NAMED |= {'model_wrapper_cfg', 'experiment_name'}
_SHOWN = 20
_ADVICE = (
    'Set these back to go on with that training; or begin one of its own from the weights: '
    '--cfg-options load_from={path}, another --work-dir, no --resume.'
)


class TakeoverHook(Hook):
    """Compare before anything of a resumed checkpoint is loaded; added by ``build_runner``.

    Raises:
        ValueError: if the config does not go on with the checkpoint's training.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._missed: list[int] = []  # steps of each schedule

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse, or name what is taken over."""
        if not runner._resume:
            return
        refused = [*refusals(runner, checkpoint)]
        if refused:
            lines = '\n'.join(f'- {line}' for line in refused)
            advice = _ADVICE.format(path=runner._load_from)
            raise ValueError(
                f'--resume {runner._load_from}: the config does not go on with the training of '
                f'this checkpoint.\n{lines}\n{advice}'
            )
        self._missed = lengthen(runner, checkpoint)
        for line in changes(runner, checkpoint):
            print_log(f'--resume: {line}', 'current')

    def before_train(self, runner: Runner) -> None:
        """Make up for the steps that schedules have missed."""
        steps = [
            scheduler.step
            for scheduler, missed in zip(schedulers(runner), self._missed, strict=False)
            for _ in range(missed)
        ]
        with warnings.catch_warnings():
            # The optimiser's step, which is expected to come first, was before the checkpoint.
            warnings.simplefilter('ignore', UserWarning)
            for step in steps:
                step()
        self._missed = []


def refusals(runner: Runner, checkpoint: dict) -> Iterator[str]:
    """What does not suit, a line each."""
    meta = checkpoint['meta']
    other_classes = [*_classes(runner, meta)]
    yield from other_classes or _weights(runner, checkpoint)
    if isinstance(
        runner, Runner
    ):  # the strategies of a FlexibleRunner keep states in their own ways
        yield from optimizer_refusals(runner, checkpoint, _configs(runner, checkpoint))
    yield from schedule_refusals(runner, checkpoint)
    yield from _update(runner, meta)
    yield from _loop(runner, meta)
    yield from _seed(runner, meta)
    if 'ema_state_dict' in checkpoint and not any(isinstance(h, EMAHook) for h in runner.hooks):
        yield (
            'custom_hooks: the checkpoint holds a moving average of the weights, and the config '
            'has no mmengine.EMAHook, which tells the two apart'
        )


def _classes(runner: Runner, meta: dict) -> Iterator[str]:
    old = tuple((meta.get('dataset_meta') or {}).get('classes') or ())
    new = tuple(getattr(runner.train_dataloader.dataset, 'metainfo', {}).get('classes') or ())
    if not old or not new or old == new:
        return
    pairs = enumerate(zip_longest(old, new))
    index, (before, now) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
    what = 'another order of the classes' if sorted(old) == sorted(new) else 'other classes'
    yield (
        f'train_dataloader.dataset: {what}, {len(new)} and {len(old)} in the checkpoint; the first '
        f'difference is at index {index}: {now!r}, in the checkpoint {before!r}'
    )


def _weights(runner: Runner, checkpoint: dict) -> Iterator[str]:
    if not isinstance(runner, Runner):
        return  # the strategies of a FlexibleRunner keep weights in their own ways
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    new = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    old = {
        key.removeprefix('module.'): tuple(value.shape)
        for key, value in checkpoint['state_dict'].items()
    }
    wrong = [
        f'{key}, {new.get(key, "not there")}, in the checkpoint {old.get(key, "not there")}'
        for key in [*new, *(key for key in old if key not in new)]
        if new.get(key) != old.get(key)
    ]
    if wrong:
        yield f'model: {len(wrong)} of {len(new)} weights have other shapes, the first: {wrong[0]}'


def _update(runner: Runner, meta: dict) -> Iterator[str]:
    processes = dist.get_world_size()
    new = images_or_none(runner.cfg, processes)
    old = _record(meta).get('images_per_update')
    if old is not None and new is not None and old != new:
        yield (
            f'{new} images per update, {old} in the training of the checkpoint '
            '(train_dataloader.batch_size, processes, optim_wrapper.accumulative_counts)'
        )


def _loop(runner: Runner, meta: dict) -> Iterator[str]:
    old = (_config(meta) or {}).get('train_cfg')
    new = (_own_config(runner) or {}).get('train_cfg')
    if not isinstance(old, dict) or not isinstance(new, dict):
        return
    kinds = [(c.get('by_epoch', True), str(c.get('type')).split('.')[-1]) for c in (old, new)]
    if kinds[0] != kinds[1]:
        yield (
            f'train_cfg: by_epoch={kinds[1][0]}, type={kinds[1][1]}, in the training of the '
            f'checkpoint by_epoch={kinds[0][0]}, type={kinds[0][1]}'
        )


def _seed(runner: Runner, meta: dict) -> Iterator[str]:
    old, new = meta.get('seed'), getattr(runner, '_randomness_cfg', {}).get('seed')
    if None not in (old, new) and old != new:
        yield f'randomness.seed (--seed) is {new}, the training of the checkpoint has {old}'


def changes(runner: Runner, checkpoint: dict) -> Iterator[str]:
    """What differs and holds from now on, a line each."""
    meta = checkpoint['meta']
    if getattr(runner, '_randomness_cfg', {}).get('seed') is None and meta.get('seed') is not None:
        yield f'randomness.seed is {meta["seed"]}, as in the checkpoint'
    record = _record(meta)
    now = dict(processes=dist.get_world_size(), images=len(runner.train_dataloader.dataset))
    for key, value in now.items():
        if record.get(key, value) != value:
            yield f'{value} {key}, {record[key]} in the training of the checkpoint'
    if meta['epoch'] >= runner.max_epochs > 0 and _own_by_epoch(runner):
        yield (
            f'the checkpoint has trained {meta["epoch"]} epochs, train_cfg.max_epochs is '
            f'{runner.max_epochs}: nothing is left to do'
        )
    old, new = _configs(runner, checkpoint)
    if old is None or new is None:
        yield 'the checkpoint does not say its config, which is not compared'
        return
    found = [d for d in differences(old, new) if d[0].split('.')[0] not in _NOT_NAMED]
    for key, before, after in found[:_SHOWN]:
        yield f'{key} is {short(after)}, was {short(before)}'
    if found[_SHOWN:]:
        yield f'and {len(found) - _SHOWN} more differences of the configs'
    if 'ema_state_dict' not in checkpoint and any(isinstance(h, EMAHook) for h in runner.hooks):
        yield 'the moving average of the weights begins with those of the checkpoint'


def _own_by_epoch(runner: Runner) -> bool:
    return type(runner.train_loop).__name__ == 'EpochBasedTrainLoop'


def _record(meta: dict) -> dict:
    record = meta.get('mmmlc')
    return record if isinstance(record, dict) else {}


def _config(meta: dict) -> dict | None:
    return read_config_text(meta['cfg']) or None if isinstance(meta.get('cfg'), str) else None


def _own_config(runner: Runner) -> dict | None:
    # Through its text, as the other one: tuples are lists, and so on.
    return read_config_text(runner.cfg.pretty_text) or None


def _configs(runner: Runner, checkpoint: dict) -> tuple[dict | None, dict | None]:
    return _config(checkpoint['meta']), _own_config(runner)
