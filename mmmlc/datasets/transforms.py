"""Pipeline steps: images that may be broken, boxes that follow a flip, packing.

M boxes of an image: ``results['boxes']`` (M, 4) float32, x1, y1, x2, y2 as fractions of the current
image's width and height, so that a resize of the whole image leaves them as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import mmcv
import mmcv.transforms as mmcv_t
import mmpretrain.datasets.transforms as mmpretrain_t
import numpy as np
import torch
from mmengine import dist, fileio
from mmengine.logging import print_log

from mmmlc.ops.boxes import flip_boxes
from mmmlc.ops.checks import check_fractions
from mmmlc.registry import TRANSFORMS


class BrokenImageError(RuntimeError):
    """An image file that is missing or cannot be decoded; the message names the file."""


def warn(message: str) -> None:
    """Log ``message`` as a warning that is seen whatever the process it comes from."""
    # mmengine's loggers print nothing below ERROR outside the main process.
    level = logging.WARNING if dist.is_main_process() else logging.ERROR
    print_log(message, logger='current', level=level)


@TRANSFORMS.register_module()
class LoadImage(mmcv_t.LoadImageFromFile):
    """Load an image; whatever is wrong with the file raises :class:`BrokenImageError`.

    Our datasets replace such an image in training and stop at it in evaluation.

    Args:
        to_float32: give float32 instead of uint8, both 0 to 255.
        color_type: ``'color'``, ``'grayscale'`` or ``'unchanged'``; the first two honour the EXIF
            orientation unless they end in ``'_ignore_orientation'``.
        imdecode_backend: ``'pillow'`` or ``'cv2'``. OpenCV fills the rest of a truncated JPEG with
            grey and does not say so; Pillow refuses it.
        backend_args: of mmengine's file backend.

    Adds ``img`` (H, W, 3) BGR, ``img_shape`` and ``ori_shape``. Warns if the proportions differ
    from ``ann_shape``, the (height, width) in the annotation file: the boxes would be misplaced.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'pillow',
        *,
        backend_args: dict | None = None,
    ) -> None:
        colours = ('color', 'grayscale')
        types = (*colours, *(f'{c}_ignore_orientation' for c in colours), 'unchanged')
        if color_type not in types:
            raise ValueError(f'LoadImage: color_type={color_type!r}, expected one of {types}')
        if imdecode_backend not in ('pillow', 'cv2'):
            raise ValueError(
                f"LoadImage: imdecode_backend={imdecode_backend!r}, expected 'pillow' or 'cv2'"
            )
        super().__init__(to_float32, color_type, imdecode_backend, backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Read and decode ``results['img_path']``."""
        path = results['img_path']
        try:
            content = fileio.get(path, backend_args=self.backend_args)
        except OSError as error:
            raise BrokenImageError(f'{path}: {error.strerror or error}') from error
        img = self._decode(content, path)
        if self.to_float32:
            img = img.astype(np.float32)
        results.update(img=img, img_shape=img.shape[:2], ori_shape=img.shape[:2])
        if 'ann_shape' in results:
            _check_proportions(path, img.shape[:2], results['ann_shape'])
        return results

    def _decode(self, content: bytes, path: str) -> np.ndarray:
        if not content:
            raise BrokenImageError(f'{path}: empty file')
        try:
            img = mmcv.imfrombytes(content, self.color_type, backend=self.imdecode_backend)
        except MemoryError:
            raise
        except Exception as error:  # the decoders raise OSError, SyntaxError, struct.error, ...
            raise BrokenImageError(f'{path}: {type(error).__name__}: {error}') from error
        if img is None:
            raise BrokenImageError(f'{path}: OpenCV cannot decode it')
        return img


def _check_proportions(path: str, loaded: tuple[int, int], annotated: tuple[int, int]) -> None:
    """Warn if the boxes cannot fit; a copy resized as a whole keeps its proportions, and passes."""
    (h, w), (ann_h, ann_w) = loaded, annotated
    if abs(w * ann_h - h * ann_w) > 0.02 * h * ann_w:
        warn(
            f'{path} is {w} x {h} but {ann_w} x {ann_h} in the annotation file: its boxes are '
            'misplaced. If it carries an EXIF orientation that the annotation ignores, load with '
            "color_type='color_ignore_orientation'."
        )


@TRANSFORMS.register_module()
class RandomFlip(mmcv_t.RandomFlip):
    """mmcv's ``RandomFlip`` that mirrors ``boxes`` and ``proposals`` with the image."""

    moves_boxes = True

    def _flip(self, results: dict) -> None:
        super()._flip(results)
        for key in ('boxes', 'proposals'):
            if key in results:
                results[key] = flip_boxes(results[key], results['flip_direction'])


@TRANSFORMS.register_module()
class PackInputs(mmpretrain_t.PackInputs):
    """mmpretrain's ``PackInputs`` that also packs boxes, proposals, difficult and ignored labels.

    Arrays become tensors of the same type, label lists int64 tensors (also the empty ones). Keys
    that a dataset does not give are left out.
    """

    LABEL_KEYS = ('gt_label_difficult', 'gt_label_ignore')
    BOX_KEYS = ('boxes', 'box_labels', 'box_crowd', 'box_areas', 'box_difficult')
    PROPOSAL_KEYS = ('proposals', 'proposal_scores', 'proposal_valid')
    META_KEYS = (
        *('img_id', 'sample_idx', 'img_path', 'ori_shape', 'img_shape'),
        *('scale_factor', 'flip', 'flip_direction'),
    )

    def __init__(
        self,
        input_key: str = 'img',
        algorithm_keys: Sequence[str] = BOX_KEYS + PROPOSAL_KEYS + LABEL_KEYS,
        meta_keys: Sequence[str] = META_KEYS,
    ) -> None:
        super().__init__(input_key, tuple(algorithm_keys), tuple(meta_keys))

    def transform(self, results: dict) -> dict:
        """Return ``inputs`` (C, H, W) and ``data_samples``."""
        packed = dict(results)
        if 'gt_score' in packed:
            check_fractions('gt_score', packed['gt_score'], results.get('img_path', 'a sample'))
        for key in self.algorithm_keys:
            if isinstance(packed.get(key), np.ndarray):
                packed[key] = torch.from_numpy(packed[key])
            elif key in self.LABEL_KEYS and key in packed:
                packed[key] = torch.tensor(packed[key], dtype=torch.int64)
        return super().transform(packed)
