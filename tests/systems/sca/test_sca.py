"""SCA-DNN: what is learnt from which box, what a prediction says, and what is refused."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import sca_references as naive
import torch
from helpers.optional import needs_mmdet
from mmengine.registry import DefaultScope
from sca_lab import HEAD, MODEL, C, batch, build, sample_of

from mmmlc.registry import MODELS
from mmmlc.systems.sca.patches import expand_boxes
from mmmlc.systems.sca.relation import PatchRelation
from mmmlc.systems.sca.truth import true_boxes

LOSSES = {'loss_rpn_cls', 'loss_rpn_bbox'}
LOSSES |= {f'loss_{name}' for name in ('location', 'patch', 'object', 'context')}


def total(model, losses) -> torch.Tensor:
    return model.parse_losses(losses)[0]


@pytest.mark.parametrize('heads', [0, 2])
def test_every_parameter_gets_a_gradient(heads):
    model = build(relation_heads=heads).train()
    losses = model(*batch(), mode='loss')
    assert set(losses) == LOSSES
    total(model, losses).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        # A softmax does not see a constant added to all keys: its bias has no slope.
        moving = parameter.grad if 'in_proj_bias' not in name else parameter.grad[:16]
        assert moving.abs().sum() > 0, name


@pytest.mark.parametrize('scope', [None, 'mmpretrain', 'mmdet'])
def test_backbone_of_mmdet_under_any_scope(scope, monkeypatch):
    needs_mmdet()
    backbone = MODEL['backbone'] | dict(type='mmdet.ResNet')
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())
    if scope is not None:
        DefaultScope.get_instance('sca', scope_name=scope)
    model = MODELS.build(MODEL | dict(backbone=backbone))
    losses = model(*batch(), mode='loss')
    assert total(model, losses).isfinite()


def controlled_head(**options):
    """A head whose outputs are biases alone, and that trains with exactly the patches it gets."""
    needs_mmdet()
    sampler = dict(
        type='RandomSampler', num=99, pos_fraction=1.0, neg_pos_ub=-1, add_gt_as_proposals=False
    )
    head = MODELS.build(HEAD | dict(sampler=sampler) | options)
    predictors = (
        head.regressor,
        head.patch_classifier,
        head.object_predictor,
        head.context_predictor,
    )
    for layer in predictors:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, math.log(3))  # a score of 3/4
    torch.nn.init.zeros_(head.regressor.bias)
    return head


def head_losses(head, proposals, samples) -> dict[str, float]:
    maps = [torch.randn(len(samples), 8, 16 // n, 24 // n) for n in (1, 2, 4)]
    truths = true_boxes(samples, C)
    sizes = torch.tensor([s.img_shape for s in samples]).float()
    losses = head.loss(
        maps, [torch.tensor(p, dtype=torch.float32) for p in proposals], truths, sizes
    )
    return {name: loss.item() for name, loss in losses.items()}


def test_losses_by_hand():
    # Patch 1 has an IoU of 16 / 20 with the first box; patch 2 of 0: background.
    # Location: dx = 0, dy = (18 - 20) / 20 / 0.1 = -1, dw = 0, dh = ln(16 / 20) / 0.2 = -1.1157.
    # Context of patch 1: (0, 0, 40, 40), holds the centres of the boxes of the classes 1 and 3.
    # Context of patch 2: (50, 30, 90, 64), holds none: (48, 40) is left of it.
    boxes = [(10, 10, 30, 26), (0, 0, 4, 80), (44, 36, 52, 44)]
    proposals = [[(10, 10, 30, 30), (60, 40, 80, 60)]]
    found = head_losses(controlled_head(), proposals, [sample_of(boxes, [1, 3, 2])])
    yes, no = -math.log(3 / 4), -math.log(1 / 4)
    expected = dict(
        loss_location=(0.5 * 1 + (-math.log(0.8) / 0.2 - 0.5)) / 2,
        loss_patch=(yes + no) / 2,
        loss_object=(yes + 3 * no + 4 * no) / 2,
        loss_context=(2 * yes + 2 * no + 4 * no) / 2,
    )
    assert found == pytest.approx(expected, abs=1e-6)
    weights = dict(location=2, patch=0.5, object=0, context=3)
    weighted = head_losses(
        controlled_head(loss_weights=weights), proposals, [sample_of(boxes, [1, 3, 2])]
    )
    assert weighted == pytest.approx({k: weights[k[5:]] * v for k, v in expected.items()}, abs=1e-6)


def test_context_reaches_as_far_as_the_expansion():
    box, far = (10, 10, 30, 30), (38, 18, 42, 22)  # centre 20 right of the patch's
    yes, no = -math.log(3 / 4), -math.log(1 / 4)
    for expansion, known in ((1, 1), (1.9, 1), (2.1, 2)):
        head = controlled_head(expansion=expansion)
        found = head_losses(head, [[box]], [sample_of([box, far], [0, 1])])
        assert found['loss_context'] == pytest.approx(known * yes + (4 - known) * no, abs=1e-6)


def test_images_do_not_see_each_others_boxes():
    box = (10, 10, 30, 30)
    head = controlled_head()
    pair = head_losses(head, [[box], [box]], [sample_of([box], [0]), sample_of([], [])])
    yes, no = -math.log(3 / 4), -math.log(1 / 4)
    assert pair['loss_patch'] == pytest.approx((yes + no) / 2, abs=1e-6)
    assert pair['loss_context'] == pytest.approx((yes + 7 * no) / 2, abs=1e-6)


def test_crowds_are_neither_object_nor_background():
    box, crowd = (10, 10, 30, 30), (40, 0, 96, 64)
    head = controlled_head()
    sample = sample_of([box, crowd], [0, 1], box_crowd=[False, True])
    proposals = [[box, crowd, (50, 10, 60, 30)]]
    truths = true_boxes([sample], C)
    patches = head.sampler.sample([torch.tensor(p).float() for p in proposals], truths)
    assert patches.boxes[0].tolist() == [list(box)]
    # Its class is in the image: the context patch that covers its centre says so.
    labels = head_losses(controlled_head(expansion=8), [[box]], [sample])['loss_context']
    assert labels == pytest.approx(-2 * math.log(3 / 4) - 2 * math.log(1 / 4), abs=1e-6)


def test_boxes_without_extent_are_no_objects():
    (truth,) = true_boxes([sample_of([(5, 5, 5, 30), (10, 10, 30, 30)], [0, 1])], C)
    assert truth.objects().labels.tolist() == [1] and len(truth.boxes) == 2


@pytest.mark.parametrize('branch', ['object', 'context'])
def test_one_branch_alone(branch):
    other = {'object': 'context', 'context': 'object'}[branch]
    model = build(branch=branch).train()
    inputs, samples = batch()
    losses = model(inputs, samples, mode='loss')
    assert set(losses) == LOSSES - {f'loss_{other}'}
    total(model, losses).backward()
    names = {n for n, p in model.named_parameters() if p.grad is None}
    assert names and all(n.startswith((f'head.{other}_fcs', f'head.{other}_pred')) for n in names)
    (sample, *_) = model.eval()(inputs, samples, mode='predict')
    torch.testing.assert_close(sample.pred_score, sample.get(f'{branch}_score'))
    assert ('context_score' in sample) == (branch == 'context')


@torch.no_grad()
def test_prediction():
    model = build(min_score=0.0, prior=0.3).eval()
    inputs, samples = batch()
    samples = model(inputs, samples, mode='predict')
    for sample in samples:
        found = len(sample.regions)
        assert found and sample.region_labels.shape == sample.region_scores.shape == (found,)
        assert sample.contexts.shape == sample.contexts_original.shape == (found, 4)
        assert (sample.region_scores.diff() <= 0).all()
        assert sample.patches.shape == sample.patch_boxes.shape == (6, 4)
        assert sample.patch_scores.shape == (6,)
        ends = torch.tensor([96, 64, 96, 64])
        for boxes in (sample.regions, sample.contexts, sample.patches):
            assert (boxes >= 0).all() and (boxes <= ends).all()
        assert sample.pred_score.shape == (C,) and (sample.pred_score > 0).all()
        assert sample.pred_label.tolist() == (sample.pred_score >= 0.5).nonzero()[:, 0].tolist()
        # The context of an object is the expanded patch it was regressed from.
        rows = (sample.patch_boxes == sample.regions[0]).all(-1).nonzero()[0]
        expected = expand_boxes(sample.patches[rows], 2.0, torch.tensor([64, 96]))
        torch.testing.assert_close(sample.contexts[:1], expected)
    torch.testing.assert_close(model(inputs), torch.stack([s.pred_score for s in samples]))


@torch.no_grad()
def test_scores_are_those_of_the_note():
    model = build(prior=0.3).eval()
    inputs, samples = batch()
    kept = model._keep(inputs, samples)
    arrays = [x.numpy() for x in (kept.confidence, kept.objects, kept.context_labels)]
    samples = model(inputs, samples, mode='predict')
    for branch, field in (('both', 'pred'), ('object', 'object'), ('context', 'context')):
        found = torch.stack([sample.get(f'{field}_score') for sample in samples])
        expected = naive.image_scores(*arrays, branch, np.ones((3, 6)))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for name in ('both', 'object', 'context'):
        model.head.branch = name
        scores = model(inputs, samples, mode='tensor')
        np.testing.assert_allclose(
            scores, naive.image_scores(*arrays, name, np.ones((3, 6))), atol=1e-6
        )


@torch.no_grad()
def test_images_are_predicted_independently():
    model = build(relation_heads=2, prior=0.3).eval()
    inputs, samples = batch()
    together = model(inputs, samples, mode='tensor')
    order = torch.tensor([2, 0, 1])
    moved = model(inputs[order], [samples[i] for i in order.tolist()], mode='tensor')
    torch.testing.assert_close(moved, together[order], rtol=1e-4, atol=1e-5)
    alone = torch.cat([model(inputs[i : i + 1], samples[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_padding_is_no_part_of_an_image():
    model = build(min_score=0.0, expansion=3.0).eval()
    inputs, samples = batch()
    small = sample_of([(4, 4, 30, 30)], [1], size=(40, 50))
    inputs[0, :, 40:], inputs[0, :, :, 50:] = 0, 0
    model.train()
    assert all(
        torch.stack(loss).isfinite().all() if isinstance(loss, list) else loss.isfinite()
        for loss in model(inputs, [small, *samples[1:]], mode='loss').values()
    )
    (sample, *_) = model.eval()(inputs, [small, *samples[1:]], mode='predict')
    for boxes in (sample.regions, sample.contexts, sample.patches, sample.patch_boxes):
        assert (boxes <= torch.tensor([50, 40, 50, 40])).all()
    torch.testing.assert_close(sample.regions_original, sample.regions)


@torch.no_grad()
def test_whole_image_where_nothing_is_proposed():
    model = build().eval()
    model.patch_generator.test_cfg.min_bbox_size = 1000
    samples = model(*batch(), mode='predict')
    assert samples[0].patches.tolist() == [[0, 0, 96, 64]] * 6
    assert samples[0].pred_score.isfinite().all()


@torch.no_grad()
def test_memory_format_changes_nothing():
    # mmcv's RoIAlign would read channels-last maps in the wrong order.
    model = build(prior=0.3).eval()
    inputs, samples = batch()
    expected = model(inputs, samples)
    model.to(memory_format=torch.channels_last)
    found = model(inputs.to(memory_format=torch.channels_last), samples)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('dtype', [torch.bfloat16])
def test_mixed_precision(dtype):
    model = build(relation_heads=2).train()
    inputs, samples = batch()
    torch.manual_seed(0)
    full = total(model, model(inputs, samples, mode='loss'))
    torch.manual_seed(0)
    with torch.autocast('cpu', dtype=dtype):
        losses = model(inputs, samples, mode='loss')
    half = total(model, losses)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0.05, atol=0)
    half.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    with torch.no_grad(), torch.autocast('cpu', dtype=dtype):
        samples = model.eval()(inputs, samples, mode='predict')
    assert all(s.pred_score.isfinite().all() and s.patches.dtype == torch.float32 for s in samples)


def test_relation_sees_the_patches_of_its_image_in_any_order():
    relation = PatchRelation(16, 4)
    vectors, sizes = torch.randn(7, 16), torch.tensor([[64.0, 96], [40, 50]])
    boxes = [torch.rand(3, 4) * 40, torch.rand(4, 4) * 40]
    together = relation(vectors, boxes, sizes)
    alone = [
        relation(vectors[:3], boxes[:1], sizes[:1]),
        relation(vectors[3:], boxes[1:], sizes[1:]),
    ]
    torch.testing.assert_close(together, torch.cat(alone))
    order = torch.tensor([2, 0, 1])
    moved = relation(vectors[order], [boxes[0][order]], sizes[:1])
    torch.testing.assert_close(moved, together[order])
    other = [boxes[0] / 2, boxes[1]]
    assert not torch.allclose(relation(vectors, other, sizes)[:3], together[:3])


def test_samples_without_boxes_are_refused():
    model = build().train()
    inputs, samples = batch()
    del samples[1].boxes
    with pytest.raises(
        ValueError, match=r'a\.jpg has no boxes: SCA-DNN trains with boxes(.|\n)*wi'
    ):
        model(inputs, samples, mode='loss')
    with pytest.raises(ValueError, match='no data samples'):
        model(inputs, None, mode='loss')
    wrong = sample_of([(0, 0, 9, 9)], [C])
    with pytest.raises(ValueError, match=r'box_labels from 4 to 4, expected 0 to 3'):
        true_boxes([wrong], C)
    wrong.set_field(torch.tensor([0, 1]), 'box_labels')
    with pytest.raises(ValueError, match=r'boxes of shape \(1, 4\) and box_labels of shape \(2,\)'):
        true_boxes([wrong], C)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(branch='all'), "head.branch is 'all', expected one of 'both', 'object', 'context'"),
        (dict(expansion=0.5), 'head.expansion is 0.5, expected a number of at least 1'),
        (dict(prior=0), 'head.prior is 0, expected a number above 0 and below 1'),
        (dict(threshold=2), r'head.threshold is 2, expected a number in \[0, 1\]'),
        (dict(max_patches=0), 'head.max_patches is 0, expected at least 1'),
        (dict(loss_weights=dict(box=1)), "key of head.loss_weights is 'box', expected one of"),
        (dict(loss_weights=dict(patch=-1)), 'head.loss_weights.patch is -1, expected at least 0'),
        (dict(relation_heads=3), 'relation_heads is 3, expected a divisor of width=16'),
    ],
)
def test_wrong_options(options, message):
    needs_mmdet()
    with pytest.raises(ValueError, match=message):
        MODELS.build(HEAD | options)


def test_batch_augmentations_are_refused():
    needs_mmdet()
    with pytest.raises(ValueError, match='mixed images have no boxes'):
        MODELS.build(MODEL | dict(train_cfg=dict(augments=dict(type='Mixup', alpha=0.2))))


@pytest.mark.parametrize('config', [MODEL, HEAD], ids=['model', 'head'])
def test_without_operators_it_says_what_to_do(monkeypatch, config):
    def missing():
        raise ImportError('mmcv has no compiled ops\nbash tools/install.sh --full')

    monkeypatch.setattr('mmmlc.systems.sca.classifier.require_mmdet', missing)
    monkeypatch.setattr('mmmlc.systems.sca.detection_parts.require_mmdet', missing)
    with pytest.raises(ImportError, match='no compiled ops\n.*tools/install.sh --full'):
        MODELS.build(config)


def in_process(root, code: str) -> str:
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        cwd=root / 'tests/systems/sca',
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_mmdets_data_and_evaluation_stay_out(root):
    """They need an old augmentation package that mmmlc does not install."""
    needs_mmdet()
    code = """
import sys, torch
sys.path.insert(0, '../..')
from sca_lab import batch, build
model = build().train()
model.parse_losses(model(*batch(), mode='loss'))
model.eval()(*batch(), mode='predict')
print([m for m in sys.modules if m.startswith(('mmdet.datasets', 'mmdet.evaluation', 'imgaug'))])
"""
    assert in_process(root, code).endswith('[]')
