"""SCA-DNN: spatial-context-aware deep neural network for multi-label image classification.

The slides of arXiv 2111.12296. An object branch looks at patches that hold an object, a context
branch at the same patches expanded; both sit on a feature pyramid with a region proposal network.
Trains with boxes, and needs mmdet with mmcv's compiled operators, which are imported on use.
"""

from .classifier import SCADNN
from .head import SCAHead
from .relation import PatchRelation

__all__ = ['SCADNN', 'PatchRelation', 'SCAHead']
