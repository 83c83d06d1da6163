"""Regions of a weakly supervised model as detections: average precision and CorLoc.

Legend: D regions and M true boxes of an image, C classes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmmlc.ops.checks import check_choice
from mmmlc.ops.detection import detection_measures
from mmmlc.ops.wording import listed
from mmmlc.registry import METRICS

from .coco_detection import coco_average_precision
from .plain_keys import PlainKeysMetric
from .region_samples import join_images, read_sample
from .report import render_table, write_report


@dataclass(frozen=True)
class VOCDetection:
    """One class in percent, its boxes and images that count; None where there are none."""

    name: str
    AP: float | None
    AP_11point: float | None
    CorLoc: float | None
    positives: int
    images: int


@dataclass(frozen=True)
class COCODetection:
    """One class in percent, its boxes and images that count; None where there are none."""

    name: str
    AP: float | None
    AP50: float | None
    AP75: float | None
    CorLoc: float | None
    positives: int
    images: int


@METRICS.register_module()
class WeakDetectionMetric(PlainKeysMetric):
    """Detection AP and CorLoc of a model's regions, in percent, and a table per class.

    Keys: ``CorLoc``; in VOC style ``det_mAP`` (area under the curve, VOC 2010 and later) and
    ``det_mAP_11point`` (VOC 2007); in COCO style, by pycocotools, ``det_AP`` (mean over IoU 0.5 to
    0.95), ``det_AP50`` and ``det_AP75``. Definitions: :mod:`mmmlc.ops.detection`. A class without a
    box that counts (neither difficult nor crowd) is left out of the means and named in a warning.

    Samples hold regions, classes and boxes:

    - ``pred_instances`` with ``bboxes`` (D, 4) in pixels of the original image, and ``ori_shape``.
      Where either is missing (after a crop) ``input_bboxes`` in pixels of the network's input, and
      ``img_shape``: the input without padding, which lies to the right and below. ``labels`` (D,)
      and ``scores`` (D,); where the latter is missing, ``pred_score`` of its class.
    - ``boxes`` (M, 4) as fractions of the image after the pipeline, ``box_labels`` (M,), and
      optionally ``box_difficult`` and ``box_crowd`` (M,). Flips of the pipeline are undone where
      the regions are those of the original image.

    ``ValueError`` for a wrong or missing field, naming field and image, and where no box counts.

    Args:
        iou: Least IoU with a box, in (0, 1]; in COCO style that of CorLoc only.
        style: ``'voc'`` or ``'coco'``.
        out_dir: Folder of ``summary.json`` and ``per_class.{csv,json,png}``, written each time; not
            that of another metric, whose files have the same names.
        **kwargs: Of :class:`~mmmlc.evaluation.plain_keys.PlainKeysMetric`.
    """

    def __init__(
        self,
        iou: float = 0.5,
        style: str = 'voc',
        out_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice('style', style, ('voc', 'coco'))
        if not 0 < iou <= 1:
            raise ValueError(f'iou is {iou}, expected a number above 0 and at most 1')
        self.iou = iou
        self.style = style
        self.out_dir = out_dir

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the regions and boxes of each sample."""
        classes = (self.dataset_meta or {}).get('classes')
        self.results.extend(
            read_sample(sample, None if classes is None else len(classes))
            for sample in data_samples
        )

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """All measures of the gathered samples; also logs the table and writes ``out_dir``."""
        if not results:
            raise ValueError('WeakDetectionMetric got no samples: is the data set empty?')
        detected, labels, truth, box_labels = join_images(results)
        names = self._class_names(np.append(labels, box_labels))
        if (truth.difficult | truth.crowd).all():
            raise ValueError(
                f'no box to find in {len(results)} images ({len(box_labels)} boxes, all difficult '
                'or crowd): is it a split without annotations?'
            )
        everything = (detected, labels, truth, box_labels, len(names))
        measures = detection_measures(*everything, self.iou)
        kind: type[VOCDetection | COCODetection]
        keys: tuple[str, ...]
        if self.style == 'voc':
            kind, columns = VOCDetection, [measures.ap, measures.ap_11point]
            keys = ('det_mAP', 'det_mAP_11point')
        else:
            ap = coco_average_precision(*everything)
            kind, columns = COCODetection, [ap.mean(0), ap[0], ap[5]]
            keys = ('det_AP', 'det_AP50', 'det_AP75')
        columns = [100 * column for column in (*columns, measures.corloc)]
        metrics = {
            key: float(np.nanmean(column))
            for key, column in zip((*keys, 'CorLoc'), columns, strict=True)
        }
        cells = [[None if np.isnan(v) else v for v in column.tolist()] for column in columns]
        counts = (measures.boxes.tolist(), measures.images.tolist())
        rows = [kind(*row) for row in zip(names, *cells, *counts, strict=True)]
        self._report(rows, metrics, len(results))
        return metrics

    def _report(
        self,
        rows: Sequence[VOCDetection | COCODetection],
        metrics: dict[str, float],
        num_images: int,
    ) -> None:
        if missing := [row.name for row in rows if row.AP is None]:
            message = f'left out of detection AP and CorLoc, without boxes: {listed(missing)}'
            print_log(message, 'current', logging.WARNING)
        title = f'detection per class, {self.style} style, CorLoc at IoU {self.iou}'
        print_log(f'{title}:\n{render_table(rows)}', 'current')
        if self.out_dir is not None:
            settings = dict(style=self.style, iou=self.iou, images=num_images)
            write_report(self.out_dir, rows, {**metrics, **settings})

    def _class_names(self, labels: np.ndarray) -> Sequence[str]:
        names = (self.dataset_meta or {}).get('classes')
        return names or [str(c) for c in range(labels.max(initial=-1) + 1)]
