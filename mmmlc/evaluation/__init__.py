"""Metrics for OpenMMLab's evaluator, registered as ``mmmlc.X``."""

from mmmlc.evaluation.multilabel import MultiLabelMetric

__all__ = ['MultiLabelMetric']
