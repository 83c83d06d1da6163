"""Smooth maximum: a made-up system out of two known parts, to show what a system is made of.

The score of a class is the smooth maximum of its map (Pinheiro and Collobert, From Image-level to
Pixel-level Labeling with Convolutional Networks, CVPR 2015, Eq. 5), and the loss ranks every
positive class above every negative one (Li, Song and Luo, Improving Pairwise Ranking for
Multi-label Image Classification, CVPR 2017, Eq. 5).

To read in this order: ``pooling`` and ``ranking`` (tensor functions), ``losses``, ``head``.
"""

from mmmlc.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__, losses='PairRankingLoss', head='SmoothMaxHead'
)
