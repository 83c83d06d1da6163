"""Multi-label datasets, their transforms and samplers."""

from .coco import CocoMultiLabel
from .samplers import TotalBatchSampler
from .samples import MultiLabelDataset, MultiLabelMixin
from .transforms import BrokenImageError, LoadImage, PackInputs, RandomFlip
from .voc import VOC

__all__ = [
    'BrokenImageError',
    'CocoMultiLabel',
    'LoadImage',
    'MultiLabelDataset',
    'MultiLabelMixin',
    'PackInputs',
    'RandomFlip',
    'TotalBatchSampler',
    'VOC',
]
