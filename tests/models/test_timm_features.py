"""Every backbone family gives a map."""

from __future__ import annotations

import pytest
import timm
import torch
from helpers.backbones import BACKBONES, SIZE, TIMM, size_and_stride
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmmlc.models.timm_features import TIMMFeatureMap, tokens_to_map


@pytest.mark.parametrize('name', BACKBONES)
def test_plain_classifier_on_the_map(name):
    """Shapes of the map, and a gradient for every parameter."""
    backbone = MODELS.build(BACKBONES[name])
    size, stride = size_and_stride(name)
    images = torch.randn(2, 3, size, size)
    (features,) = backbone(images)
    assert features.shape[2:] == (size // stride, size // stride)
    head = dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=5,
        in_channels=features.shape[1],
        loss=dict(type='mmmlc.AsymmetricLoss'),
    )
    model = dict(type='mmpretrain.ImageClassifier', backbone=BACKBONES[name], head=head)
    model = MODELS.build(model)
    losses = model.loss(images, [DataSample().set_gt_label([i, i + 1]) for i in range(2)])
    sum(losses.values()).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key


@pytest.mark.parametrize('name', ['vit', 'dinov2', 'vit_avg'])
def test_tokens_become_the_map_of_their_places(name):
    """Against timm's own maps: intermediate features with the final norm."""
    backbone = TIMMFeatureMap(**TIMM[name])
    backbone.eval()
    height, width = (56, 70) if name == 'dinov2' else (SIZE, SIZE)
    images = torch.randn(2, 3, height, width)
    with torch.no_grad():
        (found,) = backbone(images)
        (expected,) = backbone.timm_model.forward_intermediates(
            images, indices=1, norm=True, intermediates_only=True, output_fmt='NCHW'
        )
        expected = backbone.timm_model.fc_norm(expected.movedim(1, -1)).movedim(-1, 1)
    torch.testing.assert_close(found, expected)
    if name == 'dinov2':
        assert found.shape == (2, 24, 4, 5)


@pytest.mark.parametrize('name', ['swin', 'convnext', 'resnet'])
def test_maps_keep_their_values(name):
    backbone = TIMMFeatureMap(**TIMM[name])
    backbone.eval()
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        (found,) = backbone(images)
        features = backbone.timm_model(images)
    assert found.shape[1] == backbone.timm_model.num_features
    torch.testing.assert_close(found, features.permute(0, 3, 1, 2) if name == 'swin' else features)


def test_mmpretrain_alone_gives_tokens():
    """Why there is a backbone of our own."""
    backbone = MODELS.build(dict(type='mmpretrain.TIMMBackbone', **TIMM['vit']))
    (tokens,) = backbone(torch.randn(1, 3, SIZE, SIZE))
    assert tokens.shape == (1, 17, 24)


def test_weights_are_fetched_before_training_only(monkeypatch):
    asked = []
    create = timm.create_model

    def fake(*args, pretrained=False, **kwargs):
        asked.append(pretrained)
        model = create(*args, **kwargs)
        for parameter in model.parameters() if pretrained else ():
            torch.nn.init.constant_(parameter, 0.25)
        return model

    monkeypatch.setattr(timm, 'create_model', fake)
    backbone = TIMMFeatureMap(pretrained=True, **TIMM['vit'])
    assert asked == [False]
    backbone.init_weights()
    assert asked == [False, True]
    assert all((p == 0.25).all() for p in backbone.parameters())


def test_wrong_number_of_tokens():
    model = timm.create_model(**TIMM['vit'])
    with pytest.raises(ValueError, match=r'9 tokens for images of 64 x 64, expected 1 \+ 4 x 4'):
        tokens_to_map(torch.zeros(1, 9, 24), model, (SIZE, SIZE))


def test_pooled_features_are_refused():
    backbone = TIMMFeatureMap(**TIMM['resnet'])
    backbone.timm_model = torch.nn.Flatten()
    with pytest.raises(ValueError, match='timm model resnet10t returns shape .*, expected a map'):
        backbone(torch.randn(1, 3, 8, 8))
