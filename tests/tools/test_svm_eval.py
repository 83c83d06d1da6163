"""SVMs on features: against scikit-learn by hand, resumed, averaged, and through the tool."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from helpers.places import TOY_CONFIG, tool
from helpers.svm_lab import learn_two_images, small_config
from mmengine.config import Config
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.structures import DataSample
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from mmmlc import dependencies
from mmmlc.engine.feature_files import average_features, extract_features, open_features
from mmmlc.evaluation.linear_classifiers import decide, fit_class, fit_one_vs_rest, normalise
from mmmlc.evaluation.prediction_files import align_predictions, read_predictions

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
    with pytest.raises(ValueError, match=r"kind is 'tree', expected one of \['svm', 'logis"):
        fit_one_vs_rest(features, positive, none, kind='tree')


def test_missing_scikit_learn_is_named(monkeypatch):
    real = dependencies.installed_version
    monkeypatch.setattr(
        dependencies, 'installed_version', lambda n: None if n == 'scikit-learn' else real(n)
    )
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda n: None if n == 'sklearn' else find(n))
    with pytest.raises(ImportError, match='scikit-learn missing\n.*pip install scikit-learn'):
        dependencies.require_svm()


def spread_out(features: np.ndarray) -> np.ndarray:
    """Channels of very different means and deviations, one of them constant."""
    channels = np.arange(features.shape[1])
    return np.where(channels == 3, 5.0, features * 10.0**channels + channels).astype(np.float32)


@pytest.mark.parametrize('standardise', [True, False])
def test_logistic_regression_equals_scikit_learn(standardise):
    features, positive = make_data()
    features = spread_out(features) if standardise else features
    ignored = np.zeros_like(positive)
    ignored[:15, 0] = True
    costs = (0.01, 1.0, 10.0)
    found = fit_one_vs_rest(
        features, positive, ignored, costs, jobs=1, kind='logistic', standardise=standardise
    )
    distances = decide(features, found)
    for c in range(C):
        x, y = features[~ignored[:, c]].astype(float), positive[~ignored[:, c], c]
        quality, models = [], []
        for cost in costs:
            steps = [StandardScaler()] * standardise + [LogisticRegression(C=cost, max_iter=1000)]
            models.append(make_pipeline(*steps))
            folds = StratifiedKFold(3, shuffle=True, random_state=0).split(x, y) if c < 2 else ()
            quality.append([
                average_precision_score(
                    y[test], models[-1].fit(x[train], y[train]).decision_function(x[test])
                )
                for train, test in folds
            ])  # fmt: skip
        # Class 2 has one positive, which no two folds can share: the middle cost.
        best = int(np.argmax(np.mean(quality, axis=1))) if c < 2 else 1
        assert found[c].cost == costs[best] and found[c].converged
        expected = models[best].fit(x, y).decision_function(features.astype(float))
        np.testing.assert_allclose(distances[:, c], expected, atol=2e-3)


@pytest.mark.parametrize('standardise', [True, False])
def test_ridge_regression_equals_scikit_learn(standardise):
    features, positive = make_data()
    features = spread_out(features) if standardise else features
    ignored = np.zeros_like(positive)
    ignored[:15, 0] = True
    alphas, ticks = (0.1, 1.0, 10.0, 100.0), []
    found = fit_one_vs_rest(
        features, positive, ignored, alphas, advance=lambda: ticks.append(1),
        kind='ridge', standardise=standardise,
    )  # fmt: skip
    assert len(ticks) == C
    for c in range(C):
        x, y = features[~ignored[:, c]].astype(float), 2.0 * positive[~ignored[:, c], c] - 1
        steps = [StandardScaler()] * standardise
        errors = [left_out_error(x, y, make_pipeline(*steps, Ridge(alpha=a))) for a in alphas]
        if not standardise:  # the mean and deviation of one image less are not quite the same
            assert found[c].cost == alphas[int(np.argmin(errors))]
        assert errors[alphas.index(found[c].cost)] < 1.01 * min(errors)
        model = make_pipeline(*steps, Ridge(alpha=found[c].cost)).fit(x, y)
        expected = model.predict(features.astype(float))
        np.testing.assert_allclose(decide(features, found)[:, c], expected, rtol=1e-6, atol=1e-8)


def left_out_error(x: np.ndarray, y: np.ndarray, model) -> float:
    """Mean squared error of each image by the model of all others."""
    rows = np.arange(len(x))
    guesses = [model.fit(x[rows != i], y[rows != i]).predict(x[[i]])[0] for i in rows]
    return float(np.mean((guesses - y) ** 2))


@pytest.mark.parametrize('kind', ['logistic', 'ridge'])
def test_other_classes_of_one_kind_say_no_too(kind):
    features, positive = make_data()
    positive[:, 0], positive[:, 1] = False, True
    found = fit_one_vs_rest(
        features, positive, np.zeros_like(positive), jobs=1, kind=kind, standardise=True
    )
    assert [one.cost == 0 for one in found] == [True, True, False]
    np.testing.assert_array_equal(decide(features, found[:2]), -np.ones((N, 2)))


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


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)  # asks compilers, slowly


def test_classifiers_share_the_features_of_the_starting_weights(tmp_path, quick, capsys):
    """Without a checkpoint: the features are those of the weights that init_cfg names."""
    config = small_config(TOY_CONFIG, tmp_path)
    cfg = Config.fromfile(config)
    cfg.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint=f'{tmp_path}/w.pth', prefix='backbone.'
    )
    cfg.dump(config)
    run, out = tool('svm_eval').main, tmp_path / 'out'
    words = [config, '--out', str(out), '--jobs', '1']
    metrics = run([*words, '--classifier', 'ridge', '--costs', '1e-6'])
    assert 'features of the weights that a training of' in capsys.readouterr().out
    found = open_features(out / 'train')
    made = (out / 'train/features.npy').stat().st_mtime_ns
    run([config, str(tmp_path / 'w.pth'), '--out', f'{tmp_path}/trained', '--jobs', '1'])
    np.testing.assert_array_equal(
        found.features, open_features(tmp_path / 'trained/train').features
    )

    # Image i has the classes i and i + 1; class 1, in both, has no negative and cannot be trained.
    assert metrics['mAP'] == pytest.approx(100)
    saved = np.load(out / 'ridge/ridge.npz')
    assert saved['cost'].tolist() == [1e-6, 0, 1e-6] + [0] * 17
    # Nothing is drawn anew for the next classifier, said the other way.
    run([config, 'none', *words[1:], '--classifier', 'logistic', '--costs', '1000'])
    run(words)
    assert (out / 'train/features.npy').stat().st_mtime_ns == made
    files = [read_predictions(out / name) for name in ('', 'ridge', 'logistic')]
    assert np.load(out / 'logistic/logistic.npz')['cost'][0] == 1000
    assert (out / 'svm.npz').is_file()
    sigmoid = torch.from_numpy(saved['distances']).sigmoid().numpy()
    np.testing.assert_array_equal(files[1].scores, sigmoid)
    assert len(align_predictions(files, ['svm', 'ridge', 'logistic'])) == 3


def test_other_starting_weights_are_other_features(tmp_path, quick):
    """Random weights are those of the seed, and of a changed file the features are refused."""
    config = small_config(TOY_CONFIG, tmp_path)
    words = [config, '--out', f'{tmp_path}/out', '--jobs', '1', '--classifier', 'ridge']
    metrics = tool('svm_eval').main(words)
    assert tool('svm_eval').main(words) == metrics
    with pytest.raises(FileExistsError, match='holds other features, different in checkpoint'):
        tool('svm_eval').main([*words, '--seed', '1'])
