"""One-vs-rest linear classifiers on features of images, by scikit-learn.

Linear SVMs (LIBLINEAR; RDAL, Section 5.1), logistic regression (L-BFGS) and ridge regression on
targets of -1 and 1.

N: images, D: channels, C: classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from mmmlc.dependencies import require_svm

Kind = Literal['svm', 'logistic', 'ridge']
# Candidates of C, and of ridge regression's alpha. For SVMs powers of ten around the default of
# scikit-learn, for features of length 1; for the others such as suit standardised features.
COSTS: dict[str, tuple[float, ...]] = {
    'svm': (0.01, 0.1, 1.0, 10.0),
    'logistic': (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    'ridge': (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6),
}


class LinearClassifier(NamedTuple):
    """The classifier of one class: ``features @ weight + bias`` is above 0 for a positive.

    ``cost`` is the C or alpha that was chosen, 0 for a class that could not be trained; it always
    says no.
    """

    weight: np.ndarray  # (D,)
    bias: float
    cost: float
    converged: bool


def normalise(features: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32; rows of zeros stay."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)


def fit_class(
    features: np.ndarray,
    positive: np.ndarray,
    used: np.ndarray,
    costs: Sequence[float] | None = None,
    folds: int = 3,
    seed: int = 0,
    kind: Literal['svm', 'logistic'] = 'svm',
    standardise: bool = False,
) -> LinearClassifier:
    """Train the SVM or logistic regression of one class.

    Args:
        features: (N, D).
        positive: (N,) bool.
        used: (N,) bool; the other images take no part.
        costs: Candidates of C, ``COSTS`` of the kind by default. The one with the highest average
            precision in a stratified cross-validation is taken, the smaller of equals.
        folds: Of the cross-validation, fewer for a class with fewer images of a kind. With only
            one, nothing can be validated: the middle of ``costs`` is taken.
        seed: Of the folds and of LIBLINEAR.
        kind: Which of the two.
        standardise: Bring the channels to mean 0 and deviation 1, in each fold by its own images.
            The classifier takes features as they are all the same.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    if not used.all():
        features, positive = features[used], positive[used]
    rarest = min(int(positive.sum()), int((~positive).sum()))
    if rarest == 0:
        return _always_no(features.shape[1])
    costs = sorted(COSTS[kind] if costs is None else costs)
    model = _estimator(kind, costs[len(costs) // 2], seed, standardise)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always', ConvergenceWarning)
        if len(costs) > 1 and rarest > 1:
            splits = StratifiedKFold(min(folds, rarest), shuffle=True, random_state=seed)
            grid = {'model__C': costs}
            search = GridSearchCV(model, grid, scoring='average_precision', cv=splits)
            model = search.fit(features, positive).best_estimator_
        else:
            model.fit(features, positive)
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    found = model['model']
    weight, bias = found.coef_[0], float(found.intercept_[0])
    if standardise:
        weight, bias = _for_raw_features(weight, bias, model['scale'])
    return LinearClassifier(weight, bias, found.C, converged)


def _estimator(kind: str, cost: float, seed: int, standardise: bool) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    model = (
        LinearSVC(C=cost, dual='auto', max_iter=10_000, random_state=seed)
        if kind == 'svm'
        else LogisticRegression(C=cost, max_iter=1000)
    )
    scale = StandardScaler() if standardise else 'passthrough'
    return Pipeline([('scale', scale), ('model', model)])


def _for_raw_features(weight: np.ndarray, bias: float, scale: Any) -> tuple[np.ndarray, float]:
    """A classifier of standardised features as one of the features themselves."""
    weight = weight.astype(np.float64) / scale.scale_
    return weight, bias - float(weight @ scale.mean_)


def _always_no(channels: int) -> LinearClassifier:
    return LinearClassifier(np.zeros(channels, np.float32), -1.0, 0.0, True)


def fit_one_vs_rest(
    features: np.ndarray,
    positive: np.ndarray,
    ignored: np.ndarray,
    costs: Sequence[float] | None = None,
    folds: int = 3,
    jobs: int = -1,
    seed: int = 0,
    advance: Callable[[], None] | None = None,
    kind: Kind = 'svm',
    standardise: bool = False,
) -> list[LinearClassifier]:
    """Train a classifier per class.

    Args:
        features: (N, D), for SVMs see :func:`normalise`.
        positive: (N, C) bool.
        ignored: (N, C) bool, pairs left out of the training of their class.
        costs: See :func:`fit_class`, and :func:`fit_ridge` for alpha.
        folds: See :func:`fit_class`.
        jobs: Processes, -1 for all cores. Each may copy the features, as 16 bytes a number. Ridge
            regression is one computation for all classes.
        seed: See :func:`fit_class`.
        advance: Called after each class.
        kind: One of ``COSTS``.
        standardise: See :func:`fit_class`.

    Raises:
        ImportError: without scikit-learn.
        ValueError: for an unknown kind, costs or folds out of range, or no positive at all.
    """
    require_svm()
    if kind not in COSTS:
        raise ValueError(f'kind is {kind!r}, expected one of {list(COSTS)}')
    costs = COSTS[kind] if costs is None else costs
    if not costs or min(costs) <= 0:
        raise ValueError(f'costs are {list(costs)}, expected numbers above 0')
    if folds < 2:
        raise ValueError(f'folds is {folds}, expected at least 2')
    if not (positive & ~ignored).any():
        raise ValueError(f'no positive label in {len(positive)} images: nothing to train')
    every: Iterable[LinearClassifier]
    if kind == 'ridge':
        every = fit_ridge(features, positive, ignored, costs, standardise)
    else:
        every = _fit_classes(
            features, positive, ignored, jobs, (costs, folds, seed, kind, standardise)
        )
    found = []
    for classifier in every:
        found.append(classifier)
        if advance is not None:
            advance()
    return found


def _fit_classes(
    features: np.ndarray, positive: np.ndarray, ignored: np.ndarray, jobs: int, options: tuple
) -> Iterator[LinearClassifier]:
    """:func:`fit_class` of all classes, in parallel."""
    from joblib import Parallel, delayed

    tasks = (
        delayed(fit_class)(features, positive[:, c], ~ignored[:, c], *options)
        for c in range(positive.shape[1])
    )
    yield from Parallel(n_jobs=jobs, return_as='generator')(tasks)


def fit_ridge(
    features: np.ndarray,
    positive: np.ndarray,
    ignored: np.ndarray,
    alphas: Sequence[float] = COSTS['ridge'],
    standardise: bool = True,
) -> list[LinearClassifier]:
    """Ridge regression on -1 and 1, at once for all classes that use the same images.

    Args:
        features: (N, D).
        positive: (N, C) bool.
        ignored: (N, C) bool, pairs left out of the regression of their class.
        alphas: Candidates of the penalty. Each class takes the one with the least squared error
            when every image is left out once, in closed form (scikit-learn's ``RidgeCV``).
        standardise: See :func:`fit_class`; by all images that the class uses.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    found = [_always_no(features.shape[1])] * positive.shape[1]
    masks, group = np.unique(~ignored, axis=1, return_inverse=True)
    for number, used in enumerate(masks.T):
        targets = positive[used]
        both = targets.any(axis=0) & ~targets.all(axis=0)
        members = np.flatnonzero((group.ravel() == number) & both)
        if not len(members):
            continue
        scale = StandardScaler(with_mean=standardise, with_std=standardise)
        # In float64, as the closed form subtracts what is almost equal.
        inputs = scale.fit_transform(features[used].astype(np.float64))
        model = RidgeCV(sorted(alphas), alpha_per_target=True)
        model.fit(inputs, 2.0 * targets[:, members] - 1)
        # Of one class scikit-learn gives numbers, not rows.
        weights, biases = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
        rows = zip(members, weights, biases, np.atleast_1d(model.alpha_), strict=True)
        for c, weight, bias, alpha in rows:
            if standardise:
                weight, bias = _for_raw_features(weight, bias, scale)
            found[c] = LinearClassifier(weight, float(bias), float(alpha), True)
    return found


def decide(features: np.ndarray, classifiers: Sequence[LinearClassifier]) -> np.ndarray:
    """Signed distances (N, C), float64; above 0 is a yes."""
    weights = np.stack([found.weight for found in classifiers], axis=1).astype(np.float64)
    return features.astype(np.float64) @ weights + [found.bias for found in classifiers]
