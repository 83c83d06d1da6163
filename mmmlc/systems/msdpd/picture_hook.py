"""Pictures of the part detectors that speak for a prediction, during a test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from PIL import Image
from torch import Tensor

from mmmlc.neutral import safe_file_name, safe_line
from mmmlc.registry import HOOKS

from .part_maps import PartMap, draw_part_maps


@HOOKS.register_module()
class PartPictureHook(Hook):
    """Draw, for every tested image, the maps of the detectors that speak most for its best class.

    For models with :class:`MsDPDHead`. A detector speaks for a class by its pooled
    feature times its weight in the classifier of its scale. The network runs once more over the
    images drawn.

    Args:
        out_dir: Folder of the pictures, ``<index>_<image name>.jpg``.
        max_images: Stop after this many per process.
        detectors: Detectors a scale.
    """

    def __init__(self, out_dir: str, max_images: int = 16, detectors: int = 4):
        for name, value in (('max_images', max_images), ('detectors', detectors)):
            if value < 1:
                raise ValueError(f'PartPictureHook.{name} is {value}, expected at least 1')
        self.out_dir = Path(out_dir)
        self.max_images = max_images
        self.detectors = detectors
        self._drawn = 0

    def before_test(self, runner: Runner) -> None:
        """Check the head, and make the folder: both fail before the test."""
        scales = getattr(_model(runner).head, 'detectors', None)
        if not scales or not all(scale.num_parts for scale in scales):
            raise ValueError(
                f'PartPictureHook: model.head is {type(_model(runner).head).__name__} without part '
                'detectors, expected mmmlc.MsDPDHead with num_parts above 0'
            )
        self.out_dir.mkdir(parents=True, exist_ok=True)
        self._drawn = 0

    @torch.no_grad()
    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[DataSample] | None = None,
    ) -> None:
        """Draw the images of a batch."""
        if not outputs or not data_batch or self._drawn >= self.max_images:
            return
        count = min(self.max_images - self._drawn, len(outputs))
        model = _model(runner)
        inputs = model.data_preprocessor(data_batch, False)['inputs'][:count]
        features = model.extract_feat(inputs)
        scales = model.head.parts(features)
        sizes = [features[index].shape[2:] for index in model.head.indices]
        classes = [safe_line(c) for c in runner.test_dataloader.dataset.metainfo['classes']]
        for number in range(count):
            sample = outputs[number]
            label = int(sample.pred_score.argmax())
            rows = [
                self._best(
                    name, parts.maps[number], parts.feature[number], layer.weight[label], size
                )
                for name, parts, layer, size in zip(
                    model.head.scale_names, scales, model.head.classifiers, sizes, strict=False
                )
            ]
            title = f'{classes[label]} {float(sample.pred_score[label]):.2f}'
            if 'gt_label' in sample:
                true = ', '.join(classes[k] for k in sample.gt_label.tolist())
                title += f'\nlabels: {true}'
            picture = draw_part_maps(_image(data_batch['inputs'][number]), rows, title)
            index = sample.get('sample_idx', self._drawn)
            name = safe_file_name(Path(sample.get('img_path', 'image')).stem)
            picture.save(self.out_dir / f'{index:06d}_{name}.jpg', quality=92)
            self._drawn += 1

    def _best(
        self, name: str, maps: Tensor, feature: Tensor, weight: Tensor, size: Sequence[int]
    ) -> list[PartMap]:
        """Of maps (K, M), those of the detectors that add most to a class with weights (K,)."""
        spoken = (feature * weight).float()
        best = spoken.topk(min(self.detectors, len(spoken))).indices
        height, width = size
        return [
            PartMap(
                maps[k].float().reshape(height, width).cpu().numpy(),
                f'{name} detector {k}: {spoken[k]:+.2f}\nat most {maps[k].max():.2f}',
            )
            for k in best.tolist()
        ]


def _image(packed: Tensor) -> Image.Image:
    """The picture in a packed input (3, H, W), BGR, before normalisation."""
    pixels = packed.cpu().numpy().transpose(1, 2, 0)[..., ::-1]
    return Image.fromarray(np.ascontiguousarray(pixels.clip(0, 255).astype(np.uint8)))


def _model(runner: Runner) -> ImageClassifier:
    model = runner.model
    return model.module if is_model_wrapper(model) else model
