"""Class weights counted from the training labels."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.runner import BaseLoop
from mmpretrain.registry import MODELS

from mmmlc.engine.hooks.class_weights import ClassWeightHook, class_weights, count_labels

CLASSES = ('cat', 'dog', 'owl', 'fox')
# Of 5 images: cat 1, dog 3, owl in all, fox never; the third image's dog is unknown.
SAMPLES = [
    dict(gt_label=[0, 1, 2]),
    dict(gt_label=[1, 2]),
    dict(gt_label=[1, 2], gt_label_ignore=[1]),
    dict(gt_label=[2]),
    dict(gt_label=[1, 2]),
]


class Labels:
    metainfo = dict(classes=CLASSES)

    def __len__(self):
        return len(SAMPLES)

    def get_data_info(self, index):
        return SAMPLES[index]


class Loop(BaseLoop):
    def run(self):
        raise NotImplementedError


def make_runner(loss: str = 'mmmlc.MultiLabelBCELoss') -> SimpleNamespace:
    head = dict(type='mmmlc.MultiLabelConvHead', num_classes=4, in_channels=3, loss=dict(type=loss))
    model = MODELS.build(head)
    loader = torch.utils.data.DataLoader(Labels())
    return SimpleNamespace(model=model, _train_loop=Loop(None, loader), train_dataloader=loader)


def test_counts():
    positives, valid = count_labels(Labels())
    assert positives.tolist() == [1, 3, 5, 0]
    assert valid.tolist() == [5, 4, 5, 5]


@pytest.mark.parametrize('power', [0, 0.5, 1])
def test_weights_are_the_ratio_to_a_power(power):
    positives, valid = np.array([1, 3, 5, 0, 2]), np.array([5, 4, 5, 5, 1000])
    expected = [4.0**power, (1 / 3) ** power, (1 / 5) ** power, 1, min(499.0**power, 20)]
    found = class_weights(torch.tensor(positives), torch.tensor(valid), power, 20.0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_hook_sets_the_weights_of_the_loss():
    runner = make_runner()
    ClassWeightHook(power=1).before_run(runner)
    loss = runner.model.loss_module
    torch.testing.assert_close(loss.pos_weight, torch.tensor([4, 1 / 3, 1 / 5, 1]))
    # Logit 0 costs ln 2, times the weight for a positive.
    value = loss(torch.zeros(1, 4), torch.tensor([[1.0, 0, 0, 0]]))
    assert value.item() == pytest.approx(np.log(2) * (4 + 3) / 4)


def test_moving_average_holds_the_same_buffers():
    """EMAHook pairs buffers by their order: the copy must be made after the weights are set."""
    assert ClassWeightHook().priority == 'VERY_HIGH' and EMAHook.priority == 'NORMAL'
    runner = make_runner()
    ClassWeightHook().before_run(runner)
    ema = EMAHook('mmengine.ExponentialMovingAverage', update_buffers=True)
    ema.before_run(runner)
    ema.ema_model.update_parameters(runner.model)
    ema._swap_ema_parameters()
    assert len(list(runner.model.buffers())) == len(list(ema.ema_model.module.buffers())) == 1


def test_classes_without_positives_are_named(monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmmlc.engine.hooks.class_weights.print_log',
        lambda text, logger, level: messages.append((level, text)),
    )
    ClassWeightHook().before_run(make_runner())
    assert messages[0] == (logging.WARNING, 'class weight 1, no positive in training: fox')
    assert 'from 5 training images: 0.45 (owl) to 2.00 (cat)' in messages[1][1]


def test_a_test_is_left_alone():
    runner = make_runner()
    runner._train_loop = dict(type='mmengine.EpochBasedTrainLoop')
    ClassWeightHook().before_run(runner)
    assert runner.model.loss_module.pos_weight is None


def test_loss_without_weights_is_refused():
    runner = make_runner('mmmlc.AsymmetricLoss')
    with pytest.raises(ValueError, match='ClassWeightHook found no loss with pos_weight'):
        ClassWeightHook().before_run(runner)


def test_wrong_options():
    with pytest.raises(ValueError, match='ClassWeightHook.power is 2'):
        ClassWeightHook(power=2)
    with pytest.raises(ValueError, match='ClassWeightHook.max_weight is 0.5'):
        ClassWeightHook(max_weight=0.5)
