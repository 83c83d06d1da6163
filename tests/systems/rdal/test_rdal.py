"""RDAL against the paper's equations in naive NumPy, and as a part of classifiers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import rdal_references as naive
import torch
from helpers.optional import needs_mmdet
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from PIL import Image

from mmmlc.systems.rdal import attention as ops
from mmmlc.systems.rdal.few_rows import few_rows_linear
from mmmlc.systems.rdal.losses import EuclideanSoftmaxLoss, RegionConstraintLoss
from mmmlc.systems.rdal.neck import AttentionRegions
from mmmlc.systems.rdal.proposal_classifier import proposal_matrices
from mmmlc.visualization.regions import draw_prediction

CLASSES = 6
NECK = dict(
    type='mmmlc.RecurrentAttention',
    in_channels=64,
    num_classes=CLASSES,
    num_regions=3,
    sampled_size=4,
    pool=2,
    feature_width=10,
    hidden_width=8,
)
RESNET = dict(
    type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, zero_init_residual=False
)


def build_neck(**options):
    neck = MODELS.build(NECK | options)
    neck.init_weights()
    return neck


def wander(neck):
    """Make the localisation send every region somewhere else."""
    layer = neck.localisation.layer
    torch.nn.init.normal_(layer.weight, std=2.0)
    layer.bias.data = torch.tensor([0.6, -0.7, 0.2, -0.3])
    for module in (neck.feature, neck.hidden, neck.cell.from_input, neck.classifier):
        torch.nn.init.normal_(module.bias, std=0.3)
    return neck


def build(head=None, neck=None, **options):
    config = dict(
        type='mmpretrain.ImageClassifier',
        backbone=RESNET,
        neck=NECK | (neck or {}),
        head=dict(type='mmmlc.RecurrentAttentionHead', num_classes=CLASSES, **(head or {})),
        data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor'),
    )
    model = MODELS.build(config | options)
    model.init_weights()
    return model


def build_head(**options):
    return MODELS.build(dict(type='mmmlc.RecurrentAttentionHead', num_classes=CLASSES) | options)


def make_samples(*labels, **fields):
    return [DataSample(metainfo=fields).set_gt_label(x) for x in labels]


def random_matrices(images=3, regions=5):
    return ops.parameter_matrices(torch.randn(images, regions, 4, dtype=torch.float64))


def random_regions(images=3, regions=4):
    return AttentionRegions(
        torch.randn(images, regions, CLASSES),
        torch.randn(images, regions, 8),
        torch.randn(images, regions, 10),
        random_matrices(images, regions).float(),
    )


def close(actual, expected, atol=1e-5):
    np.testing.assert_allclose(actual.detach().numpy(), np.asarray(expected), rtol=0, atol=atol)


@pytest.mark.parametrize(
    'matrix',
    [
        (1, 1, 0, 0),
        (0.5, 0.3, 0.2, -0.4),
        (0.8, 0.6, 0.9, 0.9),  # reaches out of the map
        (-0.4, 0.5, 0.1, 0.0),  # mirrored
        (0.2, 0.2, 3.0, 0.0),  # sees nothing
    ],
)
@pytest.mark.parametrize('size', [3, 8])
def test_spatial_transformer(matrix, size):
    maps = torch.randn(2, 3, 5, 7)
    matrices = ops.parameter_matrices(torch.tensor([matrix, (1, 1, 0, 0)], dtype=torch.float32))
    sampled = ops.sample_regions(maps, matrices, (size, size))
    for i in range(2):
        expected = naive.spatial_transformer(maps[i].numpy(), matrices[i].numpy(), size)
        close(sampled[i], expected)


def test_sampling_the_whole_map_at_its_size_changes_nothing():
    maps = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(ops.sample_regions(maps, ops.whole_image(maps), (6, 6)), maps)


def paper_weights(neck):
    """The module's parameters under the names of the paper's equations."""
    state = {k: v.numpy().astype(np.float64) for k, v in neck.state_dict().items()}
    weights = dict(
        fx=state['feature.weight'], x=state['feature.bias'],
        hz=state['hidden.weight'], z=state['hidden.bias'],
        zs=state['classifier.weight'], s=state['classifier.bias'],
        zm=state['localisation.layer.weight'], m_loc=state['localisation.layer.bias'],
    )  # fmt: skip
    for source, layer in (('x', 'from_input'), ('h', 'from_hidden')):
        gates = np.split(state[f'cell.{layer}.weight'], 4)
        weights |= {f'{source}{n}': gate for n, gate in zip('igom', gates, strict=True)}
    biases = np.split(state['cell.from_input.bias'], 4)
    return weights | dict(zip('igom', biases, strict=True))


@pytest.mark.parametrize('num_regions', [1, 2, 5])
def test_module_follows_the_equations(num_regions):
    neck = wander(build_neck(num_regions=num_regions, in_channels=4))
    maps = torch.randn(2, 4, 5, 6)
    with torch.no_grad():
        regions = neck((None, maps))
        fused = build_head()(regions)
    for i in range(2):
        *lists, expected = naive.recurrent_attention(
            maps[i].numpy(), paper_weights(neck), num_regions, size=4, pool=2
        )
        for actual, steps in zip(regions, lists, strict=True):
            close(actual[i], steps)
        close(fused[i], expected)
    if num_regions > 1:
        assert (regions.matrices[:, 0] - regions.matrices[:, 1]).abs().max() > 0.01


@pytest.mark.parametrize(('rows', 'outputs'), [(1, 256), (8, 384), (40, 256), (8, 100)])
@pytest.mark.parametrize('bias', [True, False])
def test_linear_of_few_rows(rows, outputs, bias):
    x, weight = torch.randn(rows, 30), torch.randn(outputs, 30)
    offset = torch.randn(outputs) if bias else None
    expected = x.double() @ weight.double().T + (0 if offset is None else offset.double())
    with torch.no_grad():
        actual = few_rows_linear(x, weight, offset)
    torch.testing.assert_close(actual.double(), expected, atol=1e-5, rtol=0)


def test_inference_gives_what_training_gives():
    neck, maps = wander(build_neck(feature_width=128, hidden_width=256)), torch.randn(2, 64, 4, 4)
    plain = neck((maps,))
    with torch.no_grad():
        for fast, slow in zip(neck((maps,)), plain, strict=True):
            torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)


def test_boxes_of_matrices():
    matrices = ops.parameter_matrices(torch.tensor([[0.5, -0.25, 0.1, 0.9], [1, 1, 0, 0]]))
    boxes = ops.matrix_boxes(matrices)
    torch.testing.assert_close(boxes, torch.tensor([[0.3, 0.825, 0.8, 1.0], [0, 0, 1, 1]]))
    given = torch.tensor([[0.1, 0.2, 0.4, 0.8]])
    torch.testing.assert_close(ops.matrix_boxes(ops.box_matrices(given)), given)


def test_classification_loss():
    logits = torch.randn(4, CLASSES, requires_grad=True)
    targets = torch.zeros(4, CLASSES)
    targets[0, 2] = targets[1, [0, 3, 5]] = 1
    targets[3] = 1  # and the image 2 has no label
    loss = EuclideanSoftmaxLoss(weight=2.0)(logits, targets)
    expected = 2 * naive.classification_loss(logits.detach().numpy(), targets.numpy())
    close(loss, expected)
    loss.backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[2] == 0).all() and (logits.grad[[0, 1, 3]] != 0).all()


def test_ignored_classes_do_not_exist():
    logits = torch.randn(3, CLASSES, requires_grad=True)
    targets, valid = torch.zeros(3, CLASSES), torch.ones(3, CLASSES, dtype=torch.bool)
    targets[0, [1, 4]] = targets[1, 0] = targets[2, 3] = 1
    valid[0, [1, 2]] = False  # a label and another class
    valid[1, 0] = False  # the only label: nothing is left
    valid[2] = False
    loss = EuclideanSoftmaxLoss()(logits, targets, valid)
    kept = [0, 3, 4, 5]
    alone = naive.classification_loss(logits.detach().numpy()[:1, kept], targets.numpy()[:1, kept])
    close(loss, alone / 3)
    loss.backward()
    assert logits.grad.isfinite().all() and (logits.grad[0, kept] != 0).all()
    assert (logits.grad[~valid] == 0).all() and (logits.grad[1:] == 0).all()


def test_anchors():
    assert np.allclose(ops.region_anchors(5), [(0.5, 0.5), (0.5, -0.5), (-0.5, 0.5), (-0.5, -0.5)])
    assert ops.region_anchors(1) == []
    for num_regions in range(2, 11):
        anchors = ops.region_anchors(num_regions)
        expected = naive.anchor_points(num_regions)
        distances = np.linalg.norm(np.array(anchors)[:, None] - np.array(expected), axis=-1)
        assert np.allclose(np.sort(distances, 1)[:, 0], 0, atol=1e-12)
        assert len(set(distances.argmin(1))) == num_regions - 1


def reference(name, matrices):
    if name == 'anchor':
        return naive.anchor_loss(matrices, ops.region_anchors(len(matrices)))
    if name == 'scale':
        return naive.scale_loss(matrices, 0.5)
    return naive.positive_loss(matrices, 0.1)


@pytest.mark.parametrize('regions', [1, 2, 5, 9])
@pytest.mark.parametrize('name', ['anchor', 'scale', 'positive'])
def test_constraints_and_their_gradients(name, regions):
    matrices = random_matrices(2, regions).requires_grad_()
    values = getattr(ops, f'{name}_constraint')(matrices)
    close(values, [reference(name, m) for m in matrices.detach().numpy()])
    (gradient,) = torch.autograd.grad(values.sum(), matrices)
    step, numeric = 1e-6, np.zeros(matrices.shape)
    for index in np.ndindex(*matrices.shape):
        ends = []
        for sign in (1, -1):
            moved = matrices.detach().numpy().copy()
            moved[index] += sign * step
            ends.append(sum(reference(name, m) for m in moved))
        numeric[index] = (ends[0] - ends[1]) / (2 * step)
    close(gradient, numeric)
    assert regions == 1 or (numeric != 0).any()


@pytest.mark.parametrize('off', [(), ('anchor',), ('scale',), ('positive',), ('anchor', 'scale')])
def test_total_loss_and_switches(off):
    """Eq. 13-14 with the paper's weights."""
    regions = random_regions()
    constraints = dict(type='mmmlc.RegionConstraintLoss') | dict.fromkeys(off, False)
    losses = build_head(constraints=constraints).loss(regions, make_samples([0], [1, 2], []))
    targets = np.zeros((3, CLASSES))
    targets[0, 0] = targets[1, [1, 2]] = 1
    expected = naive.classification_loss(regions.scores.numpy().max(1), targets)
    lambdas = dict(scale=1.0, anchor=0.01, positive=0.1)
    for name in set(lambdas) - set(off):
        matrices = regions.matrices.numpy().astype(np.float64)
        expected += 0.1 * lambdas[name] * np.mean([reference(name, m) for m in matrices])
    close(sum(losses.values()), expected)
    assert set(losses) == {'loss_cls'} | {f'loss_{name}' for name in set(lambdas) - set(off)}


def test_weights_and_thresholds_of_the_constraints():
    matrices = random_matrices()
    weighted = RegionConstraintLoss(
        anchor_weight=3, scale_weight=5, positive_weight=7, weight=2, alpha=0.2, beta=0.4
    )(matrices)
    numpy = matrices.numpy()
    expected = dict(
        loss_anchor=6 * np.mean([reference('anchor', m) for m in numpy]),
        loss_scale=10 * np.mean([naive.scale_loss(m, 0.2) for m in numpy]),
        loss_positive=14 * np.mean([naive.positive_loss(m, 0.4) for m in numpy]),
    )
    for name, value in expected.items():
        close(weighted[name], value)


@pytest.mark.parametrize('loss', ['euclidean', 'bce'])
@pytest.mark.parametrize('num_regions', [1, 4])
def test_every_parameter_gets_a_finite_gradient(loss, num_regions):
    model = build(head=dict(loss=loss), neck=dict(num_regions=num_regions))
    wander(model.neck)
    sum(model.loss(torch.randn(3, 3, 64, 64), make_samples([0], [1, 2], [])).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_a_batch_without_labels():
    model = build()
    losses = model.loss(torch.randn(2, 3, 64, 64), make_samples([], []))
    assert losses['loss_cls'] == 0
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_bce_is_the_shared_loss():
    regions, samples = random_regions(1), make_samples([1])
    samples[0].set_field([0, 4], 'gt_label_ignore')
    loss = build_head(loss='bce').loss(regions, samples)['loss_cls']
    logits, kept = regions.scores[0].amax(0), [1, 2, 3, 5]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[kept], torch.tensor([1.0, 0, 0, 0])
    )
    torch.testing.assert_close(loss, expected)


def test_batch_order_does_not_matter():
    neck, maps = wander(build_neck()), torch.randn(4, 64, 5, 5)
    order = torch.tensor([2, 0, 3, 1])
    for before, after in zip(neck((maps,)), neck((maps[order],)), strict=True):
        torch.testing.assert_close(before[order], after, atol=1e-5, rtol=1e-5)


def test_initialisation(tmp_path):
    neck = build_neck(feature_width=200, hidden_width=100)
    matrices = neck(torch.randn(2, 64, 4, 4)).matrices
    assert torch.equal(matrices, torch.eye(2, 3).expand(2, 3, 2, 3))
    for gate in neck.cell.from_input.weight.chunk(4):
        assert gate.abs().max().item() == pytest.approx((6 / (200 + 100)) ** 0.5, rel=0.01)
    fan = 64 * 4 + 200
    assert neck.feature.weight.abs().max().item() == pytest.approx((6 / fan) ** 0.5, rel=0.01)
    assert all((p == 0).all() for n, p in neck.named_parameters() if n == 'feature.bias')
    xavier = build_neck(localisation='xavier', hidden_width=100).localisation.layer
    assert xavier.weight.abs().max().item() == pytest.approx((6 / 104) ** 0.5, rel=0.05)
    assert (xavier.bias == 0).all()
    state = {k: torch.full_like(v, 2) for k, v in build_neck().state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'neck.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'neck.pth'))
    assert all((p == 2).all() for p in build_neck(init_cfg=init).parameters())


def test_mixed_precision():
    torch.manual_seed(1)
    model, images = build(), torch.randn(4, 3, 64, 64)
    wander(model.neck)
    samples = make_samples([0], [1, 2], [3], [])
    state = {k: v.clone() for k, v in model.state_dict().items()}
    full = model.loss(images, samples)
    model.load_state_dict(state)
    with torch.autocast('cpu', torch.bfloat16):
        half = model.loss(images, samples)
        regions = model.extract_feat(images)
    assert regions.scores.dtype == torch.bfloat16 and regions.matrices.dtype == torch.float32
    sum(half.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert sum(half.values()).item() == pytest.approx(sum(full.values()).item(), rel=0.01)


def test_compiles_without_a_graph_break():
    neck, maps = wander(build_neck(num_regions=1)), torch.randn(2, 64, 4, 4)
    compiled = torch.compile(neck, fullgraph=True, backend='eager')
    with torch.autocast('cpu', torch.bfloat16):
        outputs = compiled((maps,))
        assert isinstance(outputs, AttentionRegions)
        for ours, plain in zip(outputs, neck((maps,)), strict=True):
            torch.testing.assert_close(ours, plain)


META = dict(ori_shape=(120, 300), img_shape=(64, 96), scale_factor=(96 / 300, 64 / 120), flip=False)


def test_predictions():
    regions, head = random_regions(2, 3), build_head(threshold=0.6)
    samples = head.predict(regions, make_samples([0], [1, 2], **META))
    fused = regions.scores.numpy().max(1)
    for i, sample in enumerate(samples):
        close(sample.pred_score, naive.sigmoid(fused[i]))
        close(sample.softmax_score, naive.softmax(fused[i]))
        assert sample.pred_label.tolist() == np.flatnonzero(naive.sigmoid(fused[i]) >= 0.6).tolist()
        scores = regions.scores[i].numpy()
        assert sample.region_labels.tolist() == scores.argmax(1).tolist()
        close(sample.region_scores, naive.sigmoid(scores.max(1)))
        for matrix, box in zip(regions.matrices[i].numpy(), sample.regions.numpy(), strict=True):
            ends = []
            for axis, side in ((0, 96), (1, 64)):
                extent, centre = abs(matrix[axis, axis]), matrix[axis, 2]
                ends.append([(centre + sign * extent + 1) / 2 * side for sign in (-1, 1)])
            (x1, x2), (y1, y2) = (np.clip(e, 0, s) for e, s in zip(ends, (96, 64), strict=True))
            np.testing.assert_allclose(box, [x1, y1, x2, y2], atol=1e-4)
        scale = torch.tensor([300 / 96, 120 / 64] * 2)
        torch.testing.assert_close(sample.regions_original, sample.regions * scale)
    softmax = build_head(probability='softmax').predict(regions)
    close(torch.stack([s.pred_score for s in softmax]).sum(1), [1, 1])
    assert 'regions' not in softmax[0] and 'image_loss' not in softmax[0]


def test_tuned_thresholds_come_first():
    regions, head = random_regions(1), build_head()
    tuned = torch.linspace(0.3, 0.8, CLASSES)
    head.load_state_dict({'thresholds': tuned})
    (sample,) = head.predict(regions)
    expected = [c for c in range(CLASSES) if sample.pred_score[c] >= tuned[c]]
    assert sample.pred_label.tolist() == expected


def test_regions_of_a_padded_batch():
    """Images of several sizes are padded to the right and below, and the regions refer to all."""
    regions = random_regions(2, 1)._replace(matrices=torch.eye(2, 3).expand(2, 1, 2, 3))
    samples = make_samples([0], [1], img_shape=(64, 96, 3))
    samples[1].set_metainfo(dict(img_shape=(80, 40)))
    first, second = build_head().predict(regions, samples)
    assert first.regions.tolist() == [[0, 0, 96, 64]]
    assert second.regions.tolist() == [[0, 0, 40, 80]]


@pytest.mark.parametrize('loss', ['euclidean', 'bce'])
def test_losses_of_single_images(loss):
    regions, head = random_regions(4), build_head(loss=loss)
    samples = head.predict(regions, make_samples([0], [1, 2], [], [3, 4, 5]))
    for i, sample in enumerate(samples):
        alone = AttentionRegions(*(x[i : i + 1] for x in regions))
        torch.testing.assert_close(sample.image_loss, sum(head.loss(alone, [sample]).values()))
    mean = torch.stack([s.image_loss for s in samples]).mean()
    torch.testing.assert_close(mean, sum(head.loss(regions, samples).values()))


def test_features_for_a_linear_classifier():
    regions = random_regions()
    for name in ('hidden', 'sampled'):
        features = build_head(feature=name).pre_logits(regions)
        close(features, getattr(regions, name).numpy().max(1))


def test_regions_can_be_drawn():
    regions = random_regions(1)
    regions = regions._replace(scores=regions.scores + 5)
    (sample,) = build_head().predict(regions, make_samples([0], **META))
    plain = Image.new('RGB', (300, 120))
    sample.regions_original[:] = torch.tensor([30.0, 20, 90, 80])
    picture = draw_prediction(plain, sample, [f'class {i}' for i in range(CLASSES)])
    scale = picture.width / 300
    assert picture.getpixel((round(60 * scale), round(80 * scale))) != (0, 0, 0)
    assert picture.getpixel((round(200 * scale), round(60 * scale))) == (0, 0, 0)


def proposal_sample(boxes, scores, valid, shape=(64, 96)):
    (sample,) = make_samples([0], img_shape=shape)
    sample.set_field(torch.tensor(boxes).view(-1, 4), 'proposals')
    sample.set_field(torch.tensor(scores), 'proposal_scores')
    return sample.set_field(torch.tensor(valid, dtype=torch.bool), 'proposal_valid') or sample


def test_best_proposals():
    samples = [
        proposal_sample(
            [[0.0, 0, 0.5, 0.5], [0.2, 0.2, 0.4, 0.6], [0.1, 0.3, 0.9, 1]],
            [0.5, 0.9, 0.7],
            [1, 1, 0],
        ),
        proposal_sample([[0.5, 0.5, 1.0, 1.0]], [0.1], [1], shape=(128, 48)),
    ]
    boxes = ops.matrix_boxes(proposal_matrices(samples, 3))
    # The batch is 128 x 96; the first image takes its upper half, the second its left half.
    expected = [
        [[0.2, 0.1, 0.4, 0.3], [0, 0, 0.5, 0.25], [0, 0, 1, 0.5]],
        [[0.25, 0.5, 0.5, 1], [0, 0, 0.5, 1], [0, 0, 0.5, 1]],
    ]
    torch.testing.assert_close(boxes, torch.tensor(expected))


def test_proposals_instead_of_regions():
    model = build(type='mmmlc.ProposalClassifier', neck=dict(localisation='given'))
    assert not any('localisation' in name for name, _ in model.named_parameters())
    samples = [
        proposal_sample(boxes, [0.2, 0.4, 0.3], [1, 1, 1], (64, 64))
        for boxes in torch.rand(2, 3, 4).sort(-1).values[..., [0, 1, 2, 3]].tolist()
    ]
    images = torch.randn(2, 3, 64, 64)
    sum(model.loss(images, samples).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name
    for sample in model.eval().predict(images, samples):
        best = sample.proposals[[1, 2, 0]] * 64
        torch.testing.assert_close(sample.regions, best)
    with pytest.raises(ValueError, match="model.neck.localisation='given' needs matrices"):
        model(images)
    with pytest.raises(ValueError, match='has no proposals, .*the pipeline needs mmmlc.LoadPropo'):
        model.loss(images, make_samples([0], [1], img_shape=(64, 64)))


def test_vgg_gives_conv5_3():
    vgg = MODELS.build(dict(type='mmpretrain.VGG', depth=16, with_last_pool=False))
    vgg.eval()  # returns None: mmpretrain's VGG overrides train()
    (maps,) = vgg(torch.randn(1, 3, 64, 48))
    assert maps.shape == (1, 512, 4, 3)
    assert build_neck(in_channels=512)((maps,)).scores.shape == (1, 3, CLASSES)


MMDET = """
import importlib.util, sys, types
if importlib.util.find_spec('mmcv._ext') is None:
    # mmdet's ResNet needs none of mmcv's compiled operators, but mmdet.models imports their names.
    class Operators(types.ModuleType):
        __getattr__ = lambda self, name: None
    sys.modules['mmcv._ext'] = Operators('mmcv._ext')
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
cfg = Config.fromfile(sys.argv[1])
init_default_scope(cfg.default_scope)
model = MODELS.build(cfg.model)
model.init_weights()
images, sample = torch.randn(2, 3, 64, 64), DataSample(metainfo=dict(img_shape=(64, 64)))
sum(model.loss(images, [sample.clone().set_gt_label([0]) for _ in images]).values()).backward()
(first, _) = model.eval().predict(images, [sample.clone() for _ in images])
print(type(model.backbone).__module__, *first.regions.shape, first.pred_score.isfinite().all())
"""
MMDET_CONFIG = """
default_scope = 'mmdet'
model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='ResNet', depth=18),
    neck=dict(
        type='mmmlc.RecurrentAttention',
        in_channels=512, num_classes=6, sampled_size=4, feature_width=8, hidden_width=8,
    ),
    head=dict(type='mmmlc.RecurrentAttentionHead', num_classes=6),
    data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor'),
)
"""


@pytest.mark.slow
def test_in_an_mmdet_config(tmp_path):
    needs_mmdet()
    path = tmp_path / 'config.py'
    path.write_text(MMDET_CONFIG)
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', MMDET, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.splitlines()[-1] == 'mmdet.models.backbones.resnet 5 4 tensor(True)'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_regions=0), 'neck.num_regions is 0, expected an integer of at least 1'),
        (dict(feature_width=2.5), 'neck.feature_width is 2.5'),
        (dict(sampled_size=5), 'neck.sampled_size is 5, expected a multiple of pool=2'),
        (dict(localisation='zero'), "neck.localisation is 'zero', expected one of 'identity'"),
    ],
)
def test_wrong_options_of_the_neck(options, message):
    with pytest.raises(ValueError, match=message):
        build_neck(**options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(loss='hinge'), "head.loss is 'hinge', expected one of 'euclidean', 'bce'"),
        (dict(probability='exp'), "head.probability is 'exp'"),
        (dict(feature='z'), "head.feature is 'z'"),
        (dict(threshold=50), 'head.threshold is 50'),
        (
            dict(constraints=dict(type='mmmlc.RegionConstraintLoss', alpha=-1)),
            'constraints.alpha is -1',
        ),
    ],
)
def test_wrong_options_of_the_head(options, message):
    with pytest.raises(ValueError, match=message):
        build_head(**options)


def test_wrong_inputs():
    neck = build_neck()
    with pytest.raises(ValueError, match=r'shape \(2, 32, 4, 4\), the neck expects a map \(B, 64'):
        neck(torch.randn(2, 32, 4, 4))
    with pytest.raises(ValueError, match=r'shape \(2, 64\)'):
        neck((torch.randn(2, 64),))
    with pytest.raises(ValueError, match='mmmlc.ProposalClassifier gives'):
        neck(torch.randn(2, 64, 4, 4), torch.eye(2, 3).expand(2, 3, 2, 3))
    given = build_neck(localisation='given')
    with pytest.raises(ValueError, match='5 regions given, model.neck.num_regions is 3'):
        given(torch.randn(2, 64, 4, 4), torch.eye(2, 3).expand(2, 5, 2, 3))
    with pytest.raises(ValueError, match='scores 6 classes, model.head.num_classes is 9'):
        build_head(num_classes=9)(random_regions())
