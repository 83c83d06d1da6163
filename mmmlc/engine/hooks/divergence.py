"""The end of a training at the first loss that is no number."""

from __future__ import annotations

import math
from typing import Any

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mmmlc.engine.ending import TrainingEndedError, stop_together
from mmmlc.engine.tensors import describe_not_finite, not_finite
from mmmlc.neutral import safe_line
from mmmlc.registry import HOOKS

from .checkpoint import CheckpointHook

_NAMED = 16  # images


@HOOKS.register_module()
class DivergenceHook(Hook):
    """End a training at the first loss that is NaN or infinite, before anything is saved.

    The message gives iteration, learning rate, all losses, the images of the batch, and the
    checkpoint to go on from. The loss is read from mmengine's log, which waits for the device in
    every iteration anyway; several processes exchange one number more, so that all of them end in
    the same iteration. Mixed precision scales the loss afterwards, and skips steps whose scaled
    gradients overflow: that is no divergence.

    (mmdet's ``CheckInvalidLossHook`` looks at every 50th loss, in each process by itself, and is
    an assertion without a text; checkpoints in between are saved.)

    In a validation in the course of a training the weights and the scores are looked at, too:
    otherwise a metric would blame an image for its scores.

    Raises:
        TrainingEndedError: in all processes, but for scores, which only some may have seen.
    """

    # Before checkpoints are saved, and before a schedule changes the learning rate.
    priority = 'ABOVE_NORMAL'

    def __init__(self) -> None:
        self._training = False
        self._watched: RemovableHandle | None = None

    def before_train(self, runner: Runner) -> None:
        """From here on validations belong to a training."""
        self._training = True

    def after_train(self, runner: Runner) -> None:
        """Validations are on their own again."""
        self._training = False

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Look at the loss."""
        bad = not all(map(math.isfinite, _losses(runner, outputs or {}).values()))
        if _any_process(bad):
            text = _describe(runner, data_batch, outputs or {}) if bad else None
            stop_together(None if text is None else TrainingEndedError(text))

    def before_val(self, runner: Runner) -> None:
        """Look at the weights, and from here on at the scores."""
        if not self._training:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        error = None
        if names := not_finite(dict(model.named_parameters())):
            what = f'The weights are not finite after iteration {runner.iter}'
            error = TrainingEndedError(
                f'{what}: {describe_not_finite(names)}. {_last_good(runner)}'
            )
        stop_together(error)

        def look(module: nn.Module, inputs: Any, outputs: Any) -> None:
            _check_scores(runner, outputs)

        # Between the model and the metrics mmengine calls no hook.
        self._watched = model.register_forward_hook(look)

    def after_val(self, runner: Runner) -> None:
        """The scores of other runs are not looked at."""
        if self._watched is not None:
            self._watched.remove()
            self._watched = None


def _losses(runner: Runner, outputs: dict) -> dict[str, float]:
    """What is added up to the loss, and the loss, as numbers."""
    found = {}
    for name, value in outputs.items():
        if 'loss' in name:
            logged = runner.message_hub.log_scalars.get(f'train/{name}')
            found[name] = float(value if logged is None else logged.current())
    return found


def _check_scores(runner: Runner, outputs: Any) -> None:
    samples = outputs if isinstance(outputs, list | tuple) else ()
    found = [(s.get('pred_score'), s.get('img_path', '?')) for s in samples if hasattr(s, 'get')]
    scores = [(score, path) for score, path in found if isinstance(score, Tensor)]
    # One question for the device, not one for each image.
    if scores and bool(torch.stack([score.isnan().any() for score, _ in scores]).any()):
        path = next(path for score, path in scores if score.isnan().any())
        raise TrainingEndedError(
            f'The scores are NaN after iteration {runner.iter}, as those of {safe_line(path)}: '
            'the training '
            f'has diverged. {_last_good(runner)}'
        )


def _any_process(bad: bool) -> bool:
    if dist.get_world_size() == 1:
        return bad
    flag = torch.tensor([int(bad)])
    dist.all_reduce(flag, op='max')
    return bool(flag.item())


def _describe(runner: Runner, data_batch: Any, outputs: dict) -> str:
    losses = ', '.join(f'{name}={value:g}' for name, value in _losses(runner, outputs).items())
    rates = sorted(
        {f'{rate:g}' for rates in runner.optim_wrapper.get_lr().values() for rate in rates}
    )
    where = f'iteration {runner.iter + 1} (epoch {runner.epoch + 1})'
    return (
        f'The loss is not finite in {where}: {losses}. Learning rate {", ".join(rates)}; images '
        f'{_images(data_batch)}. {_last_good(runner)}'
    )


def _images(data_batch: Any) -> str:
    samples = data_batch.get('data_samples', []) if isinstance(data_batch, dict) else []
    names = [safe_line(sample.get('img_path', '?')) for sample in samples if hasattr(sample, 'get')]
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return (', '.join(names[:_NAMED]) or 'unknown') + more


def _last_good(runner: Runner) -> str:
    savers = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    text = savers[0].last_good(runner) if savers else 'checkpoints are not saved by mmmlc'
    return (
        f'{text[0].upper()}{text[1:]}. The same steps diverge again: clip the gradients '
        '(optim_wrapper.clip_grad=dict(max_norm=10)), or train its weights anew with a lower rate '
        '(load_from, another --work-dir)'
    )
