"""MsDPD: part detectors on several scales, found by clustering and entropy, pooled by the task.

Multi-scale and Discriminative Part Detectors Based Features for Multi-label Image Classification,
Gong Cheng, Decheng Gao, Yang Liu and Junwei Han, IJCAI 2018.

To read in this order: ``parts`` (part maps, losses, entropy rank) and ``task_driven`` (the pooling
of Eq. 6; ``conjugate_gradients`` solves it) as tensor functions, ``part_detectors`` and ``head``
(the network); the mining, ``sampling``, ``clustering`` and ``clusters``, ``classifiers``,
``mine``, ``mined_file`` and ``mining_hook``; pictures, ``part_pictures``, ``part_maps`` and
``picture_hook``; ``ridge``, the measurement behind ``tools/ridge_table.py``.
"""

from mmmlc.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    head='MsDPDHead',
    part_detectors='PartDetectors',
    mine='mine_parts set_parts share_parts',
    mined_file='load_mined save_mined',
    mining_hook='PartMiningHook',
    picture_hook='PartPictureHook',
)
