"""Every backbone family gives a map, for the plain classifier and for MCAR."""

from __future__ import annotations

import pytest
import timm
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmmlc.models.timm_features import TIMMFeatureMap, tokens_to_map

SIZE = 64
TINY_VIT = dict(patch_size=16, embed_dim=24, depth=2, num_heads=2, img_size=SIZE)
TIMM = {
    'resnet': dict(model_name='resnet10t'),
    'convnext': dict(model_name='convnext_atto', depths=(1, 1, 1, 1), dims=(8, 8, 8, 16)),
    'swin': dict(
        model_name='swin_tiny_patch4_window7_224',
        img_size=SIZE,
        window_size=4,
        embed_dim=8,
        depths=(1, 1, 2),
        num_heads=(1, 1, 2),
    ),
    'vit': dict(model_name='vit_tiny_patch16_224', dynamic_img_size=True, **TINY_VIT),
    # Registers, and patches of 14 pixels as in DINOv2.
    'dinov2': dict(
        model_name='vit_small_patch14_reg4_dinov2',
        dynamic_img_size=True,
        **(TINY_VIT | dict(patch_size=14, img_size=56)),
    ),
    'vit_avg': dict(model_name='vit_tiny_patch16_224', global_pool='avg', **TINY_VIT),
}
MMPRETRAIN = {
    'convnext': dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 8, 16]),
        gap_before_final_norm=False,
    ),
    'swin': dict(
        type='mmpretrain.SwinTransformer',
        arch=dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
        img_size=SIZE,
        stage_cfgs=dict(block_cfgs=dict(window_size=12)),
        pad_small_map=True,
    ),
    'vit': dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
        img_size=SIZE,
        out_type='featmap',
    ),
}
BACKBONES = {
    **{f'timm-{name}': dict(type='mmmlc.TIMMFeatureMap', **cfg) for name, cfg in TIMM.items()},
    **{f'mmpretrain-{name}': cfg for name, cfg in MMPRETRAIN.items()},
}


STRIDES = {'resnet': 32, 'convnext': 32, 'vit': 16, 'dinov2': 14, 'vit_avg': 16}


@pytest.mark.parametrize('name', BACKBONES)
def test_mcar_on_the_map(name):
    """Shapes of the map, regions inside the image, and a gradient for every parameter."""
    backbone = MODELS.build(BACKBONES[name])
    size = 56 if name == 'timm-dinov2' else SIZE
    images = torch.randn(2, 3, size, size)
    (features,) = backbone(images)
    side = size // (STRIDES | {'swin': 16 if name == 'timm-swin' else 32})[name.split('-')[1]]
    assert features.shape[2:] == (side, side)
    head = dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=5,
        in_channels=features.shape[1],
        loss=dict(type='mmmlc.AsymmetricLoss'),
    )
    model = MODELS.build(dict(type='mmmlc.MCAR', backbone=BACKBONES[name], head=head, topn=2))
    losses = model.loss(images, [DataSample().set_gt_label([i, i + 1]) for i in range(2)])
    sum(losses.values()).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    moved = [k for k, p in model.named_parameters() if p.grad is not None and p.grad.any()]
    first = next(k for k, p in model.named_parameters() if p.ndim == 4)  # the stem or patches
    assert first in moved and 'head.classifier.weight' in moved
    with torch.no_grad():
        sample = model.eval().predict(images)[0]
    assert sample.regions.shape == (2, 4)
    assert (sample.regions >= 0).all() and (sample.regions <= size).all()
    assert (sample.regions[:, 2:] > sample.regions[:, :2]).all()


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
