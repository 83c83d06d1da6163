"""One-vs-rest linear SVMs (LIBLINEAR, by scikit-learn) on features of images (RDAL, Section 5.1).

N: images, D: channels, C: classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mmmlc.dependencies import require_svm

# Powers of ten around the default of scikit-learn, for features of length 1.
COSTS = (0.01, 0.1, 1.0, 10.0)


class ClassSVM(NamedTuple):
    """The classifier of one class: ``features @ weight + bias`` is above 0 for a positive.

    ``cost`` is 0 for a class that could not be trained; it always says no.
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
    costs: Sequence[float] = COSTS,
    folds: int = 3,
    seed: int = 0,
) -> ClassSVM:
    """Train the SVM of one class.

    Args:
        features: (N, D).
        positive: (N,) bool.
        used: (N,) bool; the other images take no part.
        costs: Candidates of C. The one with the highest average precision in a stratified
            cross-validation is taken, the smaller of equals.
        folds: Of the cross-validation, fewer for a class with fewer images of a kind. With only
            one, nothing can be validated: the middle of ``costs`` is taken.
        seed: Of the folds and of LIBLINEAR.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import LinearSVC

    if not used.all():
        features, positive = features[used], positive[used]
    rarest = min(int(positive.sum()), int((~positive).sum()))
    if rarest == 0:
        return ClassSVM(np.zeros(features.shape[1], np.float32), -1.0, 0.0, True)
    costs = sorted(costs)
    model = LinearSVC(C=costs[len(costs) // 2], dual='auto', max_iter=10_000, random_state=seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always', ConvergenceWarning)
        if len(costs) > 1 and rarest > 1:
            splits = StratifiedKFold(min(folds, rarest), shuffle=True, random_state=seed)
            search = GridSearchCV(model, {'C': costs}, scoring='average_precision', cv=splits)
            model = search.fit(features, positive).best_estimator_
        else:
            model.fit(features, positive)
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return ClassSVM(model.coef_[0], float(model.intercept_[0]), model.C, converged)


def fit_one_vs_rest(
    features: np.ndarray,
    positive: np.ndarray,
    ignored: np.ndarray,
    costs: Sequence[float] = COSTS,
    folds: int = 3,
    jobs: int = -1,
    seed: int = 0,
    advance: Callable[[], None] | None = None,
) -> list[ClassSVM]:
    """Train an SVM per class, the classes in parallel.

    Args:
        features: (N, D), see :func:`normalise`.
        positive: (N, C) bool.
        ignored: (N, C) bool, pairs left out of the training of their class.
        costs: See :func:`fit_class`.
        folds: See :func:`fit_class`.
        jobs: Processes, -1 for all cores. Each may copy the features, as 16 bytes a number.
        seed: See :func:`fit_class`.
        advance: Called after each class.

    Raises:
        ImportError: without scikit-learn.
        ValueError: for costs or folds out of range, or no positive at all.
    """
    require_svm()
    from joblib import Parallel, delayed

    if not costs or min(costs) <= 0:
        raise ValueError(f'costs are {list(costs)}, expected numbers above 0')
    if folds < 2:
        raise ValueError(f'folds is {folds}, expected at least 2')
    if not (positive & ~ignored).any():
        raise ValueError(f'no positive label in {len(positive)} images: nothing to train')
    tasks = (
        delayed(fit_class)(features, positive[:, c], ~ignored[:, c], costs, folds, seed)
        for c in range(positive.shape[1])
    )
    found = []
    for svm in Parallel(n_jobs=jobs, return_as='generator')(tasks):
        found.append(svm)
        if advance is not None:
            advance()
    return found


def decide(features: np.ndarray, svms: Sequence[ClassSVM]) -> np.ndarray:
    """Signed distances (N, C), float64; above 0 is a yes."""
    weights = np.stack([svm.weight for svm in svms], axis=1).astype(np.float64)
    return features.astype(np.float64) @ weights + [svm.bias for svm in svms]
