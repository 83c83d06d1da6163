"""What is measured of a model that is ready: on a data set, in bytes, in seconds.

C: classes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import torch
from mmengine.config import Config
from mmpretrain.datasets.base_dataset import BaseDataset
from torch import Tensor

from mmmlc.models.predictions import stack_targets
from mmmlc.ops.score_accumulator import Evaluation, ScoreAccumulator
from mmmlc.whole_files import megabytes

from .folder import WEIGHTS
from .linear import FEWEST, FOLDS, CrossValidated, Labels, mean_average_precision
from .make import predictions
from .model import Photograph, ReadyModel

TIMED = 20  # images, or as many as take this long:
MOST_SECONDS = 2.0


def evaluate(
    model: ReadyModel, dataset: BaseDataset, cfg: Config, advance: Callable[[int], None]
) -> Evaluation:
    """All measures on a data set, of the labels that the model predicts at its thresholds.

    Args:
        model: With the classes of the data set.
        dataset: With labels, and the pipeline of the model.
        cfg: Batches and workers of its ``test_dataloader``.
        advance: Called with the number of images of each batch.
    """
    accumulator = ScoreAccumulator()
    for samples in predictions(model.model, dataset, cfg):
        scores = torch.stack([sample.pred_score for sample in samples]).cpu()
        targets, known = stack_targets(samples, len(model.classes))
        accumulator.update(scores, targets.cpu(), valid=None if known is None else known.cpu())
        advance(len(samples))
    return accumulator.compute(model.thresholds.cpu())


def rows_of(evaluation: Evaluation, name: str) -> dict[str, str]:
    """Rows of a card about a data set, in percent."""
    enough = evaluation.positives >= FEWEST
    rows = {}
    if enough.any():
        mean = 100 * float(evaluation.ap[enough].mean())
        rows[f'mAP on {name}, {int(enough.sum())} classes with at least {FEWEST} positives'] = (
            f'{mean:.1f}'
        )
    found = int((evaluation.positives > 0).sum())
    rows[f'mAP on {name}, {found} classes'] = f'{100 * float(evaluation.ap.nanmean()):.1f}'
    at_threshold = evaluation.at_threshold
    values = (f'{100 * float(value):.1f}' for value in (at_threshold.CF1, at_threshold.OF1))
    rows[f'CF1, OF1 on {name}, labels at the thresholds'] = ', '.join(values)
    return rows


def training_rows(scores: Tensor, labels: Labels, found: CrossValidated) -> dict[str, str]:
    """Rows of a card about a training.

    Args:
        scores: (N, C) of the training images by models that did not see them.
        labels: Of the training images.
        found: The cross-validation.
    """
    mean, judged = 100 * mean_average_precision(scores, labels), int(labels.judged.sum())
    tried = ', '.join(f'{100 * ap:.1f} for {cost:g}' for cost, ap in found.mean_ap.items())
    return {
        'training images, classes': f'{len(scores):,}, {scores.shape[1]}',
        f'mAP by cross-validation, {FOLDS} folds, {judged} classes': f'{mean:.1f}',
        'C of the logistic regressions': f'{found.cost:g}; mAP {tried}',
    }


def cost_of(model: ReadyModel, folder: Path, images: Sequence[Photograph]) -> dict[str, str]:
    """Rows of a card about size and time, on one CPU thread and on all cores of this machine.

    Where all cores take longer than one, as beside other programs, they are left out.
    """
    rows = {'size of the weights': megabytes((folder / WEIGHTS).stat().st_size)}
    least = math.inf
    for threads in sorted({1, len(os.sched_getaffinity(0))}) if images else ():
        seconds = seconds_an_image(model, images[:TIMED], threads)
        if seconds < least:
            name = f'seconds an image, {threads} CPU thread{"s" * (threads > 1)}'
            rows[name] = f'{seconds:.3f}'
        least = min(least, seconds)
    return rows


def seconds_an_image(model: ReadyModel, images: Sequence[Photograph], threads: int) -> float:
    """Least time of one image, reading included, at a number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model.predict(images[:1])  # the first call allocates
        times: list[float] = []
        for image in images:
            if sum(times) > MOST_SECONDS:
                break
            start = time.perf_counter()
            model.predict([image])
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return min(times)  # what else the machine does only adds to it


def image_paths(dataset: BaseDataset, most: int = TIMED) -> list[str]:
    """Paths of the first images of a data set."""
    number = min(most, len(dataset))
    return [cast(str, dataset.get_data_info(index)['img_path']) for index in range(number)]
