"""RDAL: Multi-label Image Recognition by Recurrently Discovering Attentional Regions.

Zhouxia Wang, Tianshui Chen, Guanbin Li, Ruijia Xu and Liang Lin, ICCV 2017.

A recurrent network reads a region of the feature map, scores the classes there, and chooses the
next region. It is a neck and a head, so that any classifier config can take it.
"""

from .head import RecurrentAttentionHead
from .losses import EuclideanSoftmaxLoss, RegionConstraintLoss
from .neck import AttentionRegions, RecurrentAttention
from .proposals import ProposalClassifier

__all__ = [
    'AttentionRegions',
    'EuclideanSoftmaxLoss',
    'ProposalClassifier',
    'RecurrentAttention',
    'RecurrentAttentionHead',
    'RegionConstraintLoss',
]
