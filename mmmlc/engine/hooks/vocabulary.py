"""A check that dataset, model and checkpoint speak of the same classes."""

from __future__ import annotations

from itertools import zip_longest

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmmlc.datasets.split_checks import count_positives, judge_splits
from mmmlc.datasets.vocabulary import warn_once
from mmmlc.evaluation import MultiLabelMetric
from mmmlc.registry import HOOKS


@HOOKS.register_module()
class VocabularyHook(Hook):
    """Refuse to run when the classes of dataset, head or checkpoint don't agree.

    Without it too few classes in the head end in an index error (on a GPU in a device assertion),
    and another class order, as of the MCAR authors' checkpoints, in wrong scores without a word.

    Before training it also looks for classes that the training or validation images have none of.

    Raises:
        ValueError: before training, validation or test; also if no training image has a class.
    """

    def __init__(self) -> None:
        self._trained_on: tuple[str, ...] | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the classes that a checkpoint was trained on."""
        meta = checkpoint.get('meta') or {}
        classes = (meta.get('dataset_meta') or {}).get('classes')
        self._trained_on = tuple(classes) if classes else None

    def before_train(self, runner: Runner) -> None:
        """Compare the training dataset with the head."""
        dataset = runner.train_dataloader.dataset
        self._check_head(runner, dataset, 'train_dataloader.dataset')
        self._trained_on = tuple(dataset.metainfo.get('classes') or ()) or None
        _judge(runner, dataset)

    def before_val(self, runner: Runner) -> None:
        """Compare the validation dataset with the head and what the model is trained on."""
        dataset = runner.val_dataloader.dataset
        self._check_head(runner, dataset, 'val_dataloader.dataset')
        self._check_order(dataset, 'val_dataloader.dataset')

    def before_test(self, runner: Runner) -> None:
        """Compare the test dataset with the head and what the model was trained on."""
        dataset = runner.test_dataloader.dataset
        self._check_head(runner, dataset, 'test_dataloader.dataset')
        self._check_order(dataset, 'test_dataloader.dataset')

    def _check_order(self, dataset: BaseDataset, key: str) -> None:
        classes = tuple(dataset.metainfo.get('classes') or ())
        if not classes or self._trained_on is None or classes == self._trained_on:
            return
        index, pair = next(
            (i, pair)
            for i, pair in enumerate(zip_longest(self._trained_on, classes))
            if pair[0] != pair[1]
        )
        raise ValueError(
            f'the model is trained on {len(self._trained_on)} classes, {key} has {len(classes)}; '
            f'the first difference is at index {index}: {pair[0]!r} in training, {pair[1]!r} in '
            f'{key}. Check `classes` and `class_order` of the dataset.'
        )

    @staticmethod
    def _check_head(runner: Runner, dataset: BaseDataset, key: str) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        expected = getattr(getattr(model, 'head', None), 'num_classes', None)
        classes = dataset.metainfo.get('classes')
        if expected is None or classes is None or len(classes) == expected:
            return
        raise ValueError(
            f'model.head.num_classes is {expected}, {key} has {len(classes)} classes: '
            f'set model.head.num_classes={len(classes)}'
        )


def _measures_labels(runner: Runner) -> bool:
    """Whether the evaluation in the training fails without a positive label."""
    evaluator = getattr(runner.val_loop, 'evaluator', None)
    return any(isinstance(metric, MultiLabelMetric) for metric in getattr(evaluator, 'metrics', ()))


def _judge(runner: Runner, dataset: BaseDataset) -> None:
    """Warn of classes without positives; nothing can be learned where none has any."""
    found = {'train': (count_positives(dataset), dataset)}
    # Built by now if there is one; a config has no loop for it otherwise.
    if getattr(runner, 'val_loop', None) is not None:
        other = runner.val_dataloader.dataset
        if other.metainfo.get('classes') == dataset.metainfo.get('classes'):
            found['val'] = (count_positives(other), other)
    known = {name: result for name, (result, _) in found.items() if result is not None}
    findings = judge_splits(
        {name: counts for name, (counts, _) in known.items()},
        {name: images for name, (_, images) in known.items()},
        dataset.metainfo.get('classes') or (),
    )
    for finding in findings:
        text = f'{finding.split}_dataloader.dataset: {finding.text}'
        if finding.certain and finding.split == 'train':
            raise ValueError(f'{text}: there is nothing to learn')
        if finding.certain and _measures_labels(runner):
            raise ValueError(f'{text}: there is nothing to evaluate')
        if not getattr(found[finding.split][1], 'splits_judged', False):
            warn_once(text)
