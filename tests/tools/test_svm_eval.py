"""SVMs on features: against scikit-learn by hand, resumed, averaged, and through the tool."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from helpers.places import TOY_CONFIG
from helpers.svm_lab import learn_two_images
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.structures import DataSample
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC
from torch import nn

from mmmlc import dependencies
from mmmlc.engine.feature_files import average_features, extract_features, open_features
from mmmlc.evaluation.svm import decide, fit_class, fit_one_vs_rest, normalise

N, D, C = 60, 8, 3


def make_data() -> tuple[np.ndarray, np.ndarray]:
    """Features of length 1 and labels that depend on them; class 2 has one positive."""
    rng = np.random.default_rng(0)
    features = normalise(rng.normal(size=(N, D)))
    positive = features @ rng.normal(size=(D, C)) + 0.3 * rng.normal(size=(N, C)) > 0.4
    positive[:, 2] = np.arange(N) == 7
    return features, positive


def cross_validated(features: np.ndarray, target: np.ndarray, cost: float, folds: int) -> float:
    """Mean average precision over the folds, by hand."""
    scores = []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=0).split(features, target):
        svm = LinearSVC(C=cost, dual='auto', max_iter=10_000, random_state=0)
        found = svm.fit(features[train], target[train]).decision_function(features[test])
        scores.append(average_precision_score(target[test], found))
    return float(np.mean(scores))


@pytest.mark.parametrize('jobs', [1, 2])
def test_svms_equal_scikit_learn(jobs):
    features, positive = make_data()
    ignored = np.zeros_like(positive)
    costs, ticks = (0.1, 1.0, 10.0), []
    svms = fit_one_vs_rest(features, positive, ignored, costs, 3, jobs, 0, lambda: ticks.append(1))
    distances = decide(features, svms)
    assert len(ticks) == C
    for c in range(C):
        target = positive[:, c]
        # Class 2 has one positive, which no two folds can share: the middle cost.
        quality = [cross_validated(features, target, x, 3) for x in costs] if c < 2 else [0, 1, 0]
        cost = costs[int(np.argmax(quality))]
        expected = LinearSVC(C=cost, dual='auto', max_iter=10_000, random_state=0)
        expected.fit(features, target)
        assert svms[c].cost == cost and svms[c].converged
        np.testing.assert_allclose(distances[:, c], expected.decision_function(features), atol=1e-6)


def test_ignored_pairs_take_no_part_in_their_class():
    features, positive = make_data()
    ignored = np.zeros_like(positive)
    ignored[:20, 0] = True
    svms = fit_one_vs_rest(features, positive, ignored, [1.0], jobs=1)
    expected = LinearSVC(C=1.0, dual='auto', random_state=0).fit(features[20:], positive[20:, 0])
    np.testing.assert_allclose(svms[0].weight, expected.coef_[0], atol=1e-6)
    whole = LinearSVC(C=1.0, dual='auto', random_state=0).fit(features, positive[:, 1])
    np.testing.assert_allclose(svms[1].weight, whole.coef_[0], atol=1e-6)
    # Changing what is ignored changes nothing.
    positive[:20, 0] ^= True
    again = fit_one_vs_rest(features, positive, ignored, [1.0], jobs=1)
    np.testing.assert_array_equal(again[0].weight, svms[0].weight)


@pytest.mark.parametrize('value', [False, True])
def test_class_of_one_kind_always_says_no(value):
    features, _ = make_data()
    svm = fit_class(features, np.full(N, value), np.ones(N, bool))
    assert svm.cost == 0
    np.testing.assert_array_equal(decide(features, [svm]), -np.ones((N, 1)))


def test_unfinished_classes_are_reported(monkeypatch):
    features, positive = make_data()
    fit = LinearSVC.fit
    monkeypatch.setattr(LinearSVC, 'fit', lambda self, *a: fit(self.set_params(max_iter=1), *a))
    assert not fit_class(features, positive[:, 0], np.ones(N, bool), [10.0]).converged


def test_wrong_options():
    features, positive = make_data()
    none = np.zeros_like(positive)
    with pytest.raises(ValueError, match=r'costs are \[0\], expected numbers above 0'):
        fit_one_vs_rest(features, positive, none, [0])
    with pytest.raises(ValueError, match='folds is 1, expected at least 2'):
        fit_one_vs_rest(features, positive, none, folds=1)
    with pytest.raises(ValueError, match='no positive label in 60 images: nothing to train'):
        fit_one_vs_rest(features, none, none)


def test_missing_scikit_learn_is_named(monkeypatch):
    real = dependencies.installed_version
    monkeypatch.setattr(
        dependencies, 'installed_version', lambda n: None if n == 'scikit-learn' else real(n)
    )
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda n: None if n == 'sklearn' else find(n))
    with pytest.raises(ImportError, match='scikit-learn missing\n.*pip install scikit-learn'):
        dependencies.require_svm()


def test_normalised_rows_have_length_one():
    rows = normalise(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]])
    assert rows.dtype == np.float32


# Features on disk


class Dataset(torch.utils.data.Dataset):
    """Ten images of one grey level each; stops like a killed process at image ``fail_at``."""

    def __init__(self, fail_at: int | None = None, size: int = 10):
        self.fail_at, self.size, self.read = fail_at, size, []

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> dict:
        if i == self.fail_at:
            raise KeyboardInterrupt
        self.read.append(i)
        sample = DataSample(metainfo=dict(img_path=f'{i}.jpg')).set_gt_label([i % C])
        sample.set_field(torch.tensor([(i + 1) % C] if i < 2 else []), 'gt_label_difficult')
        sample.set_field(torch.tensor([(i + 2) % C] if i > 7 else []), 'gt_label_ignore')
        return dict(inputs=torch.full((3, 4, 4), i, dtype=torch.uint8), data_samples=sample)


class Model(nn.Module):
    """A data preprocessor is all that is asked of it."""

    def __init__(self):
        super().__init__()
        self.data_preprocessor = ClsDataPreprocessor()


def extract(folder, dataset, scale=1.0, **made_of):
    def compute(images):
        return scale * torch.stack([images.mean((1, 2, 3)), images.amax((1, 2, 3)) + 1], 1)

    return extract_features(Model(), compute, dataset, folder, made_of, C, batch_size=2)


def test_features_and_labels_on_disk(tmp_path):
    found = extract(tmp_path / 'all', Dataset())
    numbers = np.arange(10)
    np.testing.assert_allclose(found.features, np.stack([numbers, numbers + 1], 1))
    assert isinstance(found.features, np.memmap) and found.features.dtype == np.float32
    np.testing.assert_array_equal(found.positive, np.eye(C, dtype=bool)[numbers % C])
    assert np.argwhere(found.difficult).tolist() == [[0, 1], [1, 2]]
    assert np.argwhere(found.ignored).tolist() == [[8, 1], [9, 2]]
    assert found.images == [f'{i}.jpg' for i in range(10)]
    again = Dataset()
    extract(tmp_path / 'all', again)
    assert again.read == []  # complete: nothing is computed


def test_interrupted_extraction_goes_on(tmp_path, monkeypatch):
    expected = extract(tmp_path / 'all', Dataset())
    monkeypatch.setattr('mmmlc.engine.feature_files.SECONDS_BETWEEN_SAVES', -1)
    with pytest.raises(KeyboardInterrupt):
        extract(tmp_path / 'cut', Dataset(fail_at=7))
    with pytest.raises(ValueError, match='cut: 6 of 10 images, expected complete features'):
        open_features(tmp_path / 'cut')
    rest = Dataset()
    found = extract(tmp_path / 'cut', rest)
    assert rest.read == [6, 7, 8, 9]
    for name in ('features', 'positive', 'difficult', 'ignored'):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.images == expected.images


def test_other_features_are_not_mixed(tmp_path):
    extract(tmp_path, Dataset(), checkpoint='one')
    with pytest.raises(FileExistsError, match='other features, different in checkpoint: choose'):
        extract(tmp_path, Dataset(), checkpoint='two')
    with pytest.raises(FileExistsError, match='different in checkpoint, images'):
        extract(tmp_path, Dataset(size=9))
    with pytest.raises(ValueError, match='none: no state.json'):
        open_features(tmp_path / 'none')


def test_infinite_features_are_refused(tmp_path):
    with pytest.raises(ValueError, match='features of 0.jpg are not finite'):
        extract(tmp_path, Dataset(), scale=float('nan'))
    with pytest.raises(ValueError, match='the data set is empty'):
        extract(tmp_path / 'none', Dataset(size=0))


def test_features_of_two_models_are_averaged(tmp_path):
    one, two = extract(tmp_path / 'a', Dataset()), extract(tmp_path / 'b', Dataset(), scale=3.0)
    fused = average_features([one, two], ['a', 'b'])
    np.testing.assert_allclose(fused.features, 2 * one.features)
    assert fused.images == one.images
    with pytest.raises(ValueError, match='b holds other images or labels than a'):
        average_features([one, two._replace(images=['x'] * 10)], ['a', 'b'])
    with pytest.raises(ValueError, match=r'b holds features \(10, 1\), a \(10, 2\)'):
        average_features([one, two._replace(features=two.features[:, :1])], ['a', 'b'])


# The tool


@pytest.mark.parametrize('options', [[], ['--views', 'images'], ['--views', 'features']])
def test_tool_learns_two_images(tmp_path, monkeypatch, options):
    features, again = learn_two_images(TOY_CONFIG, tmp_path, monkeypatch, options)
    assert features.shape == (2, 16)
    again()
