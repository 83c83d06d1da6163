"""The registered metric: on data samples, against mmpretrain, in two processes, and its report."""

import csv
import json
import logging
import math

import numpy as np
import pytest
import torch
import torch.distributed as dist
from helpers import references
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.registry import METRICS
from mmengine.structures import BaseDataElement

from mmmlc.evaluation.multilabel import MultiLabelMetric
from mmmlc.evaluation.prediction_files import read_predictions
from mmmlc.evaluation.report import ClassResult, render_table, write_report

N, C = 41, 6
CLASSES = ('cat', 'dog', '[b]tag', 'cup, red', 'bus', 'tie')


def make(seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.rand(N, C, generator=generator) < 0.3
    targets[:2] = True
    difficult = (torch.rand(N, C, generator=generator) < 0.15) & ~targets
    scores = torch.sigmoid(torch.randn(N, C, generator=generator) + 1.5 * targets - 0.7)
    return scores.to(dtype), targets, difficult


def indices(row):
    return row.nonzero().flatten().tolist()


def make_samples(scores, targets, difficult=None, sample=BaseDataElement, **fields):
    samples = []
    for i in range(len(scores)):
        sample_i = sample(metainfo={'img_path': f'{i}.jpg'})
        sample_i.pred_score = scores[i]
        sample_i.gt_label = torch.tensor(indices(targets[i]), dtype=torch.long)
        if difficult is not None:
            sample_i.set_field(indices(difficult[i]), 'gt_label_difficult', field_type='metainfo')
        for name, values in fields.items():
            sample_i.set_field(values[i], name)
        samples.append(sample_i)
    return samples


def evaluate(metric, samples, batch=8):
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = {'classes': CLASSES}
    for start in range(0, len(samples), batch):
        evaluator.process(samples[start : start + batch])
    return evaluator.evaluate(len(samples))


@pytest.fixture
def log():
    """Records of mmengine's current logger."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def text_of(records, level=logging.INFO):
    return '\n'.join(r.getMessage() for r in records if r.levelno == level)


def test_hand_derived_percentages_and_plain_keys(log):
    # class 0, best first: 1 0 1 -> AP (1 + 2/3) / 2 = 5/6; class 1: 0 1 0 -> AP 1/2; mAP 2/3.
    # At 0.6, class 0: tp 1, predicted 2, positives 2; class 1: tp 0, predicted 1, positives 1.
    # CP = (1/2 + 0) / 2, CR = 1/4, CF1 = 1/4; OP = OR = OF1 = 1/3; macro F1 = (1/2 + 0) / 2.
    # Top 1: image 0 -> 0, image 1 -> 0, image 2 -> 1: tp 1 of 2 predicted; 0 of 1. With the
    # threshold image 2 (0.6, exactly the threshold) keeps its label.
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.3], [0.5, 0.6]])
    samples = [
        {'pred_score': scores[0], 'gt_label': [0]},
        {'pred_score': scores[1], 'gt_score': torch.tensor([0, 1])},
        {'pred_score': scores[2], 'gt_label': torch.tensor([0])},
    ]
    metric = METRICS.build({'type': 'mmmlc.MultiLabelMetric', 'threshold': 0.6, 'topk': 1})
    evaluator = Evaluator(metric)
    evaluator.process(samples)
    result = evaluator.evaluate(3)
    names = ('CP', 'CR', 'CF1', 'OP', 'OR', 'OF1', 'macro_F1')
    values = dict(zip(names, (25, 25, 25, 100 / 3, 100 / 3, 100 / 3, 25), strict=True))
    expected = {'mAP': 200 / 3, 'mAP_11point': result['mAP_11point']}
    for prefix in ('', 'top1_', 'top1_thr_'):
        expected |= {prefix + name: value for name, value in values.items()}
    assert result == pytest.approx(expected)
    # VOC07: class 0: t <= 0.5 -> 1 (6 of 11), else 2/3 (5); class 1: 1/2.
    assert result['mAP_11point'] == pytest.approx(100 * ((6 + 10 / 3) / 11 + 1 / 2) / 2)
    assert next(iter(result)) == 'mAP'
    assert not text_of(log, logging.WARNING)


def test_mmpretrain_agrees_where_it_is_well_defined():
    from mmpretrain.evaluation import (
        AveragePrecision,
        VOCAveragePrecision,
        VOCMultiLabelMetric,
    )
    from mmpretrain.evaluation import MultiLabelMetric as Theirs
    from mmpretrain.structures import DataSample

    scores, targets, difficult = make()
    assert len(scores.unique()) == scores.numel()  # their AP depends on the order of tied scores
    plain = make_samples(scores, targets, sample=DataSample)
    ours = evaluate(MultiLabelMetric(threshold=0.4, topk=2), plain)
    theirs = evaluate([AveragePrecision()], plain)
    assert ours['mAP'] == pytest.approx(theirs['multi-label/mAP'], abs=1e-4)
    # Their macro F1 is the mean of the classes' F1, not CF1; they have no top k with a threshold.
    keys = {'macro': ('CP', 'CR', 'macro_F1'), 'micro': ('OP', 'OR', 'OF1')}
    for prefix, how in (('', {'thr': 0.4}), ('top2_', {'topk': 2})):
        for average, names in keys.items():
            values = evaluate(Theirs(**how, average=average), plain).values()
            expected = dict(zip(names, values, strict=True))
            assert {n: ours[prefix + n] for n in names} == pytest.approx(expected, abs=1e-4)

    with_difficult = make_samples(scores, targets, difficult, sample=DataSample)
    ours = evaluate(MultiLabelMetric(threshold=0.4), with_difficult)
    theirs = evaluate(VOCAveragePrecision(), with_difficult)
    assert ours['mAP'] == pytest.approx(theirs['multi-label/mAP'], abs=1e-4)
    # By default they leave difficult pairs out of precision and recall; negatives are an option.
    negatives = VOCMultiLabelMetric(thr=0.4, difficult_as_positive=False)
    assert [ours[n] for n in keys['macro']] == pytest.approx(
        list(evaluate(negatives, with_difficult).values()), abs=1e-4
    )


def test_difficult_and_ignored_pairs():
    scores, targets, _ = make()
    generator = torch.Generator().manual_seed(8)
    # Both overlap the positives and each other.
    difficult = torch.rand(N, C, generator=generator) < 0.2
    ignore = torch.rand(N, C, generator=generator) < 0.2
    samples = make_samples(scores, targets, difficult)
    for sample, row in zip(samples, ignore, strict=True):
        sample.gt_label_ignore = indices(row)
    result = evaluate(MultiLabelMetric(threshold=0.4, tune_threshold=True), samples)
    values, truth = scores.numpy(), targets.numpy()
    ap = references.per_class(
        references.average_precision, values, truth, (~difficult & ~ignore).numpy()
    )
    voc = references.per_class(
        references.voc07_average_precision, values, truth, (~difficult & ~ignore).numpy()
    )
    assert result['mAP'] == pytest.approx(100 * ap.mean())
    assert result['mAP_11point'] == pytest.approx(100 * voc.mean())
    counted, truth = (~ignore | difficult).numpy(), (targets & ~difficult).numpy()
    tp = ((values >= 0.4) & truth & counted).sum()
    assert result['OP'] == pytest.approx(100 * tp / ((values >= 0.4) & counted).sum())
    assert result['OR'] == pytest.approx(100 * tp / (truth & counted).sum())
    threshold, f1 = references.best_threshold(values, truth, counted)
    assert result['tuned_threshold'] == threshold
    assert result['tuned_OF1'] == pytest.approx(100 * f1)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_scores_of_any_precision(dtype):
    scores, targets, _ = make(dtype=dtype)
    result = evaluate(MultiLabelMetric(), make_samples(scores, targets))
    values = scores.double().numpy()
    ap = references.per_class(references.average_precision, values, targets.numpy())
    assert result['mAP'] == pytest.approx(100 * ap.mean(), abs=1e-9)


def test_further_score_fields():
    scores, targets, difficult = make()
    other = make(seed=5)[0]
    samples = make_samples(scores, targets, difficult, global_score=other, local_score=1 - scores)
    metric = MultiLabelMetric(also=('global_score', 'local_score'))
    result = evaluate(metric, samples)
    alone = evaluate(MultiLabelMetric(), make_samples(other, targets, difficult))
    assert result['global_score_mAP'] == pytest.approx(alone['mAP'], abs=1e-9)
    assert result['local_score_mAP'] < 50 < result['mAP']
    del samples[3].local_score
    with pytest.raises(ValueError, match=r"img_path 3\.jpg has no 'local_score'"):
        evaluate(metric, samples)


def test_report(tmp_path, log):
    scores, targets, _ = make()
    targets[:, 1] = False
    metric = MultiLabelMetric(0.4, tune_threshold=True, split='val', out_dir=str(tmp_path / 'new'))
    result = evaluate(metric, make_samples(scores, targets))
    assert 'without positives: dog' in text_of(log, logging.WARNING)
    text = text_of(log)
    assert 'tuned on val' in text
    assert all(name in text for name in CLASSES)

    folder = tmp_path / 'new'
    summary = json.loads((folder / 'summary.json').read_text())
    assert summary.pop('tuned_on') == 'val'
    assert (summary.pop('threshold'), summary.pop('images')) == (0.4, N)
    assert summary == result
    rows = json.loads((folder / 'per_class.json').read_text())
    assert [row['name'] for row in rows] == list(CLASSES)
    assert rows[1] == {
        **dict.fromkeys(('AP', 'precision', 'recall', 'F1')),
        'name': 'dog',
        'positives': 0,
    }
    kept = [row for row in rows if row['AP'] is not None]
    for key, name in (('AP', 'mAP'), ('precision', 'CP'), ('recall', 'CR'), ('F1', 'macro_F1')):
        assert np.mean([row[key] for row in kept]) == pytest.approx(result[name])
    assert sum(row['positives'] for row in rows) == targets.sum()
    with open(folder / 'per_class.csv', newline='') as file:
        table = list(csv.DictReader(file))
    assert [row['name'] for row in table] == list(CLASSES)
    assert float(table[0]['AP']) == rows[0]['AP']
    assert table[1]['AP'] == ''
    assert (folder / 'per_class.png').read_bytes().startswith(b'\x89PNG')


def test_split_is_that_of_the_data_set(log):
    scores, targets, _ = make()
    evaluator = Evaluator(MultiLabelMetric(tune_threshold=True))
    evaluator.dataset_meta = {'classes': CLASSES, 'split': 'trainval'}
    evaluator.process(make_samples(scores, targets))
    evaluator.evaluate(N)
    assert 'tuned on trainval' in text_of(log)


def test_many_classes_are_shown_in_part(tmp_path, monkeypatch):
    """Table and plot of 1,000 classes: the 100 best and 50 worst; the files have them all."""
    rng = np.random.default_rng(0)
    order = rng.permutation(1000)
    values = [None if ap < 10 else ap / 10 for ap in order.tolist()]
    rows = [ClassResult(f'class {i}', ap, *[1.0] * 3, 1) for i, ap in enumerate(values)]
    shown = [i for i, ap in enumerate(order) if 10 <= ap < 60 or ap >= 900]
    lines = render_table(rows).splitlines()
    names = [line.split('│')[1].strip() for line in lines if line.startswith('│ class ')]
    assert names == [f'class {i}' for i in shown]
    assert lines[-1] == 'the 100 best and the 50 worst of 1,000 classes'
    titles, ticks = [], []
    axes = 'matplotlib.axes.Axes'
    monkeypatch.setattr(f'{axes}.set_title', lambda self, text, **_: titles.append(text))
    monkeypatch.setattr(f'{axes}.set_yticks', lambda self, at, names, **_: ticks.extend(names))
    write_report(tmp_path, rows, {})
    mean = np.mean([ap for ap in values if ap is not None])
    assert titles == [
        f'mAP {mean:.2f} over 990 classes (number of positives), the 100 best and the 50 worst, '
        '10 without positives left out'
    ]
    assert sorted(ticks) == sorted(f'class {i} (1)' for i in shown)
    assert len((tmp_path / 'per_class.csv').read_text().splitlines()) == 1001
    assert render_table(rows[:300]).count('│ class ') == 300


def test_table_shows_missing_values_and_markup():
    rows = [ClassResult('[b]tag', 12.375, 1.0, 2.0, 3.0, 4), ClassResult('x', *[None] * 4, 0)]
    text = render_table(rows)
    assert text.splitlines()[3].replace(' ', '') == '│[b]tag│12.38│1.00│2.00│3.00│4│'
    assert text.splitlines()[4].replace(' ', '') == '│x│-│-│-│-│0│'


def broken(**fields):
    sample = {'pred_score': torch.rand(C), 'gt_label': [1], 'img_path': 'a.jpg', **fields}
    return {key: value for key, value in sample.items() if value is not None}


@pytest.mark.parametrize(
    'sample, match',
    [
        (broken(pred_score=None), "img_path a.jpg has no 'pred_score'"),
        (broken(gt_label=None), "img_path a.jpg has neither 'gt_label' nor 'gt_score'"),
        (broken(gt_label=[1, C]), "'gt_label' of the sample with img_path a.jpg holds 6, expected"),
        (broken(gt_label_difficult=[-1]), "'gt_label_difficult' of .*a.jpg holds -1"),
        (broken(gt_label_ignore=[9]), "'gt_label_ignore' of .*a.jpg holds 9"),
        (broken(gt_score=torch.tensor([0.5] * C)), "'gt_score' of .*a.jpg must be 6 values 0 or 1"),
        (broken(gt_score=torch.ones(2)), "'gt_score' of .*a.jpg must be 6 values"),
        (broken(pred_score=torch.full((C,), torch.nan)), "'pred_score' of .*a.jpg holds NaN"),
        (broken(pred_score=torch.rand(2, C)), r'must all be \(classes,\), got shapes \[\(2, 6\)\]'),
    ],
)
def test_wrong_sample_is_named(sample, match):
    with pytest.raises(ValueError, match=match):
        MultiLabelMetric().process(None, [sample])


def test_wrong_settings_and_data_sets():
    with pytest.raises(ValueError, match="or 'pred_label', got 60"):
        MultiLabelMetric(threshold=60)
    with pytest.raises(ValueError, match='topk must be at least 1, got 0'):
        MultiLabelMetric(topk=0)
    with pytest.raises(TypeError, match="got the string 'local_score'"):
        MultiLabelMetric(also='local_score')
    with pytest.raises(ValueError, match='no samples'):
        MultiLabelMetric().evaluate(0)
    with pytest.raises(ValueError, match='no positive label in 1 images'):
        evaluate(MultiLabelMetric(), [broken(gt_label=[])])
    with pytest.raises(ValueError, match='2 scores per sample, but 6 classes'):
        evaluate(MultiLabelMetric(), [broken(pred_score=torch.rand(2))])


def in_process(rank, folder, shares):
    """Evaluate a share of the samples, as one of two processes."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    scores, targets, difficult = make()
    samples = make_samples(scores, targets, difficult, global_score=1 - scores)
    for name, share in shares.items():
        metric = MultiLabelMetric(
            tune_threshold=True,
            also=('global_score',),
            out_dir=f'{folder}/{name}_{rank}',
            collect_dir=f'{folder}/{name}_parts',
        )
        evaluator = Evaluator(metric)
        for i in share[rank]:
            evaluator.process([samples[i]])
        result = evaluator.evaluate(N)
        with open(f'{folder}/{name}_{rank}.json', 'w') as file:
            json.dump(result, file)
    dist.destroy_process_group()


def test_two_processes_are_one(tmp_path):
    scores, targets, difficult = make()
    samples = make_samples(scores, targets, difficult, global_score=1 - scores)
    expected = evaluate(MultiLabelMetric(tune_threshold=True, also=('global_score',)), samples)
    # N is odd: mmengine's sampler gives both ranks (N + 1) / 2, the first sample twice.
    shares = {
        'padded': (list(range(0, N, 2)), [*range(1, N, 2), 0]),
        'uneven': (list(range(0, N, 2)), list(range(1, N, 2))),
        'lopsided': (list(range(5)), list(range(5, N))),
    }
    torch.multiprocessing.spawn(in_process, (str(tmp_path), shares), nprocs=2)
    for name in shares:
        for rank in range(2):
            # JSON keeps floats exactly: equal to the last bit.
            assert json.loads((tmp_path / f'{name}_{rank}.json').read_text()) == expected
        assert (tmp_path / f'{name}_0' / 'summary.json').is_file()
        # Whatever the order of the processes, scores are beside the name of their image.
        written = read_predictions(tmp_path / f'{name}_0')
        images = [int(image.removesuffix('.jpg')) for image in written.images]
        assert sorted(images) == list(range(N))
        np.testing.assert_array_equal(written.scores, scores[images])
        assert not (tmp_path / f'{name}_1').exists()
    assert all(math.isfinite(value) for value in expected.values())
