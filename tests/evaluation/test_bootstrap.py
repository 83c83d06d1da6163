"""The paired bootstrap: against the metric on repeated images, its coverage, and its tool."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from helpers.places import tool
from mmengine.evaluator import Evaluator

from mmmlc.evaluation import bootstrap
from mmmlc.evaluation.bootstrap import Difference, compare
from mmmlc.evaluation.multilabel import MultiLabelMetric
from mmmlc.evaluation.prediction_files import (
    Predictions,
    align_predictions,
    read_predictions,
    write_predictions,
)
from mmmlc.evaluation.resampling import MEASURES, Resampler
from mmmlc.ops.score_accumulator import ScoreAccumulator

N, C = 40, 7


def make(seed: int = 0, steps: int | None = 5, images: int = N) -> Predictions:
    """Scores of few values, so that many are equal; class 2 has one positive, class 3 none."""
    rng, truth = np.random.default_rng(seed), np.random.default_rng(99)
    positive = truth.random((images, C)) < 0.3
    positive[:, 2] = np.arange(images) == 7
    positive[:, 3] = False
    difficult = (truth.random((images, C)) < 0.1) & ~positive
    valid = difficult | (truth.random((images, C)) < 0.9)
    scores = rng.random((images, C)) * 0.7 + 0.3 * positive
    if steps:
        scores = np.round(scores * steps) / steps
    names = np.array([f'data/{i}.jpg' for i in range(images)])
    classes = np.array([f'class {c}' for c in range(C)])
    return Predictions(names, classes, scores, positive, difficult, valid, scores >= 0.6)


def measured(file: Predictions, drawn: np.ndarray) -> list[float]:
    """The metric's own values of the images as drawn, in percent."""
    rows = [torch.from_numpy(np.ascontiguousarray(array[drawn])) for array in file[2:]]
    scores, positive, difficult, valid, predicted = rows
    accumulator = ScoreAccumulator()
    accumulator.update(scores, positive, difficult, valid)
    summary = accumulator.compute(labels=predicted).summary()
    return [100 * summary[name] for name in MEASURES]


@pytest.mark.parametrize('steps', [5, None], ids=['equal scores', 'all different'])
def test_resamples_equal_the_metric_on_repeated_images(steps):
    file = make(steps=steps)
    rng = np.random.default_rng(1)
    drawn = rng.integers(N, size=(30, N))
    weights = np.stack([np.bincount(row, minlength=N) for row in drawn])
    # The only positive of class 2 is drawn in some and not in others.
    assert 0 < (weights[:, 7] == 0).sum() < 30
    found = Resampler(file)(weights)
    expected = [measured(file, row) for row in drawn]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # Drawn once each, they are the images themselves.
    once = Resampler(file)(np.ones((1, N), dtype=int))
    np.testing.assert_allclose(once[0], measured(file, np.arange(N)), rtol=1e-12)


def test_two_images_by_hand():
    # Of two images, drawn as (0, 1): class 0 ranks the negative first: AP 1/2. As (0, 0): AP 1 of
    # the positive alone. Weights 1 and 3: the positive comes after 3 negatives: AP 1/4.
    truth = np.array([[True], [False]])
    none = np.zeros_like(truth)
    file = Predictions(
        np.array(['a', 'b']), np.array(['c']), np.array([[0.2], [0.9]]), truth, none, ~none, ~none
    )
    found = Resampler(file, ['mAP'])(np.array([[1, 1], [2, 0], [1, 3]]))
    np.testing.assert_allclose(found[:, 0], [50, 100, 25])
    with pytest.raises(ValueError, match=r'\d+ of 50 resamples have no positive label: 2 images'):
        compare([file], [file], resamples=50)


def test_point_estimates_are_means_over_the_seeds():
    a, b = [make(0), make(1), make(2)], [make(3), make(4)]
    found = compare(a, b, resamples=50)
    means = [np.mean([measured(f, np.arange(N)) for f in files], axis=0) for files in (a, b)]
    np.testing.assert_allclose([[row.a, row.b] for row in found], np.transpose(means))
    assert [row.measure for row in found] == ['mAP', 'CF1', 'OF1']
    assert compare(a, b, resamples=50) == found != compare(a, b, resamples=50, seed=1)
    (alone,) = compare(a, b, ['mAP'], resamples=50)
    assert alone == found[0]


def test_blocks_change_nothing(monkeypatch):
    a, b = [make(0), make(1)], [make(2)]
    expected = compare(a, b, resamples=50)
    monkeypatch.setattr(bootstrap, '_PAIRS_AT_ONCE', 7 * N * C)
    np.testing.assert_allclose([f[1:] for f in compare(a, b, resamples=50)],
                               [f[1:] for f in expected], rtol=1e-12)  # fmt: skip


def test_one_method_against_itself_cannot_be_told():
    """The images are the same for both, so that without seeds nothing is left."""
    for row in compare([make()], [make()], resamples=50):
        assert row.low == row.high == row.difference == 0 and row.verdict == 'cannot tell'


def test_verdicts():
    good = make(0)._replace(scores=make().positive + 0.0, predicted=make().positive)
    assert {row.verdict for row in compare([good], [make()], resamples=50)} == {'better'}
    assert {row.verdict for row in compare([make()], [good], resamples=50)} == {'worse'}
    assert Difference('mAP', 3, 2, 0.1, 2).verdict == 'better'
    assert Difference('mAP', 3, 2, 0.0, 2).verdict == 'cannot tell'


def simulate(rng: np.random.Generator, seeds: int, spread: float) -> list[list[Predictions]]:
    """Two methods of the same quality on new images; each seed is a little better or worse."""
    images, classes = 150, 3
    positive = rng.random((images, classes)) < 0.25
    none = np.zeros_like(positive)
    hard = rng.normal(size=positive.shape)  # for both methods
    names = [np.arange(n).astype(str) for n in positive.shape]
    methods = []
    for _ in 'ab':
        own = hard + 0.5 * rng.normal(size=positive.shape)
        quality = 1.5 + spread * rng.normal(size=seeds)
        scores = [own + 0.3 * rng.normal(size=own.shape) + q * positive for q in quality]
        methods.append([Predictions(*names, s, positive, none, ~none, s > 1) for s in scores])
    return methods


@pytest.mark.parametrize(('seeds', 'spread'), [(1, 0.0), (4, 0.2)])
def test_intervals_hold_the_true_difference(seeds, spread):
    """The true difference is 0. Of 80 intervals of 95 % some 76 hold it, give or take 2."""
    rng = np.random.default_rng(0)
    found = [compare(*simulate(rng, seeds, spread), ['mAP'], 200, k)[0] for k in range(80)]
    covered = sum(row.low <= 0 <= row.high for row in found)
    assert 70 <= covered <= 80
    # Nor are they too wide: as wide as the differences really scatter.
    width = np.mean([row.high - row.low for row in found]) / 3.92
    assert 0.8 < width / np.std([row.difference for row in found]) < 1.3


def test_seeds_widen_the_interval_as_the_error_of_their_mean():
    """Seeds that differ by a constant: only they are uncertain, by s^2 / S of each method."""
    base = make(0, steps=None)
    better = base._replace(scores=base.scores + 0.4 * base.positive)
    values = [measured(file, np.arange(N))[0] for file in (base, better)]
    resampled = bootstrap._mean_of_drawn(
        np.array(values).reshape(2, 1, 1).repeat(4000, axis=1), np.random.SeedSequence(0)
    )
    assert resampled.std() == pytest.approx(np.std(values, ddof=1) / 2**0.5, rel=0.05)


# Files


def run_metric(folder, file: Predictions, prefix: str = 'data') -> dict:
    metric = MultiLabelMetric(threshold=0.6, out_dir=str(folder))
    metric.dataset_meta = {'classes': list(file.classes)}
    samples = [
        dict(
            pred_score=torch.from_numpy(file.scores[i]),
            gt_label=file.positive[i].nonzero()[0],
            gt_label_difficult=file.difficult[i].nonzero()[0],
            gt_label_ignore=(~file.valid[i]).nonzero()[0],
            img_path=f'{prefix}/{i}.jpg',
        )
        for i in range(len(file.images))
    ]
    evaluator = Evaluator(metric)
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def test_metric_writes_what_it_measured(tmp_path):
    file = make()
    metrics = run_metric(tmp_path, file, prefix='/somewhere/data')
    read = read_predictions(tmp_path)
    # The folder of all images does not matter.
    assert read.images.tolist() == [f'{i}.jpg' for i in range(N)]
    for name in Predictions._fields[1:]:
        np.testing.assert_array_equal(getattr(read, name), getattr(file, name))
    found = Resampler(read)(np.ones((1, N), dtype=int))[0]
    np.testing.assert_allclose(found, [metrics[name] for name in MEASURES], rtol=1e-12)


def test_other_order_of_images(tmp_path):
    file = make()
    order = np.random.default_rng(0).permutation(N)
    other = Predictions(file.images[order], file.classes, *(a[order] for a in file[2:]))
    for ours, theirs in zip(file, align_predictions([file, other], 'ab')[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def changed(field: str, place: tuple, value: object) -> Predictions:
    array = getattr(make(), field).copy()
    array[place] = value
    return make()._replace(**{field: array})


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        (changed('images', (3,), 'x.jpg'), "b has other images than a, 40 and 40: 'data/3.jpg' is"),
        (make(images=39), "b has other images than a, 39 and 40: 'data/39.jpg' is not in b"),
        (changed('classes', (1,), 'dog'), "b has other classes than a, 7 and 7: 'class 1' is not"),
        (changed('positive', (7, 2), False),
         "b has other labels than a: 'positive' of 'data/7.jpg' and 'class 2' is False and True"),
        (make()._replace(classes=make().classes[::-1]), 'b has other classes .* their order'),
    ],
)  # fmt: skip
def test_other_images_classes_or_labels(other, message):
    with pytest.raises(ValueError, match=message):
        align_predictions([make(), other], 'ab')


def test_wrong_files(tmp_path):
    path = tmp_path / 'p.npz'
    with pytest.raises(FileNotFoundError, match='p.npz: no such file, expected one of tools/test'):
        read_predictions(path)
    path.write_text('{}')
    with pytest.raises(ValueError, match='p.npz is no file of predictions, as tools/test.py --out'):
        read_predictions(path)
    np.savez(path, scores=np.zeros(3))
    with pytest.raises(ValueError, match='p.npz is no file of predictions'):
        read_predictions(path)
    write_predictions(path, changed('scores', (4, 1), np.nan))
    with pytest.raises(ValueError, match='p.npz: the score of 4.jpg for class 1 is NaN'):
        read_predictions(path)
    write_predictions(path, make()._replace(valid=np.ones((2, C), bool)))
    with pytest.raises(ValueError, match=r'valid is bool \(2, 7\), expected bool \(40, 7\)'):
        read_predictions(path)


def test_wrong_comparisons():
    one = make(images=1)._replace(positive=np.ones((1, C), bool))
    with pytest.raises(ValueError, match='1 image: expected at least two to draw from'):
        compare([one], [one])
    with pytest.raises(ValueError, match="measure 'map', expected some of mAP, CF1, OF1"):
        compare([make()], [make()], ['map'])
    with pytest.raises(ValueError, match='resamples is 1, expected at least 2'):
        compare([make()], [make()], resamples=1)
    with pytest.raises(ValueError, match='1 and 0 files'):
        compare([make()], [])
    with pytest.raises(ValueError, match='no positive label in 40 images: nothing to compare'):
        compare([make()], [make()._replace(positive=np.zeros((N, C), bool))])


# The tool


def write_seeds(folder, name: str, seeds: range) -> str:
    for seed in seeds:
        (folder / name / f'seed{seed}').mkdir(parents=True)
        write_predictions(folder / name / f'seed{seed}/predictions.npz', make(seed, steps=None))
    return f'{folder}/{name}/*'


def test_tool(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, b = write_seeds(tmp_path, 'mcar', range(3)), write_seeds(tmp_path, 'plain', range(3, 4))
    words = ['--a', a, '--b', f'{b}/predictions.npz', '--resamples', '50', '--out', 'table.md']
    found = tool('compare').main(words)
    expected = [read_predictions(tmp_path / f'mcar/seed{i}') for i in range(3)]
    assert found == compare(expected, [make(3, steps=None)], resamples=50)
    head, _, row, *_ = (tmp_path / 'table.md').read_text().splitlines()
    assert head == '| measure | mcar | plain/seed3 | difference | 95 % interval | mcar is |'
    assert row.startswith(f'| mAP | {found[0].a:.2f} | {found[0].b:.2f} |')
    assert row.endswith(f'| {found[0].verdict} |')
    output = capsys.readouterr().out
    assert '50 resamples of 40 images' in output and 'One seed of plain/seed3: how much' in output
    assert 'Of so few seeds' in output  # the three of mcar
    assert len(tool('compare').main([*words, '--measure', 'OF1'])) == 1


def test_tool_says_what_is_wrong(tmp_path):
    a = write_seeds(tmp_path, 'a', range(2))
    with pytest.raises(SystemExit, match=r'compare: --b none\*: no such file'):
        tool('compare').main(['--a', a, '--b', 'none*'])
    path = tmp_path / 'b.npz'
    write_predictions(path, make(images=30))
    with pytest.raises(SystemExit, match=r'compare: .*b.npz has other images than .*a/seed0, 30'):
        tool('compare').main(['--a', a, '--b', str(path)])


def test_examples_of_the_docstrings():
    assert doctest.testmod(bootstrap) == (0, 1)
