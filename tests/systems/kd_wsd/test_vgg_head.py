"""The student head of KD-WSD against mmpretrain's VGG and formulas by hand."""

from __future__ import annotations

import distillation_references as reference
import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from mmmlc.registry import MODELS
from mmmlc.systems.kd_wsd.vgg_head import VGGHead

B, C = 6, 4


def vgg_head(**options) -> VGGHead:
    return VGGHead(num_classes=C, in_channels=3, map_size=2, width=64, dropout=0.0, **options)


def test_vgg_head_is_the_end_of_vgg():
    """Keys and shapes of fc6 and fc7 are those of mmpretrain's classifier."""
    with torch.device('meta'):
        vgg = MODELS.build(dict(type='mmpretrain.VGG', depth=11, num_classes=1000))
        head = VGGHead(num_classes=C)
    theirs = {key: value.shape for key, value in vgg.classifier.state_dict().items()}
    ours = {key: value.shape for key, value in head.fcs.state_dict().items()}
    assert set(theirs) - set(ours) == {'6.weight', '6.bias'}
    assert all(theirs[key] == shape for key, shape in ours.items())


def test_vgg_head():
    head = vgg_head(threshold=0.4)
    head.init_weights()
    # Xavier's normal: sqrt(2 / (64 + 4)); fc6 and fc7 have their own.
    assert head.classifier.weight.std().item() == pytest.approx((2 / 68) ** 0.5, rel=0.2)
    assert head.fcs[3].weight.std().item() == pytest.approx(0.005, rel=0.1)
    maps = torch.randn(B, 3, 4, 4)
    x = maps.unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1)).flatten(1)
    for layer in (head.fcs[0], head.fcs[3]):
        x = (x @ layer.weight.T + layer.bias).relu()
    logits = x @ head.classifier.weight.T + head.classifier.bias
    torch.testing.assert_close(head((maps,)), logits)

    samples = [DataSample().set_gt_label([i % C, (i + 1) % C]) for i in range(B)]
    loss = head.loss((maps,), samples)['loss']
    targets = np.stack([np.isin(np.arange(C), sample.gt_label) for sample in samples])
    p = reference.sigmoid(logits.detach().double().numpy())
    each = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(1)
    assert loss.item() == pytest.approx(each.mean(), abs=1e-5)  # summed over classes (Eq. 10)
    loss.backward()
    assert all(q.grad.isfinite().all() and q.grad.abs().sum() > 0 for q in head.parameters())
    samples = head.predict((maps,), samples)
    for sample, scores, value in zip(samples, p, each, strict=True):
        np.testing.assert_allclose(sample.pred_score.detach(), scores, atol=1e-6)
        assert sample.pred_label.tolist() == np.flatnonzero(scores >= 0.4).tolist()
        assert sample.image_loss.item() == pytest.approx(value, abs=1e-5)
    assert 'image_loss' not in head.predict((maps,))[0]
    with pytest.raises(ValueError, match=r'\(6, 3, 8, 8\), VGGHead expects \(B, 3, 4, 4\)'):
        head((torch.zeros(6, 3, 8, 8),))
    with pytest.raises(ValueError, match='head.dropout is 2'):
        VGGHead(C, dropout=2)
