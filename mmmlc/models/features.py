"""One feature vector per image, for classifiers trained after the network (linear SVMs).

B: images, D: channels.
"""

from __future__ import annotations

from mmengine.model import BaseModule
from mmpretrain.models import ImageClassifier
from torch import Tensor


def pool_outputs(head: BaseModule, outputs: object) -> Tensor:
    """Features (B, D) by the head's ``pre_logits``.

    Pooled maps in our plain head; in RDAL's the features of the regions, max-pooled (Section 5.1).

    Args:
        head: Of a classifier.
        outputs: What its neck returns, or its backbone where there is no neck.

    Raises:
        ValueError: if the head has no ``pre_logits``, or gives no vector per image.
    """
    if not hasattr(head, 'pre_logits'):
        raise ValueError(f'{type(head).__name__} has no pre_logits: it gives no pooled features')
    features = head.pre_logits(outputs)
    if not isinstance(features, Tensor) or features.ndim != 2:
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f'{type(head).__name__}.pre_logits gives {shape}, expected (B, D)')
    return features


def image_features(model: ImageClassifier, images: Tensor) -> Tensor:
    """Features (B, D) of normalised images (B, 3, H, W); in MCAR those of the global stream.

    For :class:`TenViews` the average over the views (RDAL, Section 5.1).
    """
    if hasattr(model, 'average_features'):
        return model.average_features(images)
    return pool_outputs(model.head, model.extract_feat(images))
