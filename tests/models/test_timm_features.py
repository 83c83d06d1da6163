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


# --- several maps, frozen layers


@pytest.mark.parametrize('name', ['resnet', 'convnext', 'swin'])
def test_maps_of_several_strides(name):
    """Against timm's own intermediate maps; the last one is that without ``out_strides``."""
    plain = TIMMFeatureMap(**TIMM[name]).eval()
    strides = sorted({info['reduction'] for info in plain.timm_model.feature_info})[-2:]
    backbone = TIMMFeatureMap(out_strides=strides, **TIMM[name]).eval()
    backbone.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        lower, last = backbone(images)
        maps = plain.timm_model.forward_intermediates(images, intermediates_only=True)
        (expected,) = plain(images)
    assert [SIZE // m.shape[2] for m in (lower, last)] == strides
    torch.testing.assert_close(lower, maps[-2])
    torch.testing.assert_close(last, expected)


def test_the_last_map_of_a_stride_is_taken():
    """Blocks 3 and 4 of an EfficientNet have stride 16; the head's convolution is on the last."""
    backbone = TIMMFeatureMap('tf_efficientnet_lite0', out_strides=[16, 32]).eval()
    model, images = backbone.timm_model, torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        lower, last = backbone(images)
        expected = model.blocks[:5](model.bn1(model.conv_stem(images)))
        torch.testing.assert_close(lower, expected)
        torch.testing.assert_close(last, model.forward_features(images))
    assert lower.shape == (1, 112, 4, 4) and last.shape == (1, 1280, 2, 2)


@pytest.mark.parametrize('strides', [(), (16,), (32, 16), (16, 16, 32), (7, 32), (16, 32, 64)])
def test_strides_that_are_refused(strides):
    match = r'out_strides is .*expected some of \[2, 4, 8, 16, 32\] of resnet10t.* the last one 32'
    with pytest.raises(ValueError, match=match):
        TIMMFeatureMap('resnet10t', out_strides=strides)


# Modules of each family that are not trained with one stage frozen.
LOWER = {
    'tf_efficientnet_lite0': {'conv_stem', 'bn1', 'blocks.0'},
    'resnet10t': {'conv1', 'bn1', 'layer1'},
    'convnext_atto': {'stem', 'stages.0'},
    'vit_tiny_patch16_224': {'cls_token', 'pos_embed', 'patch_embed', 'blocks.0'},
}


@pytest.mark.parametrize('name', LOWER)
def test_frozen_stages(name):
    """They get no gradient and keep parameters and running means; all others get one."""
    extra = dict(img_size=SIZE) if name.startswith('vit') else {}
    backbone = TIMMFeatureMap(name, frozen_stages=1, drop_path_rate=0.5, **extra)
    backbone.train()
    before = {key: value.clone() for key, value in backbone.timm_model.named_buffers()}
    (features,) = backbone(torch.randn(2, 3, SIZE, SIZE))
    features.square().mean().backward()

    def lower(key):
        return any(f'{key}.'.startswith(f'{part}.') for part in LOWER[name])

    for key, parameter in backbone.timm_model.named_parameters():
        assert parameter.requires_grad != lower(key), key
        assert (parameter.grad is None) == lower(key), key
    for key, value in backbone.timm_model.named_buffers():
        if key.endswith('running_mean'):
            assert torch.equal(value, before[key]) == lower(key), key
    for key, module in backbone.timm_model.named_modules():
        if key and [*module.parameters()]:
            assert module.training != lower(key), key


def test_no_gradient_is_computed_below():
    """The map between frozen and trained layers is the lowest in the graph."""
    backbone = TIMMFeatureMap('tf_efficientnet_lite0', frozen_stages=3)
    seen = {}
    for number, block in enumerate(backbone.timm_model.blocks):
        block.register_forward_hook(lambda *args, n=number: seen.update({n: args[2].requires_grad}))
    backbone(torch.randn(1, 3, SIZE, SIZE))
    assert seen == {0: False, 1: False, 2: False, 3: True, 4: True, 5: True, 6: True}


def test_stem_alone_and_all_stages():
    stem = TIMMFeatureMap('resnet10t', frozen_stages=0).timm_model
    trained = {key.partition('.')[0] for key, p in stem.named_parameters() if p.requires_grad}
    assert trained == {'layer1', 'layer2', 'layer3', 'layer4'}
    everything = TIMMFeatureMap('resnet10t', frozen_stages=4)
    assert not any(p.requires_grad for p in everything.parameters())
    assert not any(module.training for module in everything.timm_model.modules())


@pytest.mark.parametrize('stages', [5, -2, 1.0, None])
def test_stages_that_are_refused(stages):
    with pytest.raises(ValueError, match=r'frozen_stages is .*integer from -1 to 4, .*resnet10t'):
        TIMMFeatureMap('resnet10t', frozen_stages=stages)


def test_norms_in_evaluation_mode():
    backbone = TIMMFeatureMap('resnet10t', norm_eval=True)
    assert backbone.train() is backbone
    modes = {type(m).__name__: m.training for m in backbone.timm_model.modules()}
    assert modes['BatchNorm2d'] is False and modes['Conv2d'] is True
    assert all(p.requires_grad for p in backbone.parameters())


@pytest.mark.slow
def test_compiled_maps_and_gradients():
    """One graph, frozen layers included."""
    backbone = TIMMFeatureMap('tf_efficientnet_lite0', out_strides=(16, 32), frozen_stages=3)
    compiled = torch.compile(backbone.eval(), backend='aot_eager', fullgraph=True)
    images = torch.randn(2, 3, SIZE, SIZE)
    gradients = []
    for call in (backbone, compiled):
        backbone.zero_grad()
        maps = call(images)
        sum(map_.sum() for map_ in maps).backward()
        gradients.append([p.grad for p in backbone.parameters() if p.requires_grad])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_keys_of_checkpoints_stay():
    """Whatever maps are returned and frozen."""
    keys = TIMMFeatureMap('resnet10t').state_dict().keys()
    options = dict(out_strides=(8, 16, 32), frozen_stages=2, norm_eval=True)
    assert TIMMFeatureMap('resnet10t', **options).state_dict().keys() == keys
