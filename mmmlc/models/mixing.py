"""Mixed images (Mixup, CutMix, ResizeMix) of which some labels are not known.

B: images, C: classes.
"""

from __future__ import annotations

import torch
from mmpretrain.models import ClsDataPreprocessor

from mmmlc.registry import MODELS

from .predictions import known_pairs, set_all


@MODELS.register_module()
class MultiLabelDataPreprocessor(ClsDataPreprocessor):
    """``mmpretrain.ClsDataPreprocessor`` that mixes the masks of known labels with the images.

    mmpretrain mixes images and their one-hot labels; what is unknown of the partner
    (``gt_label_ignore``) would be trained as absent. Here a pair of image and class is known where
    it is known in every image that has a share in the mixture; the samples get this mask as
    ``gt_known`` (C,) bool, beside the mixed ``gt_score``. Any batch augmentation that mixes scores
    linearly is right. Arguments as of the parent.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise and pad; in training mix images, labels and masks."""
        data = super().forward(data, training=False)
        samples = data['data_samples']
        if not training or self.batch_augments is None or not samples:
            return data
        if 'gt_score' not in samples[0]:
            where = samples[0].get('img_path', 'a sample')
            raise ValueError(f'{where} has no gt_label or gt_score, expected labels to be mixed')
        scores = torch.stack([sample.gt_score for sample in samples]).float()
        known = known_pairs(samples, scores.shape[1], scores.device)
        if known is None:
            known = torch.ones_like(scores, dtype=torch.bool)
        # Unknown pairs as further columns: their mixture is above 0 where an image that has a share
        # in it does not know the pair, and exactly 0 elsewhere.
        columns = torch.cat([scores, (~known).float()], dim=1)
        data['inputs'], mixed = self.batch_augments(data['inputs'], columns)
        scores, unknown = mixed.chunk(2, dim=1)
        for sample, score in zip(samples, scores, strict=True):
            sample.set_gt_score(score)
        set_all(samples, gt_known=unknown == 0)
        return data
