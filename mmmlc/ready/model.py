"""A model that is ready: from photographs to labels, scores and regions.

B: images, C: classes.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample
from PIL import Image
from torch import Tensor

from mmmlc.datasets.transforms import LoadImage
from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.launch import load_config
from mmmlc.registry import MODELS, TRANSFORMS
from mmmlc.visualization.regions import draw_prediction

from .folder import CONFIG, WEIGHTS, find_folder

#: A file, an image of Pillow, or an array (H, W, 3) RGB or (H, W) grey of uint8.
Photograph: TypeAlias = str | Path | Image.Image | np.ndarray


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Warnings alone: a network that is built or initialised logs its parts."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True)
class Region:
    """A part of the image that the model looked at, as the class with this score in it."""

    box: tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the image
    label: str
    score: float


@dataclass(frozen=True)
class Prediction:
    """What a model says of an image."""

    image: str  # path, or 'image 3' of those that were given
    labels: tuple[str, ...]  # whose score reaches their class's threshold, best first
    scores: dict[str, float]  # of all classes, in [0, 1]
    regions: tuple[Region, ...]  # empty for a model that finds none


class ReadyModel:
    """A classifier with the names of its classes, its thresholds and its pipeline.

    Args:
        cfg: With ``model`` and ``test_dataloader``.
        state: Weights of the model.
        classes: Names of the C classes.
        device: Of the model.
        where: Named in errors.

    Raises:
        ValueError: if keys, shapes or classes do not fit to each other, or the pipeline does not
            begin with ``mmmlc.LoadImage``.
    """

    def __init__(
        self,
        cfg: Config,
        state: dict[str, Tensor],
        classes: Sequence[str],
        device: str | torch.device = 'cpu',
        where: str = 'the model',
    ):
        scope = cfg.get('default_scope') or 'mmengine'
        with DefaultScope.overwrite_default_scope(scope), quiet():
            model = MODELS.build(copy.deepcopy(cfg.model))  # mmpretrain writes into it
            steps = [TRANSFORMS.build(step) for step in cfg.test_dataloader.dataset.pipeline]
        if not isinstance(steps[0], LoadImage):
            raise ValueError(
                f'{where}: test_dataloader.dataset.pipeline begins with '
                f'{type(steps[0]).__name__}, expected mmmlc.LoadImage'
            )
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f'{where}: weights do not fit model of {CONFIG}: {error}') from error
        number = getattr(model.head, 'num_classes', len(classes))
        if number != len(classes):
            raise ValueError(f'{where}: {len(classes)} names of classes, the head has {number}')
        self.model = model.to(device).eval()
        self.classes = tuple(classes)
        self._load, self._transform = steps[0], Compose(steps[1:])

    @property
    def thresholds(self) -> Tensor:
        """Least score of each class in ``labels``, (C,)."""
        threshold = torch.as_tensor(self.model.head.label_threshold)
        return threshold.expand(len(self.classes)).clone()

    def predict(self, images: Iterable[Photograph], batch_size: int = 16) -> list[Prediction]:
        """Labels, scores and regions of images.

        Args:
            images: Paths, images of Pillow, or arrays of uint8, (H, W, 3) in the order RGB (OpenCV
                reads BGR) or (H, W) grey. Files and Pillow's images are turned as EXIF says.
            batch_size: How many go through the model at once.

        Raises:
            BrokenImageError: for an image that cannot be read; names it.
            TypeError: for something else than an image; ValueError for an array of another type or
                shape, both with its number.
        """
        return [self.prediction_of(sample) for sample in self.samples(images, batch_size)]

    def samples(self, images: Iterable[Photograph], batch_size: int = 16) -> Iterator[DataSample]:
        """The same as :meth:`predict` in the form of mmpretrain, one after the other.

        Args:
            images: See :meth:`predict`.
            batch_size: How many go through the model at once.
        """
        if isinstance(images, (str, Path, Image.Image, np.ndarray)):
            raise TypeError(f'images is one {type(images).__name__}, expected a list of images')
        if batch_size < 1:
            raise ValueError(f'batch_size is {batch_size}, expected at least 1')
        inputs = (self._input(image, number) for number, image in enumerate(images))
        while batch := list(islice(inputs, batch_size)):
            with torch.inference_mode():
                found = self.model.test_step(pseudo_collate(batch))
            yield from found

    def prediction_of(self, sample: DataSample) -> Prediction:
        """A sample of :meth:`samples` in plain values."""
        scores = sample.pred_score.tolist()
        labels = sorted(sample.pred_label.tolist(), key=lambda label: -scores[label])
        regions: tuple[Region, ...] = ()
        if 'bboxes' in (found := sample.get('pred_instances', {})):
            columns = (found.bboxes.tolist(), found.labels.tolist(), found.scores.tolist())
            regions = tuple(
                Region(tuple(box), self.classes[label], score)
                for box, label, score in zip(*columns, strict=True)
            )
        return Prediction(
            sample.img_path,
            tuple(self.classes[label] for label in labels),
            dict(zip(self.classes, scores, strict=True)),
            regions,
        )

    def draw(self, image: Photograph, sample: DataSample) -> Image.Image:
        """A picture of one of :meth:`samples`: its labels, and their regions."""
        pixels = self._read(image, 0)['img'][..., ::-1]
        picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8))
        return draw_prediction(picture, sample.cpu(), self.classes, min_score=None)

    def _input(self, image: Photograph, number: int) -> dict[str, Any]:
        return self._transform(self._read(image, number))

    def _read(self, image: Photograph, number: int) -> dict[str, Any]:
        if isinstance(image, (str, Path)):
            return self._load(dict(img_path=str(image), sample_idx=number))
        name = f'image {number}'
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)) or image.ndim < 2:
                raise ValueError(
                    f'{name} is an array of {image.dtype} {image.shape}, expected uint8 (H, W, 3) '
                    'in the order RGB, or (H, W)'
                )
            image = Image.fromarray(image)
        if not isinstance(image, Image.Image):
            raise TypeError(
                f'{name} is of type {type(image).__name__}, expected a path, an image of Pillow or '
                'an array'
            )
        return dict(img_path=name, sample_idx=number) | self._load.from_image(image, name)


def get_model(name: str | Path, device: str | torch.device = 'cpu') -> ReadyModel:
    """A model that is ready, by its name or folder; no network, no other file is read.

    The folder's ``config.py`` is Python and is run: take folders from those whom you trust.

    Args:
        name: Of a folder in ``models`` of the checkout or in one of ``$MMMLC_MODELS``; or a path.
        device: Where it runs.

    Raises:
        FileNotFoundError: if there is none; names those that are there.
        ValueError: if the files of the folder do not fit to each other.
    """
    folder = find_folder(name)
    stored = load_checkpoint_file(folder / WEIGHTS)
    classes = stored['meta']['dataset_meta']['classes']
    cfg = load_config(folder / CONFIG)
    return ReadyModel(cfg, stored['state_dict'], classes, device, str(folder))
