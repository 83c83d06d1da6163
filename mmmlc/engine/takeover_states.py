"""Optimiser and schedules of a resumed training, compared by their states.

mmengine takes the checkpoint's states over, so that another rate, other milestones or another end
in the config would be ignored without a word.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from mmengine.runner import Runner

from .config_text import MISSING

# State of a schedule that moves; the rest says what it is.
_MOVING = {'_global_step', '_last_value', 'base_values', 'last_step', 'verbose', 'anneal_func'}
_MOVING |= {'best', 'num_bad_epochs', 'cooldown_counter', 'optimizer', 'rule_worse'}
# Counted in epochs or iterations.
_STEPS = ('end', 'total_steps', 'total_iters', 'milestones', 'step_size', 'T_max')
# Of a parameter group: not settings, or how they are computed.
_NO_SETTING = {'params', 'param_names', 'foreach', 'fused', 'capturable', 'differentiable'}


def optimizer_refusals(
    runner: Runner, checkpoint: dict, configs: tuple[dict | None, dict | None]
) -> Iterator[str]:
    """Settings of the optimiser that the checkpoint's state would override, a line each.

    Args:
        runner: With optimiser and schedules built.
        checkpoint: Of a training.
        configs: Of the checkpoint and of the runner, read from their texts.
    """
    key = 'optim_wrapper.optimizer'
    old_type, new_type = (_kind(config, 'optim_wrapper', 'optimizer') for config in configs)
    known = None not in (old_type, new_type)
    if known and old_type != new_type:
        yield f'{key}.type is {new_type}, the checkpoint has the state of {old_type}'
        return
    old, new = checkpoint['optimizer'], runner.optim_wrapper.state_dict()
    if 'param_groups' not in old or 'param_groups' not in new:
        return  # several optimisers
    old, new = old['param_groups'], new['param_groups']
    if len(old) != len(new):
        yield f'optim_wrapper: {len(new)} parameter groups, the checkpoint has {len(old)}'
        return
    for index, pair in enumerate(zip(old, new, strict=True)):
        if len(pair[0]['params']) != len(pair[1]['params']):
            counts = [len(group['params']) for group in pair]
            yield (
                f'optim_wrapper: parameter group {index} has {counts[1]} parameters, in the '
                f'checkpoint {counts[0]}'
            )
            return
        wrong = [*_group(*pair, known)]
        if wrong:
            yield from (f'{key}.{line} (parameter group {index})' for line in wrong)
            return  # the others differ in the same way


def _group(old: dict, new: dict, same_type: bool) -> Iterator[str]:
    only_old, only_new = old.keys() - new.keys(), new.keys() - old.keys()
    if not same_type and only_old and only_new:
        knows = f'{", ".join(sorted(only_new))} instead of {", ".join(sorted(only_old))}'
        yield f'type: the checkpoint has the state of another optimiser, this one has {knows}'
        return
    moving = {name.removeprefix('initial_') for name in old if name.startswith('initial_')}
    if 'momentum' in moving:
        moving.add('betas')
    # Versions of torch add settings.
    for name in sorted((old.keys() & new.keys()) - _NO_SETTING - moving):
        if not _same(old[name], new[name]):
            label = name.removeprefix('initial_')
            yield f'{label} is {short(new[name])}, the checkpoint keeps {short(old[name])}'


def schedule_refusals(runner: Runner, checkpoint: dict) -> Iterator[str]:
    """Settings of the schedules that the checkpoint's states would override, a line each."""
    old, new = _scheduler_states(checkpoint), schedulers(runner)
    if len(old) != len(new):
        yield f'param_scheduler: {len(new)} schedules, the checkpoint has {len(old)}'
        return
    for index, (state, scheduler) in enumerate(zip(old, new, strict=True)):
        name = f'param_scheduler[{index}] ({type(scheduler).__name__})'
        current = scheduler.state_dict()
        settings = [s.keys() - _MOVING for s in (state, current)]
        if settings[0] != settings[1]:
            yield f'{name}: the checkpoint has another kind of schedule'
            continue
        for key in sorted(settings[1]):
            if _is_ignored(key, state, scheduler):
                unit = (' epochs' if scheduler.by_epoch else ' iterations') if key in _STEPS else ''
                now, then = short(current[key]), short(state[key])
                yield f'{name}: {key} is {now}{unit}, the checkpoint keeps {then}'


def _is_ignored(key: str, state: dict, scheduler: Any) -> bool:
    """Whether a setting differs and would not hold."""
    old, new = state[key], scheduler.state_dict()[key]
    if callable(new) or key.startswith('_') or _same(old, new):
        return False
    # A training may end before its schedule does. Where nothing else differs, the values of a
    # schedule do not depend on where it ends, so it can go on: see lengthen.
    return key != 'end' or (new > old and new - scheduler.begin > _length(scheduler))


def _length(scheduler: Any) -> float:
    """Steps after which a schedule is over: one-cycle is an error then, cosine turns round."""
    lengths = (getattr(scheduler, name, math.inf) for name in ('total_steps', 'T_max'))
    return min(lengths)


def lengthen(runner: Runner, checkpoint: dict) -> list[int]:
    """Let schedules go on to the new end of a training.

    Returns:
        For each schedule how many steps it has missed because it was at its old end: the last step
        of a finished training. They are taken back here, to be made up for.
    """
    missed = []
    for state, scheduler in zip(_scheduler_states(checkpoint), schedulers(runner), strict=True):
        count = 0
        if scheduler.end > state['end']:
            count = max(0, state['_global_step'] - state['end'] + 1)
            state['_global_step'] -= count
            state['end'] = scheduler.end
        missed.append(count)
    return missed


def schedulers(runner: Runner) -> list[Any]:
    """The schedules of a runner, of all its optimisers."""
    return _flat(runner.param_schedulers or [])


def _kind(config: dict | None, *keys: str) -> str | None:
    value: Any = config
    for key in (*keys, 'type'):
        value = value.get(key) if isinstance(value, dict) else None
    return value.split('.')[-1] if isinstance(value, str) else None


def _scheduler_states(checkpoint: dict) -> list[dict]:
    return _flat(checkpoint.get('param_schedulers') or [])


def _flat(schedules: Any) -> list[Any]:
    """Those of several optimisers are in a dict by optimiser."""
    if isinstance(schedules, dict):
        return [schedule for name in sorted(schedules) for schedule in schedules[name]]
    return list(schedules)


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, int | float) and isinstance(new, int | float):
        return math.isclose(old, new, rel_tol=1e-9) or old == new
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new)


def short(value: Any) -> str:
    """A value for people, at most 80 letters."""
    if hasattr(value, 'elements'):  # the milestones of a schedule are a Counter
        value = sorted(value.elements())
    text = value if value is MISSING else repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
