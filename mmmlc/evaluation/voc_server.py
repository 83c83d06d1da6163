"""The files that the Pascal VOC evaluation server takes, for test images whose labels are hidden.

Legend: C classes.
"""

from __future__ import annotations

import contextlib
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log

from mmmlc.neutral import safe_file_name
from mmmlc.ops.checks import check_choice
from mmmlc.registry import METRICS
from mmmlc.whole_files import whole_file

from .plain_keys import PlainKeysMetric


@METRICS.register_module()
class VOCServerFiles(PlainKeysMetric):
    """Write ``results/VOC2012/Main/comp1_cls_test_<class>.txt`` below ``out_dir``, one per class.

    A line is ``<image id> <score>``, the score with as many digits as it has. Samples need
    ``pred_score`` (C,) and ``img_id``, no labels. Every image of the data set must come, and once,
    also from several processes. Files of before are replaced when all new ones are written; other
    files in the folder stay.

    Metrics: ``images``, the number of lines in each file.

    Args:
        out_dir: Folder in which ``results`` is made.
        comp: ``'comp1'``, trained on VOC alone, or ``'comp2'``, with any other data too. The devkit
            leaves open where ImageNet weights belong; published results mostly say comp1.
        year: Of the challenge, in the folder's name.
        num_images: Refuse another number of images: the server evaluates complete files only.
        archive: Also write ``results.tar.gz``, which is what is uploaded.
        collect_device: See mmengine's ``BaseMetric``, as ``collect_dir``.

    Raises:
        ValueError: for a missing, repeated or wrong image or score, an id with blanks, which the
            lines cannot hold, or a class whose name is no file name; nothing is written then.
    """

    def __init__(
        self,
        out_dir: str,
        comp: str = 'comp1',
        year: int = 2012,
        num_images: int | None = None,
        archive: bool = True,
        collect_device: str = 'cpu',
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, collect_dir=collect_dir)
        check_choice('comp', comp, ('comp1', 'comp2'))
        self.out_dir = out_dir
        self.comp = comp
        self.year = year
        self.num_images = num_images
        self.archive = archive

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep of each sample its id and scores (C,)."""
        for sample in data_samples:
            missing = [key for key in ('img_id', 'pred_score') if key not in sample]
            if missing:
                raise ValueError(
                    f'a sample has no {missing[0]!r}, which VOCServerFiles needs; it has '
                    f'{sorted(sample)}'
                )
            scores = sample['pred_score'].detach().cpu()
            scores = scores.to(torch.promote_types(scores.dtype, torch.float32)).numpy()
            if not np.isfinite(scores).all():
                raise ValueError(f"'pred_score' of image {sample['img_id']} is not finite")
            self.results.append((str(sample['img_id']), scores))

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the results of all processes, of ``size`` images, and write the files."""
        self._size = size
        return super().evaluate(size)

    def compute_metrics(self, results: list[tuple[str, np.ndarray]]) -> dict[str, float]:
        """Write the files (mmengine calls this in the main process)."""
        ids = [img_id for img_id, _ in results]
        self._check_images(ids)
        classes = self._classes(results)
        folder = Path(self.out_dir) / 'results' / f'VOC{self.year}' / 'Main'
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f'{self.comp}_cls_test_{name}.txt' for name in classes]
        with contextlib.ExitStack() as stack:  # all of the files are replaced, or none
            drafts = [stack.enter_context(whole_file(path)) for path in paths]
            for label, draft in enumerate(drafts):
                # NumPy's str is the shortest that reads back the same: no ties by rounding.
                lines = (f'{img_id} {scores[label]!s}\n' for img_id, scores in results)
                draft.write_text(''.join(lines), encoding='utf-8')
        message = f'{len(paths)} files for the VOC server, {len(ids):,} images each, in {folder}'
        if self.archive:
            message += f'; to upload: {self._pack(paths)}'
        print_log(message, logger='current')
        return {'images': len(ids)}

    def _check_images(self, ids: list[str]) -> None:
        if odd := [img_id for img_id in ids if img_id.split() != [img_id]]:
            raise ValueError(f'the image id {odd[0]!r} has blanks, which end it in the files')
        repeated = [img_id for img_id, n in Counter(ids).items() if n > 1]
        if repeated:
            raise ValueError(f'{len(repeated)} images come more than once, the first {repeated[0]}')
        expected = self._size if self.num_images is None else self.num_images
        if not len(ids) == self._size == expected:
            raise ValueError(
                f'{len(ids):,} images predicted, {self._size:,} in the data set, {expected:,} '
                'expected (test_evaluator.num_images): the server takes complete files only'
            )

    def _classes(self, results: list[tuple[str, np.ndarray]]) -> Sequence[str]:
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError('the data set names no classes, and the files are named after them')
        for name in classes:
            if safe_file_name(name) != name:
                raise ValueError(f'the class {name!r} cannot be in the name of a file')
        for img_id, scores in results:
            if scores.shape != (len(classes),):
                raise ValueError(
                    f"'pred_score' of image {img_id} has shape {scores.shape}, expected "
                    f'({len(classes)},) for the classes of the data set'
                )
        return classes

    def _pack(self, paths: Sequence[Path]) -> Path:
        root = Path(self.out_dir)
        target = root / 'results.tar.gz'
        with whole_file(target) as draft, tarfile.open(draft, 'w:gz') as archive:
            for path in paths:
                archive.add(path, arcname=str(path.relative_to(root)))
        return target
