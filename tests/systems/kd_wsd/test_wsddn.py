"""The WSDDN teacher: the whole chain by NumPy, gradients, batches, backbones, sizes, configs."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import wsddn_references as reference
from helpers import places
from helpers.small_data import shrink, write_proposals
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpretrain.models import VGG
from mmpretrain.structures import DataSample
from PIL import Image

from mmmlc.engine.launch import build_runner, load_config
from mmmlc.registry import MODELS
from mmmlc.systems.kd_wsd.multi_scale import MultiScaleDataPreprocessor
from mmmlc.systems.kd_wsd.wsddn import WSDDN, WSDDNHead
from mmmlc.visualization import regions

CONFIGS = places.CONFIGS / 'kd_wsd'
CLOSE = dict(atol=1e-5, rtol=1e-5)
C, R = 4, 9
RESNET = dict(
    type='mmpretrain.ResNet',
    depth=18,
    base_channels=4,
    stem_channels=4,
    strides=(1, 2, 2, 1),
    zero_init_residual=False,  # or the inner convolutions get no gradient in the first step
)
HEAD = dict(type='mmmlc.WSDDNHead', num_classes=C, in_channels=32, width=8)


def make_model(backbone: dict = RESNET, **head) -> WSDDN:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(dict(type='mmmlc.WSDDN', backbone=backbone, head=HEAD | head))
    model.init_weights()
    for layer in filter(lambda m: isinstance(m, torch.nn.Linear), model.head.modules()):
        torch.nn.init.normal_(layer.weight, std=3 / layer.in_features**0.5)  # not all scores alike
    return model


def make_samples(images: int = 2, regions: int = R, pad: int = 0) -> list[DataSample]:
    """Images of 32 x 32 resized to 96 x 64; of three proposals each, the others are variations."""
    samples = []
    for n in range(images):
        corners = torch.rand(3, 2, 2).sort(dim=1).values.flatten(1)
        corners = corners.repeat(regions, 1)[:regions] * torch.linspace(1, 0.9, regions)[:, None]
        sample = DataSample().set_gt_label([n % C, (n + 1) % C])
        sample.set_field(F.pad(corners, (0, 0, 0, pad)), 'proposals')
        sample.set_field(F.pad(torch.rand(regions), (0, pad)), 'proposal_scores')
        sample.set_field(torch.arange(regions + pad) < regions, 'proposal_valid')
        sample.set_metainfo(dict(img_shape=(64, 96), ori_shape=(32, 32), scale_factor=(3.0, 2.0)))
        samples.append(sample)
    return samples


@pytest.mark.parametrize('width', [8, None])
@pytest.mark.parametrize('prior', [True, False])
def test_head_against_numpy(width, prior):
    """Eq. 2 and Section 3.1, region by region."""
    head = WSDDNHead(C, 3, width, pool_size=2, prior=prior).eval()
    maps, boxes, scores = (
        torch.randn(2, 3, 4, 6),
        torch.rand(2, R, 4).sort(-1).values,
        torch.rand(2, R),
    )
    boxes = boxes[..., [0, 1, 2, 3]] * torch.tensor([96, 64, 96, 64])
    logits = head((maps,), boxes, scores, (64, 96))[:2]
    weights = {k: v.double().numpy() for k, v in head.state_dict().items()}
    for n in range(2):
        pooled = reference.roi_pool(maps[n].numpy(), boxes[n].numpy() / 16, 2)
        for r in range(R):
            x = pooled[r] * (scores[n, r].item() if prior else 1)
            x = x.mean((1, 2)) if width is None else x.ravel()
            for layer in (0, 3) if width else ():
                x = weights[f'fcs.{layer}.weight'] @ x + weights[f'fcs.{layer}.bias']
                x = np.maximum(x, 0)
            for branch, found in zip(('class', 'detection'), logits, strict=True):
                expected = weights[f'{branch}_branch.weight'] @ x + weights[f'{branch}_branch.bias']
                np.testing.assert_allclose(found[n, r].detach().numpy(), expected, atol=1e-5)


def test_model_against_numpy():
    """From the map on: boxes of fractions, scores, loss and prediction."""
    model = make_model().eval()
    inputs, samples = torch.randn(2, 3, 64, 96), make_samples()
    output = model.regions(inputs, samples)
    assert output.features[-1].shape == (2, 32, 4, 6)
    side = np.array([96, 64, 96, 64], np.float32)
    for n, sample in enumerate(samples):
        np.testing.assert_allclose(output.boxes[n].numpy(), sample.proposals.numpy() * side)
    scores = [
        reference.region_scores(*(x[n].detach().double().numpy() for x in output[1:3]))
        for n in range(2)
    ]
    expected = np.stack([s.sum(0) for s in scores])
    found = model(inputs, samples).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    targets = np.array([[1, 1, 0, 0], [0, 1, 1, 0]])
    loss = model(inputs, samples, mode='loss')
    assert list(loss) == ['loss_image']
    value = reference.image_loss(expected, targets, np.ones((2, C), bool), 1e-6)
    assert loss['loss_image'].item() == pytest.approx(value, abs=1e-5)
    with torch.no_grad():
        predicted = model(inputs, samples, mode='predict')
    for n, sample in enumerate(predicted):
        np.testing.assert_allclose(sample.pred_score.numpy(), expected[n], atol=1e-5)
        assert sample.pred_label.tolist() == np.flatnonzero(expected[n] >= 0.5).tolist()
        boxes = output.boxes[n].numpy()
        best = reference.detections(scores[n], boxes, 0.4, 1e-3, 100)
        assert len(best) >= C and sample.region_labels.tolist() == [k for _, k, _ in best]
        np.testing.assert_allclose(sample.regions.numpy(), boxes[[r for _, _, r in best]])
        np.testing.assert_allclose(sample.region_scores.numpy(), [s for s, _, _ in best], atol=1e-5)
        # Images of 32 x 32 became 96 x 64.
        original = sample.regions.numpy() / np.array([3, 2, 3, 2])
        np.testing.assert_allclose(sample.regions_original.numpy(), original, atol=1e-4)


def test_ignored_labels():
    model, inputs = make_model().eval(), torch.randn(2, 3, 64, 96)
    samples = make_samples()
    samples[0].set_field(torch.tensor([0, 3]), 'gt_label_ignore')
    loss = model(inputs, samples, mode='loss')['loss_image'].item()
    p = model(inputs, samples).detach().double().numpy()
    targets, valid = np.array([[1, 1, 0, 0], [0, 1, 1, 0]]), np.ones((2, C), bool)
    valid[0, [0, 3]] = False
    assert loss == pytest.approx(reference.image_loss(p, targets, valid, 1e-6), abs=1e-5)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('width', [8, None])
def test_gradients(dtype, width):
    model = make_model(width=width, spatial_weight=1e-4, dropout=0.0)
    with torch.autocast('cpu', dtype, enabled=dtype != torch.float32):
        losses = model(torch.randn(2, 3, 64, 96), make_samples(), mode='loss')
    assert {k: v.dtype for k, v in losses.items()} == dict.fromkeys(
        ('loss_image', 'loss_spatial'), torch.float32
    )
    assert losses['loss_spatial'] > 0
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        # A bias added to all proposals alike changes no softmax over them.
        if name == 'head.detection_branch.bias':
            assert parameter.grad.abs().max() < 1e-2
        else:
            assert (parameter.grad != 0).any(), name


def test_images_of_a_batch_are_independent():
    model, inputs, samples = make_model().eval(), torch.randn(2, 3, 64, 96), make_samples()
    with torch.no_grad():
        together = model(inputs, samples, mode='predict')
        for n, sample in enumerate(together):
            (alone,) = model(inputs[n : n + 1], [samples[n].clone()], mode='predict')
            for key in ('pred_score', 'regions', 'region_scores', 'region_labels'):
                torch.testing.assert_close(alone.get(key), sample.get(key), **CLOSE)


def test_padding_changes_nothing_and_recycling_does():
    model, inputs, samples = make_model().eval(), torch.randn(2, 3, 64, 96), make_samples()

    def changed(edit) -> torch.Tensor:
        copies = [sample.clone() for sample in samples]
        for sample in copies:
            for key in ('proposals', 'proposal_scores', 'proposal_valid'):
                sample.set_field(edit(sample.get(key), key), key)
        return model(inputs, copies)

    plain = model(inputs, samples)
    # Zeros, as LoadProposals writes them where it pads.
    padded = changed(lambda x, key: F.pad(x, (0, 0, 0, 5) if key == 'proposals' else (0, 5)))
    torch.testing.assert_close(padded, plain, **CLOSE)
    recycled = changed(lambda x, key: torch.cat((x, x[:3])))
    assert (recycled - plain).abs().max() > 1e-3
    # Unequal numbers in a batch are padded.
    short = [samples[0].clone(), *make_samples(1, R + 4)]
    torch.testing.assert_close(model(inputs, short)[0], plain[0], **CLOSE)


BACKBONES = {
    'vgg': (dict(type='mmpretrain.VGG', depth=11, with_last_pool=False), 512),
    'mobilenet': (dict(type='mmpretrain.MobileNetV2', widen_factor=0.25, out_indices=(6,)), 80),
    'convnext': (
        dict(
            type='mmpretrain.ConvNeXt',
            arch=dict(depths=[1, 1, 1, 1], channels=[4, 8, 16, 32]),
            gap_before_final_norm=False,
        ),
        32,
    ),
    'vit': (
        dict(
            type='mmpretrain.VisionTransformer',
            arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16),
            img_size=(64, 96),
            out_type='featmap',
        ),
        16,
    ),
}


@pytest.mark.parametrize('name', BACKBONES)
def test_backbones(name):
    backbone, channels = BACKBONES[name]
    model = make_model(backbone, in_channels=channels)
    inputs, samples = torch.randn(2, 3, 64, 96), make_samples()
    loss = model(inputs, samples, mode='loss')['loss_image']
    loss.backward()
    stem = next(model.parameters())
    assert loss.isfinite() and stem.grad.isfinite().all() and (stem.grad != 0).any()
    expected = rf'features of shape \(2, {channels}, .*expects a map \(B, {channels + 1}, h, w\)'
    with pytest.raises(ValueError, match=expected):
        make_model(backbone, in_channels=channels + 1)(inputs, samples)


def test_vgg_starts_from_imagenet(tmp_path):
    """The keys of fc6 and fc7 are those of mmpretrain's classifier."""
    with torch.device('meta'):
        vgg = VGG(11, num_classes=1000).state_dict()
        fcs = WSDDNHead(C, 512, 4096).fcs.state_dict()
    shapes = {k.removeprefix('classifier.'): v.shape for k, v in vgg.items() if 'classifier' in k}
    assert {k: v.shape for k, v in fcs.items()}.items() <= shapes.items()
    assert len(fcs) == 4
    stored = WSDDNHead(C, 2, 8, pool_size=3).fcs.state_dict()
    state = {f'backbone.classifier.{k}': v for k, v in stored.items()}
    torch.save(dict(state_dict=state), tmp_path / 'vgg.pth')
    init = dict(
        type='Pretrained', checkpoint=str(tmp_path / 'vgg.pth'), prefix='backbone.classifier'
    )
    head = WSDDNHead(C, 2, 8, fcs_init=init, pool_size=3)
    head.init_weights()
    for key, value in head.fcs.state_dict().items():
        torch.testing.assert_close(value, stored[key])


def test_initialisation():
    head = WSDDNHead(C, 16, 256)
    head.init_weights()
    layers = {head.class_branch: 0.01, head.detection_branch: 0.01, head.fcs[3]: 0.005}
    for layer, std in layers.items():
        assert layer.weight.std().item() == pytest.approx(std, rel=0.1)
        assert (layer.bias == 0).all()


def test_tuned_thresholds():
    head = WSDDNHead(C, 16, None)
    assert head.label_threshold == 0.5 and 'thresholds' not in head.state_dict()
    state = head.state_dict() | dict(thresholds=torch.arange(C) / 10)
    head.load_state_dict(state)
    assert head.label_threshold.tolist() == pytest.approx([0, 0.1, 0.2, 0.3])


def test_multi_scale():
    images = torch.randint(256, (2, 3, 40, 40), dtype=torch.uint8)
    options = dict(mean=[100.0] * 3, std=[50.0] * 3, to_rgb=True)
    preprocessor = MultiScaleDataPreprocessor((16, 24, 40), **options)
    sides = []
    for _ in range(60):
        inputs = preprocessor(dict(inputs=images), training=True)['inputs']
        random.random(), torch.rand(1), np.random.rand()  # other draws of a process
        assert inputs.shape == (2, 3, *[inputs.shape[-1]] * 2)
        sides.append(inputs.shape[-1])
    assert {n: sides.count(n) for n in set(sides)}.keys() == {16, 24, 40}
    assert min(sides.count(n) for n in (16, 24, 40)) > 8
    np.random.seed(0)  # as the fixture did: the seed is the only thing processes share
    again = MultiScaleDataPreprocessor((16, 24, 40), **options)
    assert [again(dict(inputs=images), True)['inputs'].shape[-1] for _ in range(60)] == sides
    normalised = (images.flip(1).float() - 100) / 50
    torch.testing.assert_close(preprocessor(dict(inputs=images))['inputs'], normalised)
    half = MultiScaleDataPreprocessor((20,), **options)(dict(inputs=images), True)['inputs']
    own = F.interpolate(normalised, (20, 20), mode='bilinear', antialias=True)
    torch.testing.assert_close(half, own)
    for scales in ((), (1.5,), (0,)):
        with pytest.raises(ValueError, match='data_preprocessor.scales is'):
            MultiScaleDataPreprocessor(scales)


def test_boxes_follow_the_size_of_the_batch():
    """Fractions are of the input as it is after a resize of the batch, whatever img_shape says."""
    model, samples = make_model().eval(), make_samples()
    small, large = (model.regions(torch.randn(2, 3, n, n), samples).boxes for n in (48, 96))
    torch.testing.assert_close(2 * small, large)


def test_errors():
    model, inputs = make_model(), torch.randn(2, 3, 64, 96)
    with pytest.raises(ValueError, match='a sample has no proposals, .*needs mmmlc.LoadProposals'):
        model(inputs)
    samples = make_samples()
    del samples[1].proposal_scores
    samples[1].set_metainfo(dict(img_path='b.jpg'))
    with pytest.raises(ValueError, match='b.jpg has no proposal_scores: the pipeline needs'):
        model(inputs, samples, mode='predict')
    samples = make_samples()
    samples[1].set_metainfo(dict(img_shape=(64, 80)))
    with pytest.raises(ValueError, match=r'\[\(64, 80\), \(64, 96\)\], expected one size'):
        model(inputs, samples, mode='loss')
    for name, value in dict(
        threshold=1.5, nms_iou=-1, dropout=2, clamp=0, spatial_weight=-1
    ).items():
        with pytest.raises(ValueError, match=f'head.{name} is {value}, expected'):
            make_model(**{name: value})
    options = dict(type='mmmlc.WSDDN', backbone=RESNET, head=HEAD)
    with pytest.raises(ValueError, match='pad_size_divisor is 32, expected 1'):
        MODELS.build(options | dict(data_preprocessor=dict(pad_size_divisor=32)))
    with pytest.raises(ValueError, match='mixed images have no proposals'):
        MODELS.build(options | dict(train_cfg=dict(augments='Mixup')))


def small(name: str, folder: Path, **backbone) -> Config:
    """The config with small layers, small images and small data."""
    cfg = load_config(CONFIGS / f'{name}.py')
    cfg.model.backbone.pop('init_cfg', None)
    cfg.model.backbone.update(backbone)
    cfg = shrink(cfg, folder)
    cfg.model.data_preprocessor.scales = (48, 64)
    cfg.model.head.pop('fcs_init', None)
    if cfg.model.head.width:
        cfg.model.head.width = 8
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for transform in cfg[key].dataset.pipeline:
            if transform.type == 'mmmlc.LoadProposals':
                prefix = cfg[key].dataset.get('data_prefix', {}).get('img_path', 'JPEGImages')
                names = [f'{i:06d}.{"jpg" if "voc" in name else "png"}' for i in range(2)]
                file = folder / f'{key}.prop'
                transform.file = str(write_proposals(file, Path(prefix).name, names))
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize('name', ['teacher_vgg16_voc07', 'teacher_r18_toy'])
def test_a_training_step(name, tmp_path, monkeypatch):
    monkeypatch.setattr(Config, 'pretty_text', 'formatting it takes most of the time')
    cfg = small(name, tmp_path, **(dict(depth=11) if 'vgg' in name else {}))
    runner = build_runner(cfg)
    before = {k: v.clone() for k, v in runner.model.named_parameters()}
    runner.train()
    assert all(torch.isfinite(v).all() for v in runner.model.state_dict().values())
    changed = [k for k, v in runner.model.named_parameters() if not torch.equal(v, before[k])]
    assert next(iter(before)) in changed  # the stem
    assert {'head.class_branch.weight', 'head.detection_branch.weight'} <= set(changed)
    batch = next(iter(runner.build_dataloader(cfg.test_dataloader)))
    sample = runner.model.eval().test_step(batch)[0]
    assert len(sample.regions_original) == len(sample.region_labels) > 0
    assert sample.regions_original.max() <= 60


@pytest.mark.parametrize('data', ['coco', 'voc07', 'nus'])
def test_published_settings(data):
    """Section 3.3, and the learning rates of the page."""
    cfg = Config.fromfile(CONFIGS / f'teacher_vgg16_{data}.py')
    assert cfg.train_dataloader.batch_size == 32
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.momentum, optimizer.weight_decay) == (0.9, 5e-4)
    keys = cfg.optim_wrapper.paramwise_cfg.custom_keys
    branches = {'head.class_branch', 'head.detection_branch'}
    assert {k: v.lr_mult for k, v in keys.items()} == dict.fromkeys(branches, 10)
    assert cfg.model.data_preprocessor.scales == (480, 576, 672, 736, 832)
    assert cfg.model.head.num_classes == dict(coco=80, voc07=20, nus=81)[data]
    for key, side in dict(train=832, val=672, test=672).items():
        steps = {t.type: t for t in cfg[f'{key}_dataloader'].dataset.pipeline}
        assert steps['mmpretrain.Resize'].scale == (side, side)
        assert steps['mmmlc.LoadProposals'].topk == 500
        assert steps['mmmlc.LoadProposals'].get('fill', 'recycle') == 'recycle'
        assert ('mmmlc.RandomFlip' in steps) == (key == 'train')
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.device('meta'):
        names = [name for name, _ in MODELS.build(cfg.model).named_parameters()]
    assert all(any(name.startswith(branch) for name in names) for branch in branches)


def test_teacher_matches_student():
    """The toy teacher has the backbone of the plain classifier, and starts from its weights."""
    teacher = Config.fromfile(CONFIGS / 'teacher_r18_toy.py')
    student = Config.fromfile(places.TOY_CONFIG)
    assert teacher.model.backbone.pop('init_cfg').prefix == 'backbone.'
    assert teacher.model.backbone == student.model.backbone
    assert teacher.custom_hooks == student.custom_hooks


def test_pictures_show_the_ten_best(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        regions, '_draw_boxes', lambda picture, boxes, texts, colours: drawn.append((boxes, texts))
    )
    sample = DataSample().set_pred_score(torch.rand(C)).set_pred_label([1])
    boxes = torch.rand(30, 4)
    sample.pred_instances = found = InstanceData(bboxes=boxes, labels=torch.arange(30) % C)
    found.scores = torch.linspace(1, 0, 30)
    regions.draw_prediction(Image.new('RGB', (400, 400)), sample, ['a', 'b', 'c', 'd'])
    ((shown, texts),) = drawn
    np.testing.assert_allclose(shown, boxes[:10].numpy(), rtol=1e-6)
    assert texts[0] == '1 a 1.00' and texts[9].startswith('10 b')
    found.scores = torch.tensor([0.9, 0.006] + 28 * [0.004])
    regions.draw_prediction(Image.new('RGB', (400, 400)), sample, ['a', 'b', 'c', 'd'])
    np.testing.assert_allclose(drawn[1][0], boxes[:2].numpy(), rtol=1e-6)
    # Not best first: visited in this order, as RDAL's, and all shown.
    found.scores = torch.tensor([0.004, 0.9] + 28 * [0.004])
    regions.draw_prediction(Image.new('RGB', (400, 400)), sample, ['a', 'b', 'c', 'd'])
    np.testing.assert_allclose(drawn[2][0], boxes[:10].numpy(), rtol=1e-6)


def test_learns_where():
    """A bright or a dark square in one of four corners: from the class, the corner is learnt."""
    size = dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
    model = make_model(RESNET | size, in_channels=4, num_classes=2, width=None, prior=False)
    x, y = torch.meshgrid(torch.tensor([0.0, 0.5]), torch.tensor([0.0, 0.5]), indexing='ij')
    corners = torch.stack((x, y, x + 0.5, y + 0.5), -1).flatten(0, 1)

    def batch(images: int) -> tuple[torch.Tensor, list[DataSample], torch.Tensor]:
        inputs, samples = 0.3 * torch.randn(images, 3, 32, 32), make_samples(images, 4)
        places = torch.randint(4, (images,))
        for n, (sample, place) in enumerate(zip(samples, places, strict=True)):
            label = n % 2
            left, top = (32 * corners[place, :2]).int() + 4
            inputs[n, :, top : top + 8, left : left + 8] += 4 * label - 2
            sample.set_gt_label([label]).set_field(corners, 'proposals')
        return inputs, samples, corners[places] * 32

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = model(*batch(8)[:2], mode='loss')['loss_image']
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1 and max(losses[-10:]) < 0.3
    inputs, samples, boxes = batch(20)
    found = model.eval()(inputs, samples, mode='predict')
    assert [sample.pred_label.tolist() for sample in found] == [[0], [1]] * 10
    best = torch.stack([sample.regions[0] for sample in found])
    assert ((best - boxes).abs().amax(1) < 1).sum() >= 18
