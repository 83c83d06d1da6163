"""Class weights from the training labels. C: classes."""

from __future__ import annotations

import logging

import torch
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import Tensor

from mmmlc.registry import HOOKS


@HOOKS.register_module()
class ClassWeightHook(Hook):
    """Give rare classes' positives more weight: negatives / positives, to a power.

    Counts the training labels before a training and sets ``pos_weight`` of every loss that has one
    (``mmmlc.MultiLabelBCELoss``). Pairs in ``gt_label_ignore`` are not counted. A class without
    positives keeps 1 and is named in a warning.

    Args:
        power: 1 makes positives and negatives of a class weigh the same, 0 changes nothing; 0.5
            lies between.
        max_weight: No weight exceeds this.

    Raises:
        ValueError: before training, if no loss of the model has a ``pos_weight``.
    """

    # Before EMAHook copies the model: the copy must hold the same buffers.
    priority = 'VERY_HIGH'

    def __init__(self, power: float = 0.5, max_weight: float = 20.0):
        if not 0 <= power <= 1:
            raise ValueError(f'ClassWeightHook.power is {power}, expected a number in [0, 1]')
        if not max_weight >= 1:
            raise ValueError(f'ClassWeightHook.max_weight is {max_weight}, expected at least 1')
        self.power = power
        self.max_weight = max_weight

    def before_run(self, runner: Runner) -> None:
        """Count and set; nothing to do for a test, whose training loop is not built."""
        if not isinstance(runner._train_loop, BaseLoop):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        losses = [m for m in model.modules() if hasattr(m, 'set_pos_weight')]
        if not losses:
            raise ValueError(
                'ClassWeightHook found no loss with pos_weight in the model: '
                "take model.head.loss=dict(type='mmmlc.MultiLabelBCELoss')"
            )
        dataset = runner.train_dataloader.dataset
        positives, valid = count_labels(dataset)
        weights = class_weights(positives, valid, self.power, self.max_weight)
        names = dataset.metainfo['classes']
        empty = [names[c] for c in (positives == 0).nonzero().flatten().tolist()]
        if empty:
            _log(f'class weight 1, no positive in training: {", ".join(empty)}', logging.WARNING)
        low, high = int(weights.argmin()), int(weights.argmax())
        _log(
            f'class weights from {len(dataset)} training images: {weights[low]:.2f} '
            f'({names[low]}) to {weights[high]:.2f} ({names[high]})'
        )
        device = next(model.parameters()).device
        for loss in losses:
            loss.set_pos_weight(weights.to(device))


def count_labels(dataset: BaseDataset) -> tuple[Tensor, Tensor]:
    """Positives and known pairs of each class of a data set, both (C,)."""
    num_classes = len(dataset.metainfo['classes'])
    positives, ignored = torch.zeros(2, num_classes)
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        unknown = set(info.get('gt_label_ignore', ()))
        ignored[list(unknown)] += 1
        positives[[c for c in info['gt_label'] if c not in unknown]] += 1
    return positives, len(dataset) - ignored


def class_weights(positives: Tensor, valid: Tensor, power: float, max_weight: float) -> Tensor:
    """``min((negatives / positives)^power, max_weight)`` per class (C,), 1 without positives.

    A class with as many positives as pairs gets the least ratio that counts give: as if it had one
    negative.

    >>> class_weights(torch.tensor([1, 2, 0]), torch.tensor([10, 4, 5]), 0.5, 20.0)
    tensor([3., 1., 1.])
    """
    negatives = (valid - positives).clamp(min=1)
    weights = (negatives / positives.clamp(min=1)) ** power
    return weights.clamp(max=max_weight).where(positives > 0, 1.0)


def _log(text: str, level: int = logging.INFO) -> None:
    print_log(text, logger='current', level=level)
