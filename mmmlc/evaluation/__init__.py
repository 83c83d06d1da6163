"""Metrics for OpenMMLab's evaluator, registered as ``mmmlc.X``."""

import mmmlc.registry  # noqa: F401 - says what is missing before the rest fails
from mmmlc.evaluation.detection import WeakDetectionMetric
from mmmlc.evaluation.multilabel import MultiLabelMetric
from mmmlc.evaluation.proposal_recall import ProposalMetric
from mmmlc.evaluation.validation_loss import ValidationLoss
from mmmlc.evaluation.voc_server import VOCServerFiles

__all__ = [
    'MultiLabelMetric',
    'ProposalMetric',
    'VOCServerFiles',
    'ValidationLoss',
    'WeakDetectionMetric',
]
