"""Scores and labels of a test as a file, for comparisons of methods on the same images.

Legend: N images, C classes. The file is ``predictions.npz`` with the fields of
:class:`Predictions`; NumPy alone reads it, ``np.load(path)['scores']``.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmmlc.neutral import safe_line
from mmmlc.whole_files import write_whole

FILE_NAME = 'predictions.npz'


class Predictions(NamedTuple):
    """Scores of a test, with the truth as :class:`mmmlc.evaluation.MultiLabelMetric` took it."""

    images: np.ndarray  # (N,) str, without the folder that all have in common
    classes: np.ndarray  # (C,) str
    scores: np.ndarray  # (N, C) float
    positive: np.ndarray  # (N, C) bool
    difficult: np.ndarray  # (N, C) bool: unknown to average precision, else a negative
    valid: np.ndarray  # (N, C) bool: the other pairs count nowhere
    predicted: np.ndarray  # (N, C) bool, labels at the threshold of the metric


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write a file, replacing that of before once it is whole.

    The folder that all images have in common is left out of their names: the same images are the
    same wherever they lie.
    """
    names = [str(name) for name in predictions.images]
    common = os.path.commonprefix(names)
    skip = common.rfind('/') + 1
    images = np.array([name[skip:] for name in names])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **predictions._replace(images=images)._asdict())
    write_whole(path, buffer.getbuffer())


def read_predictions(path: str | Path) -> Predictions:
    """Read a file, or the ``predictions.npz`` of a folder.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is no file of predictions, or scores are NaN; names the file.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file, expected one of tools/test.py --out')
    try:
        with np.load(path, allow_pickle=False) as content:
            predictions = Predictions(*(content[name] for name in Predictions._fields))
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f'{path} is no file of predictions, as tools/test.py --out writes them: {error}'
        ) from error
    _check(path, predictions)
    return predictions


def _check(path: Path, predictions: Predictions) -> None:
    images, classes, scores, *masks = predictions
    shape = (len(images), len(classes))
    for name, array in zip(Predictions._fields[2:], (scores, *masks), strict=True):
        kind = 'f' if name == 'scores' else 'b'
        if array.shape != shape or array.dtype.kind != kind:
            raise ValueError(
                f'{path}: {name} is {array.dtype} {array.shape}, expected '
                f'{"floats" if kind == "f" else "bool"} {shape} for {len(images)} images and '
                f'{len(classes)} classes'
            )
    if np.isnan(scores).any():
        i, c = np.argwhere(np.isnan(scores))[0]
        raise ValueError(
            f'{path}: the score of {safe_line(images[i])} for {safe_line(classes[c])} is NaN'
        )


def align_predictions(
    files: Sequence[Predictions], sources: Sequence[str | Path]
) -> list[Predictions]:
    """Bring all files to the images of the first one, in its order.

    Args:
        files: Predictions on the same images.
        sources: Their names in messages.

    Raises:
        ValueError: for other classes, images or labels than in the first file; names both files
            and what differs.
    """
    first = files[0]
    order = np.argsort(first.images, kind='stable')
    aligned = [first]
    for file, source in zip(files[1:], sources[1:], strict=True):
        theirs = np.argsort(file.images, kind='stable')
        names = (f'{source}', f'{sources[0]}')
        _check_same('classes', file.classes, first.classes, *names)
        _check_same('images', file.images[theirs], first.images[order], *names)
        rows = np.empty_like(theirs)
        rows[order] = theirs
        file = Predictions(first.images, file.classes, *(array[rows] for array in file[2:]))
        _check_same_labels(file, first, *names)
        aligned.append(file)
    return aligned


def _check_same(what: str, found: np.ndarray, expected: np.ndarray, file: str, first: str) -> None:
    if np.array_equal(found, expected):
        return
    missing, more = np.setdiff1d(expected, found), np.setdiff1d(found, expected)
    how = 'their order or number differs'
    if len(missing) or len(more):
        example = safe_line((missing if len(missing) else more)[0])
        how = f'{example!r} is not in {file if len(missing) else first}'
    raise ValueError(
        f'{file} has other {what} than {first}, {len(found)} and {len(expected)}: {how}'
    )


def _check_same_labels(found: Predictions, expected: Predictions, file: str, first: str) -> None:
    for name in ('positive', 'difficult', 'valid'):
        different = np.argwhere(getattr(found, name) != getattr(expected, name))
        if len(different):
            i, c = different[0]
            image, label = safe_line(found.images[i]), safe_line(found.classes[c])
            raise ValueError(
                f'{file} has other labels than {first}: {name!r} of {image!r} and {label!r} is '
                f'{getattr(found, name)[i, c]} and {getattr(expected, name)[i, c]}'
            )
