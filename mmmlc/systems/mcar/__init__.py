"""MCAR: Learning to Discover Multi-Class Attentional Regions for Multi-Label Image Recognition.

Bin-Bin Gao and Hong-Yu Zhou, IEEE Transactions on Image Processing, 2021.

To read in this order: ``regions`` (from class maps to boxes and crops, tensor functions),
``classifier`` (the two streams), ``convert`` (the authors' checkpoints).
"""

from mmmlc.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(__name__, classifier='MCAR Streams')
