"""All measures of multi-label classification as one metric of mmengine's evaluator.

Legend: B images of a batch, C classes, F score fields.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from mmengine.logging import print_log

from mmmlc.neutral import safe_line
from mmmlc.ops.score_accumulator import Evaluation, ScoreAccumulator
from mmmlc.ops.scores import average_precision, labels_at_threshold
from mmmlc.ops.wording import listed
from mmmlc.registry import METRICS

from .plain_keys import PlainKeysMetric
from .prediction_files import FILE_NAME, Predictions, write_predictions
from .report import class_results, render_table, write_report


@METRICS.register_module()
class MultiLabelMetric(PlainKeysMetric):
    """mAP, CP ... OF1 at a threshold and for the top k, in percent, and a report per class.

    Keys: ``mAP`` (not interpolated), ``mAP_11point`` (VOC 2007), ``CP``, ``CR``, ``CF1``, ``OP``,
    ``OR``, ``OF1``, ``macro_F1`` at ``threshold``; the seven with ``top3_`` (the k best labels of
    an image) and ``top3_thr_`` (those of them that reach the threshold); ``{field}_mAP`` for each
    field of ``also``; ``tuned_threshold`` (a score, not in percent) and ``tuned_OF1``; or the seven
    with ``tuned_``, at thresholds tuned per class.

    Samples hold ``pred_score`` (C,), the truth as ``gt_score`` (C,) in 0/1 or ``gt_label``
    (indices), and optionally ``gt_label_difficult`` and ``gt_label_ignore`` (indices). A difficult
    pair is left out of average precision and a negative elsewhere; a pair that is ignored but not
    difficult is left out of everything. A class without positives is left out of the class means
    and named in a warning. ``ValueError`` for a wrong or missing field, naming field and image.

    Args:
        threshold: Least score of a predicted label; MCAR reports 0.6. ``'pred_label'`` counts the
            labels that the model itself predicts, at its own thresholds.
        topk: k of the top-k measures; where k exceeds C, all labels are predicted.
        tune_threshold: Whether to search the threshold with the highest OF1 on these samples;
            ``'class'``: that of each class with its highest F1, kept as ``class_thresholds`` (C,)
            and in ``summary.json``. A class without positives keeps ``threshold`` (or 0.5).
        split: What these samples are ("val"), for the log and summary beside the tuned threshold;
            by default the data set's metainfo ``split``.
        also: Further score fields of the samples, e.g. ``('global_score', 'local_score')``.
        out_dir: Folder of ``summary.json``, ``per_class.{csv,json,png}`` and ``predictions.npz``
            (scores and labels of every image), written each time.
        **kwargs: Of :class:`~mmmlc.evaluation.plain_keys.PlainKeysMetric`.
    """

    def __init__(
        self,
        threshold: float | str = 0.5,
        topk: int = 3,
        tune_threshold: bool | Literal['class'] = False,
        split: str | None = None,
        also: Sequence[str] = (),
        out_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if threshold != 'pred_label' and (isinstance(threshold, str) or not 0 <= threshold <= 1):
            raise ValueError(f"threshold must be in [0, 1] or 'pred_label', got {threshold!r}")
        if tune_threshold not in (False, True, 'class'):
            raise ValueError(f"tune_threshold must be a bool or 'class', got {tune_threshold!r}")
        if topk < 1:
            raise ValueError(f'topk must be at least 1, got {topk}')
        if isinstance(also, str):
            raise TypeError(f'also must be a sequence of field names, got the string {also!r}')
        self.threshold = threshold
        self.topk = topk
        self.tune_threshold = tune_threshold
        self.class_thresholds: torch.Tensor | None = None
        self.split = split
        self.fields = ('pred_score', *also)
        self.out_dir = out_dir

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep of each sample its scores (F, C), the rows of :func:`_truth`, and its name."""
        scores = self._scores(data_samples)
        with_labels = self.threshold == 'pred_label'
        self.results.extend(
            (row, _truth(sample, row.shape[1], with_labels), _key(sample)[1])
            for row, sample in zip(scores, data_samples, strict=True)
        )

    def compute_metrics(
        self, results: list[tuple[np.ndarray, np.ndarray, str]]
    ) -> dict[str, float]:
        """All measures of the gathered samples; also logs the table and writes ``out_dir``."""
        if not results:
            raise ValueError('MultiLabelMetric got no samples: is the data set empty?')
        scores, *others = torch.from_numpy(np.stack([r[0] for r in results], axis=1))
        truth = torch.from_numpy(np.stack([r[1] for r in results], axis=1))
        positive, difficult, valid, *labels = truth
        accumulator = ScoreAccumulator()
        accumulator.update(scores, positive, difficult, valid)
        threshold = 0.5 if isinstance(self.threshold, str) else self.threshold
        evaluation = accumulator.compute(threshold, self.topk, self.tune_threshold, *labels)
        self.class_thresholds = evaluation.class_thresholds

        metrics = {
            name: value if name == 'tuned_threshold' else 100 * value
            for name, value in evaluation.summary().items()
        }
        for field, other in zip(self.fields[1:], others, strict=True):
            ap = average_precision(other, positive & ~difficult, valid & ~difficult)
            metrics[f'{field}_mAP'] = 100 * ap.nanmean().item()

        self._report(evaluation, metrics, len(results))
        if self.out_dir is not None:
            labels = labels or [labels_at_threshold(scores, threshold)]
            images = np.array([name or str(i) for i, (*_, name) in enumerate(results)])
            classes = np.array(self._class_names(scores.shape[1]))
            arrays = [x.numpy() for x in (scores, positive, difficult, valid, labels[0])]
            predictions = Predictions(images, classes, *arrays)
            write_predictions(Path(self.out_dir) / FILE_NAME, predictions)
        return metrics

    def _report(self, evaluation: Evaluation, metrics: dict[str, float], num_images: int) -> None:
        names = self._class_names(len(evaluation.positives))
        if evaluation.left_out:
            missing = listed([safe_line(names[c]) for c in evaluation.left_out])
            _log(f'left out of mAP, CP, CR and F1, without positives: {missing}', logging.WARNING)
        rows = class_results(names, evaluation)
        _log(f'per class, precision, recall, F1 at {self.threshold}:\n{render_table(rows)}')
        settings: dict[str, Any] = {'threshold': self.threshold, 'images': num_images}
        if self.tune_threshold:
            settings['tuned_on'] = self._split_name
        if evaluation.class_thresholds is not None:
            thresholds = evaluation.class_thresholds.tolist()
            settings['class_thresholds'] = dict(zip(names, thresholds, strict=True))
            _log(
                f'{len(thresholds)} thresholds from {min(thresholds):.4f} to {max(thresholds):.4f} '
                f'tuned on {self._split_name}, macro F1 {metrics["tuned_macro_F1"]:.2f} there'
            )
        elif self.tune_threshold:
            _log(
                f'threshold {metrics["tuned_threshold"]:.4f} tuned on {self._split_name}, '
                f'OF1 {metrics["tuned_OF1"]:.2f} there'
            )
        if self.out_dir is not None:
            finite = {k: v if math.isfinite(v) else None for k, v in metrics.items()}
            write_report(self.out_dir, rows, {**finite, **settings})

    def _scores(self, samples: Sequence[dict]) -> np.ndarray:
        """Scores of the batch (B, F, C), float32 or float64, checked."""
        for sample in samples:
            for field in self.fields:
                if field not in sample:
                    raise ValueError(
                        f'{_name(sample)} has no {field!r}, which MultiLabelMetric was asked for; '
                        f'it has {sorted(sample)}'
                    )
        shapes = {tuple(sample[field].shape) for sample in samples for field in self.fields}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise ValueError(f'{self.fields} must all be (classes,), got shapes {sorted(shapes)}')
        stacked = torch.stack([torch.stack([s[f] for f in self.fields]) for s in samples])
        stacked = stacked.detach().cpu()
        rows = stacked.to(torch.promote_types(stacked.dtype, torch.float32)).numpy()
        if np.isnan(rows).any():
            index, field, _ = np.argwhere(np.isnan(rows))[0]
            raise ValueError(f'{self.fields[field]!r} of {_name(samples[index])} holds NaN')
        return rows

    def _class_names(self, num_classes: int) -> Sequence[str]:
        names = (self.dataset_meta or {}).get('classes')
        if names is None:
            return [str(c) for c in range(num_classes)]
        if len(names) != num_classes:
            raise ValueError(
                f'{num_classes} scores per sample, but {len(names)} classes in the data set'
            )
        return names

    @property
    def _split_name(self) -> str:
        return self.split or (self.dataset_meta or {}).get('split') or 'the evaluated split'


def _truth(sample: dict, num_classes: int, with_labels: bool) -> np.ndarray:
    """Rows positive, difficult, valid and perhaps the predicted labels, (3 or 4, C) bool."""
    truth = np.zeros((4 if with_labels else 3, num_classes), dtype=bool)
    if with_labels:
        if 'pred_label' not in sample:
            raise ValueError(f"{_name(sample)} has no 'pred_label', which the threshold names")
        truth[3, _indices(sample, 'pred_label', num_classes)] = True
    if 'gt_score' in sample:
        target = np.asarray(torch.as_tensor(sample['gt_score']).cpu())
        if target.shape != (num_classes,) or not np.isin(target, (0, 1)).all():
            raise ValueError(
                f"'gt_score' of {_name(sample)} must be {num_classes} values 0 or 1, got {target}"
            )
        truth[0] = target
    elif 'gt_label' in sample:
        truth[0, _indices(sample, 'gt_label', num_classes)] = True
    else:
        raise ValueError(f"{_name(sample)} has neither 'gt_label' nor 'gt_score'")
    truth[1, _indices(sample, 'gt_label_difficult', num_classes)] = True
    truth[2] = True
    truth[2, _indices(sample, 'gt_label_ignore', num_classes)] = False
    truth[2] |= truth[1]
    return truth


def _indices(sample: dict, field: str, num_classes: int) -> np.ndarray:
    labels = np.asarray(torch.as_tensor(sample.get(field, ())).cpu()).astype(np.int64)
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise ValueError(
            f'{field!r} of {_name(sample)} holds {wrong[0]}, expected 0 to {num_classes - 1}'
        )
    return labels


def _key(sample: dict) -> tuple[str, str]:
    """The field that names the image of a sample, and the name; two empty texts without one."""
    for key in ('img_path', 'img_id', 'sample_idx'):
        if key in sample:
            return key, str(sample[key])
    return '', ''


def _name(sample: dict) -> str:
    key, name = _key(sample)
    return f'the sample with {key} {name}' if key else 'a sample'


def _log(text: str, level: int = logging.INFO) -> None:
    print_log(text, logger='current', level=level)
