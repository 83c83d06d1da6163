"""Thresholds per class: tuned by the metric, stored by the tool, followed by the models."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.examples import classifiers
from helpers.places import TOY_CONFIG as CONFIG
from helpers.places import tool
from helpers.small_data import write_for
from mmengine.evaluator import Evaluator
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from sklearn.metrics import f1_score, precision_recall_curve

from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.launch import build_runner, load_config, load_weights
from mmmlc.evaluation.multilabel import MultiLabelMetric
from mmmlc.ops.scores import best_class_thresholds

N, C = 60, 5
CLASSIFIERS = {name: found.config for name, found in classifiers().items() if found.views}


def make(ties: bool = False):
    scores = torch.rand(N, C)
    targets = torch.rand(N, C) < 0.2 + 0.6 * scores
    targets[:, 3] = False
    return (10 * scores).round() / 10 if ties else scores, targets


def best_by_scikit_learn(scores, targets):
    precision, recall, thresholds = precision_recall_curve(targets, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = f1[:-1].max()
    return thresholds[np.isclose(f1[:-1], best, atol=1e-12)].max(), best


@pytest.mark.parametrize('ties', [False, True])
def test_best_thresholds_are_scikit_learns(ties):
    scores, targets = make(ties)
    thresholds, f1 = best_class_thresholds(scores, targets)
    for c in set(range(C)) - {3}:
        expected = best_by_scikit_learn(scores[:, c].numpy(), targets[:, c].numpy())
        np.testing.assert_allclose((thresholds[c], f1[c]), expected, rtol=1e-9)
        labels = scores[:, c] >= thresholds[c]
        assert f1[c].item() == pytest.approx(f1_score(targets[:, c], labels))
    assert thresholds[3].isnan() and f1[3].isnan()


def test_pairs_that_are_not_valid_count_nowhere():
    scores, targets = make()
    valid = torch.rand(N, C) < 0.6
    thresholds, f1 = best_class_thresholds(scores, targets, valid)
    for c in (0, 1, 2, 4):
        kept = valid[:, c]
        expected = best_class_thresholds(scores[kept, c : c + 1], targets[kept, c : c + 1])
        torch.testing.assert_close((thresholds[c], f1[c]), tuple(x[0] for x in expected))


def test_no_image():
    thresholds, f1 = best_class_thresholds(torch.rand(0, 3), torch.zeros(0, 3))
    assert thresholds.isnan().all() and f1.isnan().all() and len(f1) == 3


def samples_of(scores, targets, labels=None) -> list[dict]:
    samples = [
        dict(pred_score=s, gt_label=t.nonzero()[:, 0]) for s, t in zip(scores, targets, strict=True)
    ]
    if labels is not None:
        for sample, row in zip(samples, labels, strict=True):
            sample['pred_label'] = row.nonzero()[:, 0]
    return samples


def evaluate(metric: MultiLabelMetric, samples: list[dict]) -> dict:
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dict(classes=[f'class {c}' for c in range(C)])
    evaluator.process(samples)
    return evaluator.evaluate(N)


def test_metric_tunes_per_class(tmp_path):
    scores, targets = make()
    metric = MultiLabelMetric(0.7, tune_threshold='class', split='val', out_dir=str(tmp_path))
    result = evaluate(metric, samples_of(scores, targets))
    thresholds, f1 = best_class_thresholds(scores, targets)
    thresholds[3] = 0.7  # no positive to tune on
    torch.testing.assert_close(metric.class_thresholds, thresholds)
    labels = (scores >= thresholds).numpy()
    expected = f1_score(targets.flatten(), labels.flatten())
    assert result['tuned_OF1'] == pytest.approx(100 * expected)
    assert result['tuned_macro_F1'] == pytest.approx(100 * f1.nanmean().item())
    assert result['tuned_macro_F1'] > result['macro_F1']
    assert 'tuned_threshold' not in result
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['tuned_on'] == 'val'
    assert summary['class_thresholds']['class 1'] == thresholds[1].item()


def test_metric_counts_the_labels_of_the_model():
    scores, targets = make()
    thresholds = torch.tensor([0.2, 0.5, 0.7, 0.9, 0.4])
    samples = samples_of(scores, targets, scores >= thresholds)
    result = evaluate(MultiLabelMetric('pred_label'), samples)
    labels = (scores >= thresholds).numpy()
    assert result['OF1'] == pytest.approx(100 * f1_score(targets.flatten(), labels.flatten()))
    top3 = np.zeros_like(labels)
    np.put_along_axis(top3, np.argsort(-scores.numpy(), 1)[:, :3], True, 1)
    expected = f1_score(targets.flatten(), (top3 & labels).flatten())
    assert result['top3_thr_OF1'] == pytest.approx(100 * expected)
    same = evaluate(MultiLabelMetric(0.5), samples_of(scores, targets))
    assert result['mAP'] == same['mAP'] and result['top3_OF1'] == same['top3_OF1']


def test_wrong_options():
    with pytest.raises(ValueError, match=r"in \[0, 1\] or 'pred_label', got 'pred'"):
        MultiLabelMetric('pred')
    with pytest.raises(ValueError, match="a bool or 'class', got 'classes'"):
        MultiLabelMetric(tune_threshold='classes')
    with pytest.raises(ValueError, match="a sample has no 'pred_label'"):
        evaluate(MultiLabelMetric('pred_label'), samples_of(*make()))


def build(name: str, **options) -> torch.nn.Module:
    """A small classifier, with options for its head."""
    config = CLASSIFIERS[name]
    return MODELS.build(config | dict(head=config['head'] | options)).eval()


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_models_follow_stored_thresholds(name):
    model, images = build(name), torch.randn(4, 3, 64, 64)
    state = model.state_dict()
    assert 'head.thresholds' not in state  # other checkpoints keep their keys
    with torch.no_grad():
        before = model.predict(images)
        thresholds = torch.stack([s.pred_score for s in before]).median(0).values
        tuned = build(name, threshold=1.0)
        tuned.load_state_dict(state | {'head.thresholds': thresholds})
        after = tuned.predict(images)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(old.pred_score, new.pred_score)
        assert new.pred_label.tolist() == (old.pred_score >= thresholds).nonzero()[:, 0].tolist()
    torch.testing.assert_close(tuned.state_dict()['head.thresholds'], thresholds)
    tuned.load_state_dict(state)  # strict, and the thresholds of before are gone
    assert tuned.head.label_threshold == 1.0
    with pytest.raises(RuntimeError, match='size mismatch for head.thresholds'):
        tuned.load_state_dict(state | {'head.thresholds': torch.ones(len(thresholds) + 1)})


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> tuple[Path, list[str]]:
    """An untrained toy model and its data: 6 images in validation."""
    folder = tmp_path_factory.mktemp('toy')
    cfg = load_config(CONFIG, work_dir=folder / 'work')
    write_for(cfg, folder / 'data')
    runner = build_runner(cfg)
    meta = dict(dataset_meta=dict(classes=[f'class {i}' for i in range(20)]), epoch=3)
    torch.save(dict(state_dict=runner.model.state_dict(), meta=meta), folder / 'old.pth')
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    options = [f'{x}.dataset.data_root={folder / "data"}' for x in loaders]
    options += [f'{x}.{y}' for x in loaders for y in ('num_workers=0', 'persistent_workers=False')]
    return folder, options


def run_tool(monkeypatch, folder: Path, options: list[str], *words: str) -> None:
    argv = [CONFIG, folder / 'old.pth', folder / 'new' / 'tuned.pth', '--work-dir', folder / 'work']
    argv = ['tune_thresholds.py', *map(str, argv), *words, '--cfg-options', *options]
    monkeypatch.setattr(sys, 'argv', argv)
    tool('tune_thresholds').main()


@pytest.mark.slow
@pytest.mark.parametrize('split', ['val', 'train'])
def test_tool_stores_thresholds(checkpoint, split, monkeypatch, capsys):
    folder, options = checkpoint
    run_tool(monkeypatch, folder, options, '--split', split)
    printed = capsys.readouterr()
    assert '20 thresholds' in printed.out and f'tuned on {split} (2 images)' in printed.out
    # The toy config tests on its validation images.
    assert ('has the images of test_dataloader' in printed.err) == (split == 'val')
    stored = load_checkpoint_file(folder / 'new' / 'tuned.pth')
    assert stored['meta']['thresholds']['split'] == split
    assert stored['meta']['thresholds']['images'] == 2
    assert f'instances_{split}.json' in stored['meta']['thresholds']['source']
    assert stored['meta']['epoch'] == 3 and len(stored['meta']['dataset_meta']['classes']) == 20

    cfg = load_config(CONFIG, work_dir=folder / 'work')
    cfg.merge_from_dict(dict(pair.split('=') for pair in options[:3]))
    cfg.test_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold='pred_label')
    for key in ('val_dataloader', 'test_dataloader'):
        cfg[key].update(num_workers=0, persistent_workers=False)
    if split == 'train':
        cfg.test_dataloader.dataset.update(
            ann_file=cfg.train_dataloader.dataset.ann_file,
            data_prefix=cfg.train_dataloader.dataset.data_prefix,
        )
    runner = build_runner(cfg)
    load_weights(runner, folder / 'new' / 'tuned.pth')
    thresholds = stored['state_dict']['head.thresholds']
    torch.testing.assert_close(runner.model.head.label_threshold, thresholds)
    result = runner.test()
    # What was promised is what the model's own labels give.
    assert result['macro_F1'] == pytest.approx(stored['meta']['thresholds']['macro_F1'])
    # Images 0 and 1 have the classes 0, 1 and 1, 2; others have no positive and keep the head's.
    assert (thresholds[3:] == 0.5).all() and (thresholds[:3] != 0.5).all()


def test_head_without_thresholds_is_refused(checkpoint, monkeypatch):
    folder, options = checkpoint
    monkeypatch.setattr(tool('tune_thresholds'), 'hasattr', lambda *_: False, raising=False)
    with pytest.raises(ValueError, match='model.head is MultiLabelConvHead, expected one that'):
        run_tool(monkeypatch, folder, options, '--split', 'val')


def test_wrapped_data_set_is_refused():
    cfg = load_config(CONFIG)
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='mmengine.RepeatDataset', times=2, dataset=inner)
    with pytest.raises(ValueError, match='train_dataloader.dataset is a mmengine.RepeatDataset'):
        tool('tune_thresholds').dataset_of(cfg, 'train')


def test_sample_without_labels_still_predicts():
    model = build('plain')
    model.head.thresholds = torch.zeros(model.head.num_classes)
    with torch.no_grad():
        (sample,) = model.predict(torch.randn(1, 3, 64, 64), [DataSample()])
    assert sample.pred_label.tolist() == list(range(model.head.num_classes))
