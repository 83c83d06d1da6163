"""SCA-DNN: spatial-context-aware deep neural network for multi-label image classification.

The slides of arXiv 2111.12296. An object branch looks at patches that hold an object, a context
branch at the same patches expanded; both sit on a feature pyramid with a region proposal network.
Trains with boxes, and needs mmdet, which is imported on use.

To read in this order: ``patches`` (tensor functions), ``truth`` and ``sampling`` (training
patches), ``relation``, ``head`` (the four patch processors), ``classifier`` (the network),
``predictions`` (what is written to the samples), ``patch_iou`` (a metric of the regressor);
``detection_parts`` builds parts of mmdet.
"""

from mmmlc.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    classifier='SCADNN',
    head='SCAHead',
    relation='PatchRelation',
    patch_iou='PatchIoU',
)
