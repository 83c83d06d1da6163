"""Pipeline step that adds the proposals of an image.

R: proposals given per image, n: those in the file.
"""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform

from mmmlc.ops.checks import check_choice
from mmmlc.registry import TRANSFORMS

from .store import ProposalStore

WHOLE_IMAGE = np.array([0, 0, 1, 1], dtype=np.float32)


@TRANSFORMS.register_module()
class LoadProposals(BaseTransform):
    """Add the ``topk`` best proposals of an image from a file of ``tools/extract_proposals.py``.

    Adds ``proposals`` (R, 4) float32, x1, y1, x2, y2 as fractions of the image's width and height,
    best first, ``proposal_scores`` (R,) float32 and ``proposal_valid`` (R,) bool. R is always
    ``topk``. An image without proposals gets its whole area as the only one, with score 1.

    Goes before every step that flips or crops the image: the file holds the boxes of the image as
    it is on disk. The data sets of mmmlc check that, and that all later steps move proposals too.

    Args:
        file: the proposals file.
        topk: proposals per image.
        fill: what images with fewer get: ``'recycle'`` repeats theirs from the first on, all valid;
            ``'pad'`` adds boxes of zeros with score 0 that are not valid.
        img_prefix: the image folder, where it is called otherwise than at the extraction.

    Raises:
        FileNotFoundError, ValueError: see :class:`~mmmlc.proposals.ProposalStore`; ValueError also
            if the file lacks an image, and for an image of other proportions than at the
            extraction.
    """

    loads_boxes = True

    def __init__(
        self, file: str, topk: int = 500, fill: str = 'recycle', img_prefix: str | None = None
    ) -> None:
        super().__init__()
        check_choice('LoadProposals: fill', fill, ('recycle', 'pad'))
        if not isinstance(topk, int) or topk < 1:
            raise ValueError(f'LoadProposals: topk={topk!r}, expected an integer of at least 1')
        self.store = ProposalStore(file)
        self.topk = topk
        self.fill = fill
        self.img_prefix = img_prefix

    def transform(self, results: dict) -> dict:
        """Add the proposals of ``results['img_path']``."""
        name = self.store.find(results['img_path'], self.img_prefix)
        if 'ori_shape' in results:
            self._check_proportions(name, results)
        boxes, scores = self.store.load(name, self.topk)
        if not len(boxes):
            boxes, scores = WHOLE_IMAGE[None], np.ones(1, np.float32)
        slots = np.arange(self.topk)
        valid = np.full(self.topk, True) if self.fill == 'recycle' else slots < len(boxes)
        slots %= len(boxes)
        results['proposals'] = np.where(valid[:, None], boxes[slots], np.float32(0))
        results['proposal_scores'] = np.where(valid, scores[slots], np.float32(0))
        results['proposal_valid'] = valid
        return results

    def _check_proportions(self, name: str, results: dict) -> None:
        """Another image of the same name, or turned; a copy resized as a whole passes."""
        (height, width), image = results['ori_shape'][:2], self.store.image(name)
        if abs(width * image.height - height * image.width) > 0.02 * width * image.height:
            raise ValueError(
                f'{results["img_path"]} is {width} x {height}, but {image.width} x {image.height} '
                f'in {self.store.path}: proposals of another image, or of one that was loaded '
                'with another color_type (EXIF orientation)'
            )

    def __repr__(self) -> str:
        return (
            f'LoadProposals(file={self.store.path!r}, topk={self.topk}, fill={self.fill!r}, '
            f'img_prefix={self.img_prefix!r})'
        )
