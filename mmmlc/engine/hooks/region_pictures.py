"""Pictures of predictions during a test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from torch import Tensor
from torchvision.ops import nms

from mmmlc.datasets.transforms import loader_of
from mmmlc.neutral import safe_file_name
from mmmlc.proposals.store import ProposalStore
from mmmlc.registry import HOOKS
from mmmlc.visualization.regions import draw_prediction


@HOOKS.register_module()
class RegionPictureHook(Hook):
    """Write a picture of every tested image: its regions with class and scores, and its labels.

    Args:
        out_dir: Folder of the pictures, ``<index>_<image name>.jpg``.
        max_images: Stop after this many per process; None draws all.
        min_score: Regions are drawn where the fused score of their class exceeds it. The paper's
            Fig. 6 uses 0.6. Objects of SCA-DNN are drawn where their own score exceeds it.
        min_local: And where its local score exceeds this.
        proposals: File of ``tools/extract_proposals.py``: its five best proposals, after NMS at
            0.7, are drawn beside the regions (RDAL, Fig. 5).
    """

    def __init__(
        self,
        out_dir: str,
        max_images: int | None = None,
        min_score: float = 0.6,
        min_local: float = 0.1,
        proposals: str | None = None,
    ):
        if max_images is not None and max_images < 1:
            raise ValueError(f'max_images is {max_images}, expected at least 1, or None for all')
        self.out_dir = Path(out_dir)
        self.max_images = max_images
        self.min_score = min_score
        self.min_local = min_local
        self.store = None if proposals is None else ProposalStore(proposals)
        self._drawn = 0

    def before_test(self, runner: Runner) -> None:
        """Make the folder, so that a path that can't be written fails before the test."""
        self.out_dir.mkdir(parents=True, exist_ok=True)
        self._drawn = 0

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[DataSample] | None = None,
    ) -> None:
        """Draw the images of a batch."""
        classes = runner.test_dataloader.dataset.metainfo['classes']
        loader = loader_of(runner.test_dataloader.dataset)
        for sample in outputs or ():
            if self.max_images is not None and self._drawn >= self.max_images:
                return
            picture = draw_prediction(
                loader.picture(sample.img_path),
                sample,
                classes,
                self.min_score,
                self.min_local,
                self._best_proposals(sample),
            )
            index = sample.get('sample_idx', self._drawn)
            name = safe_file_name(Path(sample.img_path).stem)
            picture.save(self.out_dir / f'{index:06d}_{name}.jpg', quality=92)
            self._drawn += 1

    def _best_proposals(self, sample: DataSample) -> Tensor | None:
        """Five boxes at most, as fractions of the image."""
        if self.store is None:
            return None
        boxes, scores = map(torch.from_numpy, self.store[self.store.find(sample.img_path)])
        return boxes[nms(boxes, scores, 0.7)[:5]]
