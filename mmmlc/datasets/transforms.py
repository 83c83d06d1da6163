"""Pipeline steps: images that may be broken, boxes that follow a flip, packing.

M boxes of an image: ``results['boxes']`` (M, 4) float32, x1, y1, x2, y2 as fractions of the current
image's width and height, so that a resize of the whole image leaves them as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import mmcv.transforms as mmcv_t
import mmpretrain.datasets.transforms as mmpretrain_t
import numpy as np
import torch
from mmengine import dist
from mmengine.logging import print_log
from PIL import Image

from mmmlc.neutral import safe_line
from mmmlc.ops.boxes import flip_boxes, turn_boxes
from mmmlc.ops.checks import check_choice, check_fractions
from mmmlc.registry import TRANSFORMS

from .decoding import COLOR_TYPES, MAX_PIXELS, Decoded, decode, from_pillow
from .image_files import MAX_BYTES, BrokenImageError, read_image_file


def warn(message: str) -> None:
    """Log ``message`` as a warning that is seen whatever the process it comes from."""
    # mmengine's loggers print nothing below ERROR outside the main process.
    level = logging.WARNING if dist.is_main_process() else logging.ERROR
    print_log(safe_line(message), logger='current', level=level)


@TRANSFORMS.register_module()
class LoadImage(mmcv_t.LoadImageFromFile):
    """Load an image as a viewer shows it; :class:`BrokenImageError` for whatever is wrong with it.

    Our datasets replace such an image in training and stop at it in evaluation. What becomes of
    unusual modes (16 bits, float, alpha, CMYK, ...): :mod:`mmmlc.datasets.image_modes`; of files of
    several images the first is taken.

    Adds ``img`` (H, W, 3) BGR, ``img_shape`` and ``ori_shape``, and turns ``boxes`` with the image
    where they are those of the file as it is stored. Whether they are, ``ann_shape`` tells, the
    (height, width) in the annotation file, for the four EXIF orientations that exchange the sides.
    For the others, and for squares, ``boxes_on`` has to say it: without it the boxes stay, with one
    warning. Warns as well if the proportions of ``ann_shape`` fit neither way.

    Args:
        to_float32: give float32 instead of uint8, both 0 to 255.
        color_type: ``'color'``, ``'grayscale'`` or ``'unchanged'``, see
            :func:`~mmmlc.datasets.decoding.decode`; the first two honour the EXIF orientation
            unless they end in ``'_ignore_orientation'``.
        imdecode_backend: ``'pillow'``, or ``'cv2'`` for JPEG in grey or RGB by OpenCV and all else
            by Pillow. The two contain the same JPEG library and gave the same pixels in all our
            tests, but grey of a colour JPEG is the file's luma in OpenCV, and computed from RGB in
            Pillow: it may differ by 2.
        max_pixels: larger images are refused before they are decoded.
        max_bytes: larger files are refused before they are read.
        boxes_on: what the annotated boxes lie on where the size cannot tell: ``'stored'``, the file
            as it is stored; ``'shown'``, the turned image; ``'auto'``: as above.
        backend_args: of mmengine's file backend.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'pillow',
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = MAX_BYTES,
        boxes_on: str = 'auto',
        *,
        backend_args: dict | None = None,
    ) -> None:
        check_choice('LoadImage: color_type', color_type, COLOR_TYPES)
        check_choice('LoadImage: imdecode_backend', imdecode_backend, ('pillow', 'cv2'))
        check_choice('LoadImage: boxes_on', boxes_on, ('auto', 'stored', 'shown'))
        for name, value in (('max_pixels', max_pixels), ('max_bytes', max_bytes)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'LoadImage: {name}={value!r}, expected a positive integer')
        super().__init__(to_float32, color_type, imdecode_backend, backend_args=backend_args)
        self.max_pixels = max_pixels
        self.max_bytes = max_bytes
        self.boxes_on = boxes_on
        # In shared memory: the workers of all epochs know that it has been said.
        self._warned = torch.zeros(1, dtype=torch.bool).share_memory_()

    def transform(self, results: dict) -> dict:
        """Read and decode ``results['img_path']``."""
        path = results['img_path']
        return self._fill_in(results, self.decode(self.read(path), path))

    def from_image(self, image: Image.Image, name: str) -> dict:
        """What :meth:`transform` makes of a file, of an image of Pillow; errors name it so."""
        try:
            decoded = from_pillow(image, self.color_type, self.max_pixels)
        except BrokenImageError as error:
            raise BrokenImageError(f'{name}: {error}') from error
        return self._fill_in({}, decoded)

    def _fill_in(self, results: dict, decoded: Decoded) -> dict:
        img = decoded.pixels.astype(np.float32) if self.to_float32 else decoded.pixels
        shape = img.shape[:2]
        results.update(img=img, img_shape=shape, ori_shape=shape)
        if decoded.turned and decoded.orientation > 1 and 'boxes' in results:
            self._turn_boxes(results, decoded.orientation)
        if 'ann_shape' in results and 'boxes' in results:
            _check_proportions(results['img_path'], shape, results['ann_shape'])
        return results

    def read(self, path: str) -> bytes:
        """The content of a file."""
        return read_image_file(path, self.backend_args, self.max_bytes)

    def decode(self, content: bytes, path: str, color_type: str | None = None) -> Decoded:
        """Decode a content, by default to the loader's own type; ``path`` is named in errors."""
        color_type = color_type or self.color_type
        try:
            return decode(content, color_type, self.imdecode_backend, self.max_pixels)
        except BrokenImageError as error:
            raise BrokenImageError(f'{path}: {error}') from error

    def picture(self, path: str) -> Image.Image:
        """The image in RGB, to draw on: turned or not, as this loader does it."""
        turns = self.color_type in ('color', 'grayscale')
        color_type = 'color' if turns else 'color_ignore_orientation'
        pixels = self.decode(self.read(path), path, color_type).pixels
        return Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))

    def _turn_boxes(self, results: dict, orientation: int) -> None:
        """Turn boxes of the stored image, and ``ann_shape`` with them."""
        exchanged, annotated = orientation >= 5, results.get('ann_shape')
        boxes_on = self.boxes_on
        if boxes_on == 'auto' and exchanged and annotated is not None:
            boxes_on = _told_by_size(results['img_shape'], annotated)
        if boxes_on == 'auto':
            self._warn_of_boxes(results['img_path'], orientation)
        if boxes_on != 'stored':
            return
        results['boxes'] = turn_boxes(results['boxes'], orientation)
        if exchanged and annotated is not None:
            results['ann_shape'] = annotated[::-1]

    def _warn_of_boxes(self, path: str, orientation: int) -> None:
        if self._warned:
            return
        self._warned.fill_(True)
        warn(
            f'{path} is turned as its EXIF orientation {orientation} says, and its size does not '
            'tell whether the boxes were drawn on the turned image: they are left as they are. '
            "dict(type='mmmlc.LoadImage', boxes_on='stored') turns them, boxes_on='shown' leaves "
            'them without this warning, which comes once.'
        )


def loader_of(dataset: object) -> LoadImage:
    """The image loader of a data set's pipeline, or that in a wrapper; the default if it has none.

    An ``mmcv.LoadImageFromFile`` gives our loader with its colour type and file backend.
    """
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    for step in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
        if isinstance(step, LoadImage):
            return step
        if isinstance(step, mmcv_t.LoadImageFromFile):
            return LoadImage(color_type=step.color_type, backend_args=step.backend_args)
    return LoadImage()


def loader_options(pipeline: Iterable[dict]) -> dict | None:
    """Of a pipeline's config: arguments of a :class:`LoadImage` that reads images as it does.

    None if it has no image loader.
    """
    names = ('color_type', 'imdecode_backend', 'max_pixels', 'max_bytes', 'backend_args')
    for step in pipeline:
        if str(step.get('type')).split('.')[-1] in ('LoadImage', 'LoadImageFromFile'):
            return {name: step[name] for name in names if step.get(name) is not None}
    return None


def _told_by_size(shown: tuple[int, int], annotated: tuple[int, int]) -> str:
    """What boxes lie on: ``'shown'``, ``'stored'`` or ``'auto'`` if (height, width) fit to both."""
    stored = shown[::-1]
    for fits in (_same_size, _same_proportions):
        on_shown, on_stored = fits(shown, annotated), fits(stored, annotated)
        if on_shown != on_stored:
            return 'shown' if on_shown else 'stored'
    # A size that fits to neither has a warning of its own.
    return 'auto' if on_shown else 'shown'


def _same_size(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return tuple(one) == tuple(other)


def _same_proportions(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """A copy resized as a whole keeps its proportions, up to the rounding."""
    (height, width), (other_height, other_width) = one, other
    return abs(width * other_height - height * other_width) <= 0.02 * height * other_width


def _check_proportions(path: str, loaded: tuple[int, int], annotated: tuple[int, int]) -> None:
    """Warn if the boxes cannot fit."""
    if not _same_proportions(loaded, annotated):
        (h, w), (ann_h, ann_w) = loaded, annotated
        warn(
            f'{path} is {w} x {h} but {ann_w} x {ann_h} in the annotation file: its boxes are '
            'misplaced. Is it another image, or were they drawn on the image as its EXIF turns it '
            'while color_type ignores that?'
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
