"""Metrics for OpenMMLab's evaluator, registered as ``mmmlc.X``."""

from mmmlc.evaluation.detection import WeakDetectionMetric
from mmmlc.evaluation.multilabel import MultiLabelMetric
from mmmlc.evaluation.patch_iou import PatchIoU
from mmmlc.evaluation.proposals import ProposalMetric
from mmmlc.evaluation.validation_loss import ValidationLoss
from mmmlc.evaluation.voc_server import VOCServerFiles

__all__ = [
    'MultiLabelMetric',
    'PatchIoU',
    'ProposalMetric',
    'VOCServerFiles',
    'ValidationLoss',
    'WeakDetectionMetric',
]
