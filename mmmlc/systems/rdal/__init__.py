"""RDAL: Multi-label Image Recognition by Recurrently Discovering Attentional Regions.

Zhouxia Wang, Tianshui Chen, Guanbin Li, Ruijia Xu and Liang Lin, ICCV 2017.

A recurrent network reads a region of the feature map, scores the classes there, and chooses the
next region. It is a neck and a head, so that any classifier config can take it.

To read in this order: ``attention`` (sampling, memory, constraints and loss as tensor functions;
``few_rows`` makes one of them fast on a CPU), ``neck`` (the recurrent module), ``losses``,
``head``, ``proposal_classifier`` (proposals in place of regions, Table 3).
"""

from mmmlc.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    neck='AttentionRegions RecurrentAttention',
    losses='EuclideanSoftmaxLoss RegionConstraintLoss',
    head='RecurrentAttentionHead',
    proposal_classifier='ProposalClassifier',
)
