"""A model that is ready: from photographs to labels, scores and regions.

B: images, C: classes.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
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

from mmmlc.datasets.image_files import BrokenImageError, open_image
from mmmlc.datasets.transforms import LoadImage
from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.launch import load_config
from mmmlc.registry import MODELS, TRANSFORMS
from mmmlc.visualization.regions import draw_prediction

from .folder import CONFIG, WEIGHTS, find_folder
from .lookahead import ahead
from .trained import read_trained

#: A file, its content, an image of Pillow, or an array (H, W, 3) RGB or (H, W) grey of uint8.
Photograph: TypeAlias = str | Path | bytes | Image.Image | np.ndarray
_ONE = (str, Path, bytes, Image.Image, np.ndarray)


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

    def top(self, k: int) -> list[tuple[str, float]]:
        """The k classes of the highest scores, best first."""
        return sorted(self.scores.items(), key=lambda item: -item[1])[:k]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class ReadyModel:
    """A classifier with the names of its classes, its thresholds and its pipeline.

    Args:
        cfg: With ``model`` and ``test_dataloader``.
        state: Weights of the model.
        classes: Names of the C classes.
        where: Named in errors.
        device: Of the model.
        amp: Run the model in bfloat16 where the device has it (autocast).

    Raises:
        ValueError: if keys, shapes or classes do not fit to each other, or the pipeline does not
            begin with ``mmmlc.LoadImage``.
    """

    def __init__(
        self,
        cfg: Config,
        state: dict[str, Tensor],
        classes: Sequence[str],
        where: str = 'the model',
        device: str | torch.device = 'cpu',
        amp: bool = False,
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
            raise ValueError(
                f'{where}: weights do not fit the model of the config: {error}'
            ) from error
        number = getattr(getattr(model, 'head', None), 'num_classes', len(classes))
        if number != len(classes):
            raise ValueError(f'{where}: {len(classes)} names of classes, the head has {number}')
        self.model = model.to(device).eval()
        self.classes = tuple(classes)
        self.amp = amp
        self._load, self._transform = steps[0], Compose(steps[1:])

    @property
    def thresholds(self) -> Tensor:
        """Least score of each class in ``labels``, (C,)."""
        threshold = torch.as_tensor(self.model.head.label_threshold)
        return threshold.expand(len(self.classes)).clone()

    def predict(self, images: Iterable[Photograph], batch_size: int = 16) -> list[Prediction]:
        """Labels, scores and regions of images.

        Args:
            images: Paths, contents of files, images of Pillow, or arrays of uint8, (H, W, 3) in the
                order RGB (OpenCV reads BGR) or (H, W) grey. Files and Pillow's images are turned as
                EXIF says.
            batch_size: How many go through the model at once.

        Raises:
            BrokenImageError: for an image that cannot be read; names it.
            TypeError: for something else than an image; ValueError for an array of another type or
                shape, both with its number.
        """
        return [self.prediction_of(sample) for sample in self.samples(images, batch_size)]

    def samples(
        self,
        images: Iterable[Photograph],
        batch_size: int = 16,
        threads: int = 0,
        on_broken: Callable[[BrokenImageError], None] | None = None,
    ) -> Iterator[DataSample]:
        """The same as :meth:`predict` in the form of mmpretrain, one after the other.

        No more than a few batches are held at a time, however many images there are.

        Args:
            images: See :meth:`predict`.
            batch_size: How many go through the model at once.
            threads: That read images while the model runs; 0 reads them in between.
            on_broken: Gets the error of an image that cannot be read, which is left out. Without it
                the error is raised.
        """
        if isinstance(images, _ONE):
            raise TypeError(f'images is one {type(images).__name__}, expected a list of images')
        if batch_size < 1:
            raise ValueError(f'batch_size is {batch_size}, expected at least 1')
        numbered = enumerate(images)
        inputs = ahead(
            lambda pair: self._input(pair[1], pair[0]), numbered, threads, 2 * batch_size
        )
        read = _left_out(inputs, on_broken)
        device = next(self.model.parameters()).device.type
        while batch := list(islice(read, batch_size)):
            cast = torch.autocast(device, torch.bfloat16, enabled=self.amp)
            with torch.inference_mode(), cast:
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
        if isinstance(image, bytes):
            try:
                image = open_image(image)
            except Exception as error:  # of many types, for a broken header
                raise BrokenImageError(f'{name}: {error}') from error
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)) or image.ndim < 2:
                raise ValueError(
                    f'{name} is an array of {image.dtype} {image.shape}, expected uint8 (H, W, 3) '
                    'in the order RGB, or (H, W)'
                )
            image = Image.fromarray(image)
        if not isinstance(image, Image.Image):
            raise TypeError(
                f'{name} is of type {type(image).__name__}, expected a path, the content of a '
                'file, an image of Pillow or an array'
            )
        return dict(img_path=name, sample_idx=number) | self._load.from_image(image, name)


def _left_out(
    results: Iterator[Any], on_broken: Callable[[BrokenImageError], None] | None
) -> Iterator[Any]:
    for result in results:
        if not isinstance(result, BrokenImageError):
            yield result
        elif on_broken is None:
            raise result
        else:
            on_broken(result)


def get_model(
    name: str | Path,
    device: str | torch.device = 'cpu',
    checkpoint: str | Path | None = None,
    amp: bool = False,
) -> ReadyModel:
    """A model that is ready, or one of a training; no network is used.

    A config, ``config.py`` of a folder among them, is Python and is run: take folders from those
    whom you trust. Weights are read as plain data.

    Args:
        name: Of a folder in ``models`` of the checkout or in one of ``$MMMLC_MODELS``, or its path;
            the work directory of a training; or a config file.
        device: Where it runs.
        checkpoint: Of a training, see :func:`mmmlc.ready.trained.read_trained`.
        amp: See :class:`ReadyModel`.

    Raises:
        FileNotFoundError: if there is none; names those that are there.
        ValueError: if the files do not fit to each other.
    """
    place = Path(name)
    work_dir = place.is_dir() and not (place / WEIGHTS).exists() and [*place.glob('*.pth')]
    if checkpoint is not None or work_dir or place.is_file():
        return ReadyModel(*read_trained(place, checkpoint), device=device, amp=amp)
    folder = find_folder(name)
    stored = load_checkpoint_file(folder / WEIGHTS)
    classes = stored['meta']['dataset_meta']['classes']
    cfg = load_config(folder / CONFIG)
    return ReadyModel(cfg, stored['state_dict'], classes, str(folder), device, amp)
