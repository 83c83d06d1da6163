"""What multi-label heads and classifiers of all systems have in common.

B: images, C: classes.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from mmengine.model import BaseModule
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.ops.checks import check_fraction
from mmmlc.registry import MODELS

from .predictions import set_predictions, stack_targets

PLAIN_PREPROCESSORS = ('ClsDataPreprocessor', 'mmpretrain.ClsDataPreprocessor')


class MultiLabelHead(BaseModule):
    """A head with one score per class: thresholds, loss on labels, prediction.

    A head that gives logits (B, C) only needs ``forward``; others write their own ``loss`` or
    ``predict`` around :meth:`loss_from_logits` and :attr:`label_threshold`.

    The buffer ``thresholds`` (C,) is None, and not in the state, until a checkpoint that
    ``tools/tune_thresholds.py`` wrote brings one: all other checkpoints keep their keys.

    Args:
        num_classes: C.
        threshold: Score from which a class is in ``pred_label``, unless the checkpoint holds
            thresholds per class, which come first.
        loss: Config of the loss, called with logits, targets and the mask of valid pairs; None for
            a head with losses of its own.
        init_cfg: Initialisation.
    """

    thresholds: Tensor | None
    loss_module: Any

    def __init__(
        self,
        num_classes: int,
        threshold: float = 0.5,
        loss: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        check_fraction('head.threshold', threshold)
        self.num_classes = num_classes
        self.threshold = threshold
        self.register_buffer('thresholds', None)
        if loss is not None:
            self.loss_module = MODELS.build(loss)

    @property
    def label_threshold(self) -> float | Tensor:
        """Least score of a class in ``pred_label``: one for all, or tuned ones (C,)."""
        return self.threshold if self.thresholds is None else self.thresholds

    def loss_from_logits(self, logits: Tensor, samples: list[DataSample]) -> Tensor:
        """Loss of logits (B, C) against the labels of the samples."""
        return self.loss_module(logits, *stack_targets(samples, self.num_classes))

    def loss(self, features: Any, samples: list[DataSample]) -> dict[str, Tensor]:
        """Loss of a batch, as mmpretrain's classifiers call it with what backbone or neck gives."""
        return dict(loss=self.loss_from_logits(self(features), samples))

    def predict(self, features: Any, samples: list[DataSample] | None = None) -> list[DataSample]:
        """Samples with ``pred_score`` (C,) and ``pred_label``."""
        return set_predictions(samples, self(features).float().sigmoid(), self.label_threshold)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        stored = state_dict.get(f'{prefix}thresholds')
        self.thresholds = None
        if stored is not None:
            device = next(self.parameters(), stored).device
            self.thresholds = torch.zeros(self.num_classes, device=device)
        super()._load_from_state_dict(state_dict, prefix, *args)


class MultiLabelClassifier(ImageClassifier):
    """``mmpretrain.ImageClassifier`` under any default scope, which says what it can do.

    Args:
        backbone: Config of a backbone.
        head: Config of a head.
        neck: Config of a neck.
        data_preprocessor: Config; ``mmpretrain.ClsDataPreprocessor`` unless it has a type. With
            batch augmentations :class:`mmmlc.models.MultiLabelDataPreprocessor`, which is the same
            and mixes the masks of unknown labels, too, takes its place.
        train_cfg: Batch augmentations, see ``mmpretrain.ImageClassifier``.
        pretrained: Checkpoint of the whole model, see ``mmpretrain.ImageClassifier``.
        init_cfg: Initialisation.

    Raises:
        ValueError: for batch augmentations where :attr:`mixed_images_lose` names something.
    """

    #: Whether a prediction needs the proposals of the image, which its cut-outs do not have.
    reads_proposals: ClassVar[bool] = False
    #: What mixed images (Mixup, CutMix) would no longer have: ``'proposals'``, ``'boxes'``.
    mixed_images_lose: ClassVar[str] = ''

    def __init__(
        self,
        backbone: dict,
        head: dict,
        neck: dict | None = None,
        data_preprocessor: dict | None = None,
        train_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ):
        if train_cfg is not None and self.mixed_images_lose:
            raise ValueError(
                f'model.train_cfg is {train_cfg}, expected None: mixed images have no '
                f'{self.mixed_images_lose}'
            )
        if data_preprocessor is None or isinstance(data_preprocessor, dict):
            # The parent would fill in an unscoped type, which other default scopes don't find.
            default = dict(type='mmpretrain.ClsDataPreprocessor')
            data_preprocessor = default | (data_preprocessor or {})
            mixes = train_cfg or data_preprocessor.get('batch_augments')
            if mixes and data_preprocessor['type'] in PLAIN_PREPROCESSORS:
                data_preprocessor['type'] = 'mmmlc.MultiLabelDataPreprocessor'
                data_preprocessor.setdefault('num_classes', head.get('num_classes'))
        super().__init__(backbone, neck, head, pretrained, train_cfg, data_preprocessor, init_cfg)
