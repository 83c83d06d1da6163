"""Multi-label datasets, their transforms and samplers."""

import mmmlc.registry  # noqa: F401 - says what is missing before the rest fails

from .coco import CocoMultiLabel
from .crops import CenterCrop, RandomCrop, RandomResizedCrop
from .multilabel import MultiLabelDataset, MultiLabelMixin
from .nus_wide import NUSWIDE
from .own_labels import OwnLabels
from .samplers import TotalBatchSampler
from .transforms import BrokenImageError, LoadImage, PackInputs, RandomFlip
from .voc import VOC

__all__ = [
    'NUSWIDE',
    'BrokenImageError',
    'CenterCrop',
    'CocoMultiLabel',
    'LoadImage',
    'MultiLabelDataset',
    'MultiLabelMixin',
    'OwnLabels',
    'PackInputs',
    'RandomCrop',
    'RandomFlip',
    'RandomResizedCrop',
    'TotalBatchSampler',
    'VOC',
]
