"""What a distillation moves, what its losses are, and which options are refused."""

from __future__ import annotations

import copy
from pathlib import Path

import distillation_references as reference
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from distillation_lab import (
    FEATURES,
    IMAGES,
    PREDICTIONS,
    STUDENT,
    C,
    Lab,
    R,
    T,
    build,
    changed,
    distiller,
    run,
)
from helpers.places import ROOT
from mmengine.config import Config
from mmengine.runner import Runner

from mmmlc.registry import MODELS
from mmmlc.systems.kd_wsd.weak_detection import objectness, region_scores


@pytest.fixture(scope='module')
def lab(tmp_path_factory) -> Lab:
    return Lab(tmp_path_factory.mktemp('lab'))


@pytest.fixture(scope='module')
def trained(lab) -> list[tuple[Runner, dict[str, torch.Tensor]]]:
    """Stages 1 and 2, each from scratch, two epochs."""
    return [run(lab.config(f'stage{i + 1}', distiller(i), epochs=2)) for i in range(2)]


@pytest.mark.parametrize('stage', [0, 1])
def test_training_moves_what_it_should(lab, trained, stage):
    """Stage 1: the backbone and the adapter; stage 2: everything. Never the teacher."""
    runner, before = trained[stage]
    moved = changed(before, runner.model.state_dict())
    if stage == 0:
        assert moved == {key for key in before if not key.startswith('student.head')}
    else:
        assert moved == set(before)
    teacher = runner.model._teacher.model
    assert not changed(lab.teacher.state_dict(), teacher.state_dict())
    assert not any(m.training for m in teacher.modules())


def test_teacher_is_no_part_of_the_model(lab, trained):
    runner = trained[1][0]
    model, teacher = runner.model, runner.model._teacher.model
    groups = runner.optim_wrapper.optimizer.param_groups
    known = {id(p) for p in (*model.parameters(), *(p for g in groups for p in g['params']))}
    assert not known & {id(p) for p in teacher.parameters()}
    assert not set(model.modules()) & set(teacher.modules())
    assert {key.split('.')[0] for key in model.state_dict()} == {'student', 'losses'}
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())


def test_teacher_goes_where_the_student_goes(lab):
    model = build(lab).train().double()
    teacher = model._teacher.model
    assert not teacher.training and next(teacher.parameters()).dtype == torch.float64
    model.to(memory_format=torch.channels_last)
    model.set_teacher(copy.deepcopy(lab.teacher))
    weight = model._teacher.model.backbone.conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def test_every_parameter_gets_a_gradient(lab):
    model = build(lab, losses=dict(features=FEATURES, predictions=PREDICTIONS))
    losses = model.loss(*lab.prepared(model))
    assert set(losses) == {'loss_label', 'loss_features', 'loss_predictions'}
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize('iou', [0.4, 1.0])
def test_losses_are_those_of_the_equations(lab, iou):
    """Both from the networks' outputs: suppression, repetition, pooling, temperatures, labels."""
    losses = dict(features=FEATURES, predictions=PREDICTIONS)
    model = build(lab, losses=losses, nms_iou=iou).eval()
    inputs, samples = lab.prepared(model)
    found = model.loss(inputs, samples)
    with torch.no_grad():
        seen = lab.teacher.eval().regions(inputs, samples)
        small = F.interpolate(inputs, size=(32, 32), mode='bilinear', antialias=True)
        maps = model.backbone(small)
        logits = model.head(maps)
        scores = objectness(region_scores(seen.class_logits, seen.detection_logits))
    boxes = np.stack([sample.proposals.numpy() for sample in samples])
    kept = [
        reference.keep(b, s, iou, T) for b, s in zip(boxes, scores.double().numpy(), strict=True)
    ]
    rows = np.arange(IMAGES)[:, None]
    weights = scores.double().numpy()[rows, kept]
    (adapter,) = model.losses['features'].pairs.adapters
    expected = reference.roi_feature_loss(
        adapter(maps[-1]).detach().numpy(), seen.features[-1].numpy(), boxes[rows, kept], weights, 2
    )
    assert found['loss_features'].item() == pytest.approx(2 * expected, rel=1e-4)
    ones = (np.ones(C), np.ones(R))
    soft = reference.soft_teacher(
        seen.class_logits.numpy(), seen.detection_logits.numpy(), seen.valid.numpy(), *ones
    )
    expected = reference.prediction_loss(logits.numpy(), np.ones(C), soft, 'squared')
    assert found['loss_predictions'].item() == pytest.approx(expected, abs=1e-5)
    targets = np.stack([np.isin(np.arange(C), sample.gt_label) for sample in samples])
    p = reference.sigmoid(logits.double().numpy())
    bce = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    assert found['loss_label'].item() == pytest.approx(bce, abs=1e-5)


def test_sizes_of_both_inputs(lab):
    model = build(lab, losses=dict(features=FEATURES), update='backbone', teacher_size=48)
    sizes = []
    for network in (model.backbone, model._teacher.model.backbone):
        network.register_forward_pre_hook(lambda _, x: sizes.append(tuple(x[0].shape[-2:])))
    model.loss(*lab.prepared(model))
    assert sizes == [(48, 48), (32, 32)]


def test_mixed_precision_is_finite(lab):
    for options in (dict(), dict(teacher_amp='bfloat16')):
        model = build(lab, losses=dict(features=FEATURES, predictions=PREDICTIONS), **options)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=not options):
            losses = model.loss(*lab.prepared(model))
        sum(losses.values()).backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())


def test_any_classifier_teaches_maps(lab):
    """FitNets and attention transfer need no proposals."""
    loss = dict(type='mmmlc.AttentionTransferLoss', student_layers=(-1,), teacher_layers=(-1,))
    model = MODELS.build(distiller(losses=dict(attention=loss)))
    model.set_teacher(MODELS.build(copy.deepcopy(STUDENT)))
    inputs, samples = lab.prepared(model)
    for sample in samples:
        del sample.proposals
    assert model.loss(inputs, samples)['loss_attention'] > 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(losses={}), 'model.losses is empty'),
        (dict(update='convs'), "model.update is 'convs', expected one of 'all', 'backbone'"),
        (dict(label_weight=0.0, losses=dict(f=FEATURES)), 'would leave the head without gradient'),
        (dict(nms_iou=0.0), 'model.nms_iou is 0.0'),
        (dict(top=0), 'model.top is 0'),
        (dict(teacher_amp='int8'), "model.teacher_amp is 'int8'"),
        (
            dict(
                student=STUDENT
                | dict(train_cfg=dict(augments=dict(type='mmpretrain.Mixup', alpha=0.8)))
            ),
            'mixes images, but not their proposals',
        ),
        (
            dict(
                student=STUDENT
                | dict(
                    head=dict(
                        type='mmpretrain.MultiLabelLinearClsHead', num_classes=C, in_channels=8
                    )
                )
            ),
            'MultiLabelLinearClsHead without loss_from_logits',
        ),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(distiller(**options))


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'configs/kd_wsd').glob('*.py')), ids=lambda p: p.stem
)
def test_configs_fit_their_teacher(path):
    cfg = Config.fromfile(path)
    train, val = (cfg.get(f'{split}_dataloader') for split in ('train', 'val'))
    if val is not None:
        keys = ('ann_file', 'split', 'data_prefix')
        same = all(train.dataset.get(key) == val.dataset.get(key) for key in keys)
        assert not same or (train.dataset.indices > 0 and val.dataset.indices < 0)
    if cfg.model.type != 'mmmlc.Distiller':
        return
    hook = cfg.custom_hooks[-1]
    teacher = Config.fromfile(ROOT / hook.config)
    last = f'epoch_{teacher.train_cfg.max_epochs}.pth'
    assert hook.checkpoint == f'work_dirs/{Path(hook.config).stem}/{last}'
    head = cfg.model.student.head
    assert head.num_classes == teacher.model.head.num_classes
    ours, theirs = cfg.model.student.data_preprocessor, teacher.model.data_preprocessor
    assert (ours.mean, ours.std, ours.to_rgb) == (theirs.mean, theirs.std, theirs.to_rgb)
    (load,) = (t for t in train.dataset.pipeline if t.type == 'mmmlc.LoadProposals')
    assert load == teacher.train_dataloader.dataset.pipeline[1]
    for loss in cfg.model.losses.values():
        assert loss.get('num_proposals', load.topk) == load.topk
        assert loss.get('num_classes', head.num_classes) == head.num_classes
    if 'init_cfg' in cfg.model.student:
        folder, file = Path(cfg.model.student.init_cfg.checkpoint).parts[-2:]
        first = Config.fromfile(path.with_name(f'{folder}.py'))
        assert file == f'student_epoch_{first.train_cfg.max_epochs}.pth'
        assert first.model.student.head.num_classes == head.num_classes
