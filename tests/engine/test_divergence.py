"""A training ends at its first loss that is no number, and says from where to go on."""

from __future__ import annotations

import math
import os
import runpy
import sys
from pathlib import Path

import pytest
import torch
from helpers.places import ROOT
from helpers.processes import as_group
from helpers.tiny_training import tiny_config, train, without_slow_parts
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmpretrain.models import ImageClassifier

from mmmlc.engine import TrainingEndedError


@pytest.fixture(autouse=True, scope='module')
def quick():
    with without_slow_parts():
        yield


def spoil_loss(monkeypatch, value: float, iteration: int, rank: str | None = None) -> None:
    """Make the loss of an iteration something else, in one process or all."""
    plain, count = ImageClassifier.loss, iter(range(1, 100))

    def spoiled(model, *args):
        losses = plain(model, *args)
        if next(count) == iteration and rank in (None, os.environ.get('RANK')):
            return {name: loss * value for name, loss in losses.items()}
        return losses

    monkeypatch.setattr(ImageClassifier, 'loss', spoiled)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix == '.pth' or 'part' in path.name}


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('iteration', [1, 3])
def test_it_ends_in_the_iteration(tmp_path, monkeypatch, value, iteration):
    spoil_loss(monkeypatch, value, iteration)
    rate = {1: '0.01', 3: '0.005'}[iteration]  # halved after the first epoch
    good = {
        1: 'No checkpoint has been saved',
        3: f'The last good checkpoint is {tmp_path}/work/epoch_2.pth, to go on from it: python '
        f'tools/train.py config.py --work-dir {tmp_path}/work --resume',
    }[iteration]
    text = (
        f'The loss is not finite in iteration {iteration} (epoch {iteration}): loss={value:g}. '
        f'Learning rate {rate}; images {{}}. {good}. The same steps diverge again: clip'
    )
    with pytest.raises(TrainingEndedError) as caught:
        train(tiny_config(tmp_path, epochs=4))
    names = [f'{tmp_path}/data/train/00000{i}.png' for i in (0, 1)]
    assert any(
        str(caught.value).startswith(text.format(', '.join(order)))
        for order in (names, names[::-1])
    ), caught.value
    assert files(tmp_path / 'work') == (set() if iteration == 1 else {'epoch_2.pth'})


def test_both_processes_end_in_the_same_iteration(tmp_path, monkeypatch):
    """The loss of the second alone is no number; the first would go on and wait for it."""
    spoil_loss(monkeypatch, math.nan, 2, rank='1')
    cfg = tiny_config(tmp_path, epochs=3)
    cfg.launcher = 'pytorch'
    first, second = as_group(lambda rank: train(cfg), tmp_path)
    assert second.startswith('TrainingEndedError: The loss is not finite in iteration 2 (epoch 2)')
    assert first == second.replace('TrainingEndedError: ', 'RelayedError: process 1: ')
    assert files(tmp_path / 'work') == {'epoch_1.pth'}


class ScaledWrapper(OptimWrapper):
    """What mixed precision does on a GPU: the scaled gradients overflow for the first steps."""

    skipped = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.scaler = torch.amp.GradScaler('cpu', init_scale=2.0**127)

    def backward(self, loss, **kwargs):
        self.scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs):
        before = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        type(self).skipped += self.scaler.get_scale() < before


def test_skipped_steps_of_mixed_precision_are_no_divergence(tmp_path, monkeypatch):
    spoil_loss(monkeypatch, 1e4, 1)  # times the scale it is infinite
    OPTIM_WRAPPERS.register_module(module=ScaledWrapper, force=True)
    cfg = tiny_config(tmp_path, epochs=3)
    cfg.optim_wrapper.type = 'mmengine.ScaledWrapper'
    assert train(cfg).epoch == 3 and ScaledWrapper.skipped > 0


@pytest.mark.parametrize('what', ['weights', 'scores'])
def test_no_image_is_blamed(tmp_path, monkeypatch, what):
    """Nothing is saved before the validation, which gets weights or scores that are no numbers."""
    plain = torch.optim.SGD.step

    def spoil(optimizer, *args, **kwargs):
        plain(optimizer, *args, **kwargs)
        with torch.no_grad():
            optimizer.param_groups[0]['params'][-1].fill_(torch.nan)

    if what == 'weights':
        monkeypatch.setattr(torch.optim.SGD, 'step', spoil)
        text = r'The weights are not finite after iteration 1: \S+ holds NaN or infinite values'
    else:
        predict = ImageClassifier.predict

        def without_scores(model, inputs, samples):
            for sample in predict(model, inputs, samples):
                sample.set_pred_score(sample.pred_score * torch.nan)
            return samples

        monkeypatch.setattr(ImageClassifier, 'predict', without_scores)
        text = r'The scores are NaN after iteration 1, as those of \S+\.png: the training has div'
    cfg = tiny_config(tmp_path)
    cfg.default_hooks.checkpoint.interval = 2
    with pytest.raises(TrainingEndedError, match=text):
        train(cfg)


def test_the_tool_says_it_in_a_sentence_and_fails(tmp_path, monkeypatch):
    """The rate is far too high, and without validation nobody looks at scores."""
    cfg = tiny_config(tmp_path)
    cfg.dump(tmp_path / 'config.py')
    words = ['train.py', str(tmp_path / 'config.py'), '--no-validate', '--cfg-options']
    monkeypatch.setattr(sys, 'argv', [*words, 'optim_wrapper.optimizer.lr=1e38'])
    monkeypatch.setenv('LOCAL_RANK', '0')
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
    text = str(caught.value.code)  # printed, and the status is 1
    assert text.startswith('The loss is not finite in iteration 2 (epoch 2)') and '\n' not in text
    assert files(tmp_path / 'work') == {'epoch_1.pth'}  # large, but numbers
