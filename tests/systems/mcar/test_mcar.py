"""MCAR against the authors' outputs, the plain classifier, and hand-made values."""

from __future__ import annotations

import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from author_images import rule_image
from author_weights import load_rule_weights
from helpers.places import DATA
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from region_references import box_of_map, crop_and_resize
from torchvision.transforms.v2.functional import resize

from mmmlc.engine.hooks.channels_last import ChannelsLastHook

# With zero-initialised residuals the first step has no gradient inside the residual branches.
RESNET = dict(
    type='mmpretrain.ResNet',
    depth=18,
    stem_channels=8,
    base_channels=8,
    zero_init_residual=False,
)


def build(backbone=None, channels=64, classes=6, pooling='gwp', head=None, **options):
    """An MCAR on a small backbone, initialised."""
    torch.manual_seed(0)
    head = dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=classes,
        in_channels=channels,
        pooling=pooling,
        **(head or {}),
    )
    options = dict(type='mmmlc.MCAR') | options
    model = MODELS.build(dict(backbone=backbone or RESNET, head=head, **options))
    model.init_weights()
    return model


def make_samples(*labels, **fields):
    return [DataSample(metainfo=fields).set_gt_label(x) for x in labels]


def test_images_are_those_of_the_reference():
    made = [zlib.crc32(rule_image(i).tobytes()) for i in range(8)]
    assert made == np.load(DATA / 'mcar_rule_made.npz')['image_crc32'].tolist()


AUTHORS = {
    'resnet50': (dict(type='mmpretrain.ResNet', depth=50), 2048, 0.25),
    'mobilenetv2': (dict(type='mmpretrain.MobileNetV2', out_indices=(7,)), 1280, 0.4),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('arch', 'classes', 'pooling'),
    [
        ('resnet50', 80, 'gwp'),
        ('resnet50', 20, 'avg'),
        ('mobilenetv2', 20, 'gwp'),
        ('mobilenetv2', 80, 'max'),
    ],
)
def test_scores_and_boxes_are_the_authors(arch, classes, pooling):
    data = np.load(DATA / 'mcar_rule_made.npz')
    backbone, channels, scale = AUTHORS[arch]
    ours = {'gwp': 'gwp', 'avg': 'gap', 'max': 'gmp'}[pooling]
    model = build(backbone, channels, classes, ours).eval()
    load_rule_weights(model, scale)
    images = torch.from_numpy(np.stack([rule_image(i) for i in range(8)]))
    images = images.permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    images = (images - mean) / std
    key = f'{arch}_{classes}_{pooling}'
    regions = data[f'{key}_regions']  # x1, x2, y1, y2, class, global score
    boxes = torch.from_numpy(regions[..., [0, 2, 1, 3]]).long()
    with torch.no_grad():
        streams = model.streams(images)
        same = (streams.boxes == boxes).flatten(1).all(1)
        # One profile is half of its maximum at a pixel, exactly: rounding decides on which side.
        model.tau = 0.5 + 1e-6
        for i in (~same).nonzero()[:, 0]:
            other = model.streams(images[i : i + 1])
            assert torch.equal(other.boxes[0], boxes[i])
            streams.local_logits[i] = other.local_logits[0]
    assert same.sum() >= 7
    np.testing.assert_array_equal(streams.classes.numpy(), regions[..., 4])
    for name in ('global', 'local'):
        scores = getattr(streams, f'{name}_logits').sigmoid().numpy()
        np.testing.assert_allclose(scores, data[f'{key}_{name}'], atol=1e-4)


@pytest.mark.parametrize(('rule', 'scale'), [('authors', 1), ('paper', 1), ('authors', 0.5)])
def test_streams_match_the_equations_image_by_image(rule, scale):
    model = build(rule=rule, topn=3, stream_scale=scale).eval()
    size = (round(64 * scale), round(96 * scale))
    images = torch.randn(4, 3, 64, 96)
    with torch.no_grad():
        streams = model.streams(images)
        for i, image in enumerate(images):
            seen = resize(image[None], size, antialias=True)
            features = model.backbone(seen)[-1]
            maps = model.head.classifier(features)[0].sigmoid()
            pooled = 0.5 * features.mean((2, 3)) + 0.5 * features.amax((2, 3))
            weight = model.head.classifier.weight[:, :, 0, 0]
            logits = pooled @ weight.T + model.head.classifier.bias
            torch.testing.assert_close(streams.global_logits[i], logits[0], atol=1e-5, rtol=1e-5)
            top = logits[0].argsort(descending=True)[:3]
            assert streams.classes[i].tolist() == top.tolist()
            boxes = [box_of_map(maps[c], (64, 96), 0.5, rule) for c in top]
            assert streams.boxes[i].tolist() == boxes
            crops = torch.stack([crop_and_resize(image, box, size) for box in boxes])
            local = model.head(model.backbone(crops)).amax(0)
            torch.testing.assert_close(streams.local_logits[i], local, atol=1e-4, rtol=1e-4)


def test_without_regions_it_is_the_plain_classifier():
    mcar = build(topn=0)
    plain = build(type='mmpretrain.ImageClassifier', data_preprocessor=None)
    plain.load_state_dict(mcar.state_dict())
    images, samples = torch.randn(3, 3, 64, 64), make_samples([0, 2], [1], [5])
    torch.testing.assert_close(mcar.loss(images, samples), plain.loss(images, samples))
    plain.load_state_dict(mcar.state_dict())  # training moved the batch-norm statistics
    for ours, theirs in zip(mcar.eval().predict(images), plain.eval().predict(images), strict=True):
        torch.testing.assert_close(ours.pred_score, theirs.pred_score)
        assert torch.equal(ours.pred_label, theirs.pred_label)
        assert 'regions' not in ours


def test_losses_are_means_over_images_and_classes():
    model, images = build(), torch.randn(2, 3, 64, 64)
    samples = make_samples([0, 0, 3], [])  # a label given twice counts once, no label is allowed
    target = torch.zeros(2, 6)
    target[0, [0, 3]] = 1
    state = {k: v.clone() for k, v in model.state_dict().items()}
    pair = model.loss(images, samples)
    model.load_state_dict(state)
    streams = model.streams(images)

    def expected(logits):  # Eq. 9, averaged
        score = logits.sigmoid()
        return -(target * score.log() + (1 - target) * (1 - score).log()).sum() / (2 * 6)

    assert set(pair) == {'loss_global', 'loss_local'}
    torch.testing.assert_close(pair['loss_global'], expected(streams.global_logits))
    torch.testing.assert_close(pair['loss_local'], expected(streams.local_logits))
    model.load_state_dict(state)
    model.loss_kind = 'single'
    fused = torch.maximum(streams.global_logits, streams.local_logits)
    torch.testing.assert_close(model.loss(images, samples)['loss'], expected(fused))


def test_ignored_labels_take_no_part_in_the_loss():
    model, images = build(topn=0), torch.randn(1, 3, 64, 64)
    logits = model.streams(images).global_logits[0]
    (sample,) = make_samples([1])
    sample.set_field([0, 4], 'gt_label_ignore')
    kept = [1, 2, 3, 5]
    expected = F.binary_cross_entropy_with_logits(logits[kept], torch.tensor([1.0, 0, 0, 0]))
    torch.testing.assert_close(model.loss(images, [sample])['loss'], expected)


@pytest.mark.parametrize('loss', ['pair', 'single'])
def test_every_parameter_gets_a_finite_gradient(loss):
    model = build(loss=loss)
    images, samples = torch.randn(4, 3, 64, 64), make_samples([0], [1, 2], [3, 4], [5])
    sum(model.loss(images, samples).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_regions_carry_no_gradient():
    model = build()
    features = model.backbone(torch.randn(2, 3, 64, 64))
    classes, boxes = model.find_regions(features, model.head(features), (64, 64))
    assert not boxes.requires_grad and not classes.requires_grad


def test_predictions():
    model = build(topn=2, head=dict(threshold=0.6)).eval()
    model.head.classifier.weight.data *= 100  # spread the scores
    meta = dict(
        ori_shape=(120, 300), img_shape=(64, 64), scale_factor=(64 / 300, 64 / 120), flip=False
    )
    images = torch.randn(3, 3, 64, 64)
    samples = model.predict(images, make_samples([0], [1], [2], **meta))
    for sample in samples:
        fused = torch.maximum(sample.global_score, sample.local_score)
        torch.testing.assert_close(sample.pred_score, fused)
        expected = [c for c, score in enumerate(sample.pred_score.tolist()) if score >= 0.6]
        assert sample.pred_label.tolist() == expected
        assert sample.regions.shape == (2, 4)
        best = sample.global_score.argsort(descending=True)[:2]
        assert sample.region_labels.tolist() == best.tolist()
        scale = torch.tensor([300 / 64, 120 / 64, 300 / 64, 120 / 64])
        torch.testing.assert_close(sample.regions_original, sample.regions * scale)
    flipped = make_samples([0], [1], [2], **meta | dict(flip=True, flip_direction='horizontal'))
    for before, after in zip(samples, model.predict(images, flipped), strict=True):
        mirrored = before.regions_original * torch.tensor([-1, 1, -1, 1])
        mirrored = mirrored[:, [2, 1, 0, 3]] + torch.tensor([300, 0, 300, 0])
        torch.testing.assert_close(after.regions_original, mirrored)


def test_no_way_back_from_a_crop():
    meta = dict(ori_shape=(120, 300), img_shape=(64, 64), scale_factor=(0.6, 0.6))
    (sample,) = build().eval().predict(torch.randn(1, 3, 64, 64), make_samples([0], **meta))
    assert 'regions' in sample and 'regions_original' not in sample


@pytest.mark.parametrize('prediction', ['fused', 'global', 'local', 'mean'])
def test_choice_of_the_prediction(prediction):
    model = build(prediction=prediction).eval()
    images = torch.randn(2, 3, 64, 64)
    streams = model.streams(images)
    logits = {
        'global': streams.global_logits,
        'local': streams.local_logits,
        'fused': torch.maximum(streams.global_logits, streams.local_logits),
        'mean': (streams.global_logits + streams.local_logits) / 2,
    }[prediction]
    torch.testing.assert_close(model(images), logits)
    samples = model.predict(images)
    torch.testing.assert_close(torch.stack([s.pred_score for s in samples]), logits.sigmoid())
    assert ('local_score' in samples[0]) == (prediction != 'global')


def test_batch_order_does_not_matter():
    model, images = build().eval(), torch.randn(4, 3, 64, 64)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(images)[order], model(images[order]), atol=1e-5, rtol=1e-5)


def test_more_regions_than_classes():
    (sample,) = build(topn=9, classes=3).eval().predict(torch.randn(1, 3, 64, 64))
    assert sorted(sample.region_labels.tolist()) == [0, 1, 2]


BACKBONES = {
    'mobilenet_v2': (
        dict(type='mmpretrain.MobileNetV2', widen_factor=0.25, out_indices=(7,)),
        1280,
    ),
    'convnext': (
        dict(type='mmpretrain.ConvNeXt', arch='atto', gap_before_final_norm=False),
        320,
    ),
    'swin': (dict(type='mmpretrain.SwinTransformer', arch='tiny', img_size=64, window_size=2), 768),
    'vit': (
        dict(
            type='mmpretrain.VisionTransformer',
            arch='deit-tiny',
            img_size=64,
            patch_size=16,
            out_type='featmap',
        ),
        192,
    ),
}


@pytest.mark.parametrize('name', BACKBONES)
def test_backbones_with_a_feature_map(name):
    backbone, channels = BACKBONES[name]
    model = build(backbone, channels, topn=2)
    images, samples = torch.randn(2, 3, 64, 64), make_samples([0], [1, 2])
    sum(model.loss(images, samples).values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert model.eval().predict(images)[0].regions.shape == (2, 4)


def test_pooled_features_are_refused():
    vit = dict(type='mmpretrain.VisionTransformer', arch='deit-tiny', img_size=64, patch_size=16)
    model = build(vit, 192)
    with pytest.raises(ValueError, match=r'shape \(1, 192\).*out_type=.featmap'):
        model(torch.randn(1, 3, 64, 64))
    with pytest.raises(ValueError, match='returns 64 channels, model.head.in_channels is 32'):
        build(channels=32)(torch.randn(1, 3, 64, 64))


def test_initialisation(tmp_path):
    model = build(channels=64, classes=500)
    assert model.head.classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert model.head.classifier.bias.abs().max() == 0
    path = tmp_path / 'backbone.pth'
    state = model.backbone.state_dict()
    weights = {f'backbone.{k}': torch.full_like(v, 2) for k, v in state.items()}
    torch.save(dict(state_dict=weights), path)
    init = dict(type='Pretrained', checkpoint=str(path), prefix='backbone')
    loaded = build(RESNET | dict(init_cfg=init))
    assert all((p == 2).all() for p in loaded.backbone.parameters())


def test_mixed_precision_keeps_the_regions():
    model, images = build().eval(), torch.randn(2, 3, 64, 64)
    with torch.autocast('cpu', torch.bfloat16):
        samples = model.predict(images)
        model.train().loss(images, make_samples([0], [1]))['loss_local'].backward()
    assert samples[0].pred_score.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in model.parameters())
    full = model.eval().predict(images)
    scores = torch.stack([s.pred_score for s in full])
    torch.testing.assert_close(
        torch.stack([s.pred_score for s in samples]), scores, atol=0.05, rtol=0
    )


@pytest.mark.slow
def test_compiled_model_gives_the_same_logits():
    model, images = build().eval(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        compiled = torch.compile(model, backend='aot_eager')
        torch.testing.assert_close(compiled(images), model(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(topn=-1), 'model.topn is -1, expected an integer of at least 0'),
        (dict(topn=2.0), 'model.topn is 2.0'),
        (dict(tau=1.0), 'model.tau is 1.0'),
        (dict(stream_scale=0), r'model.stream_scale is 0, expected a number in \(0, 1\]'),
        (dict(rule='code'), "model.rule is 'code', expected one of 'authors', 'paper'"),
        (dict(selection='best'), "model.selection is 'best'"),
        (dict(loss='both'), "model.loss is 'both'"),
        (dict(prediction='all'), "model.prediction is 'all'"),
        (dict(pooling='sum'), "head.pooling is 'sum'"),
        (dict(head=dict(threshold=60)), 'head.threshold is 60, expected a number in'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_missing_labels_are_named():
    sample = DataSample(metainfo=dict(img_path='a.jpg'))
    with pytest.raises(ValueError, match='a.jpg has no gt_label or gt_score'):
        build().loss(torch.randn(1, 3, 64, 64), [sample])
    sample.set_gt_score(torch.zeros(5))
    with pytest.raises(ValueError, match='gt_score has 5 classes, the head num_classes=6'):
        build().loss(torch.randn(1, 3, 64, 64), [sample])


def test_channels_last_gives_the_same_losses():
    images, samples = torch.randn(2, 3, 64, 64), make_samples([0], [1, 2])
    expected = build(topn=0).loss(images, samples)
    model = build(topn=0)
    ChannelsLastHook().before_run(SimpleNamespace(model=model))
    assert model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model.loss(images, samples), expected, atol=1e-5, rtol=1e-4)
