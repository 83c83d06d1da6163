"""From labels of photographs to a model that is ready: what ``tools/make_model.py`` calls.

N: images, V: views, D: channels, C: classes.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmpretrain.datasets.base_dataset import BaseDataset
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from mmmlc.engine.feature_files import Features, extract_features
from mmmlc.engine.launch import load_below_head
from mmmlc.engine.prepare import RunOptions, prepare
from mmmlc.ops.logistic import LinearMaps
from mmmlc.ops.pooling import global_pool
from mmmlc.registry import MODELS

from .linear import CrossValidated, Labels
from .model import quiet

BACKBONES = {name: f'tf_efficientnet_{name}' for name in ('lite0', 'lite1', 'lite2')}
CHANNELS = 1280  # of their last map


def default_config(backbone: str = 'lite0', size: int = 224) -> Config:
    """A plain classifier on a backbone with packaged weights, and its test; without data.

    Args:
        backbone: One of ``BACKBONES``.
        size: Height and width of the input in pixels.
    """
    pipeline = [
        dict(type='mmmlc.LoadImage'),
        dict(type='mmpretrain.Resize', scale=(size, size), backend='pillow'),
        dict(type='mmmlc.PackInputs'),
    ]
    model = dict(
        backbone=dict(
            type='mmmlc.TIMMFeatureMap', model_name=BACKBONES[backbone], pretrained='packaged'
        ),
        head=dict(in_channels=CHANNELS),
        data_preprocessor=dict(
            type='mmpretrain.ClsDataPreprocessor',
            mean=[127.0, 127.0, 127.0],  # of these weights
            std=[128.0, 128.0, 128.0],
            to_rgb=True,
        ),
    )
    loader = dict(
        batch_size=32,
        num_workers=1,
        sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
        dataset=dict(pipeline=pipeline),
    )
    return Config(dict(model=model, test_dataloader=loader, test_cfg=dict()))


def data_config(
    labels: Path, images: Path, classes: Sequence[str] | None = None, split: str | None = None
) -> dict:
    """Config of a data set: COCO's format for ``*.json``, else :class:`mmmlc.datasets.OwnLabels`.

    An image without any label is one of none of the classes.

    Args:
        labels: The file.
        images: Folder that its paths start from.
        classes: Names, where they are not to be those of the file.
        split: Rows that are taken, of the column ``split`` or by the names of the files, see
            ``OwnLabels``; None takes all.

    Raises:
        ValueError: for a split of a file in COCO's format, which has none.
    """
    common = dict(ann_file=str(labels), data_prefix=dict(img_path=str(images)), test_mode=True)
    if classes is not None:
        common['classes'] = [*classes]
    if labels.suffix.lower() != '.json':
        return dict(type='mmmlc.OwnLabels', split=split, **common)
    if split is not None:
        raise ValueError(f'{labels} is in the format of COCO, which has no split {split!r}')
    return dict(type='mmmlc.CocoMultiLabel', with_boxes=False, keep_unlabelled=True, **common)


def linear_model(cfg: Config, classes: int, regions: int = 0) -> None:
    """Make the model of a config a linear one on its backbone and neck, in place.

    Args:
        cfg: With ``model``.
        classes: C.
        regions: N of ``mmmlc.MCAR``; 0 for the plain classifier.

    Raises:
        ValueError: if regions are asked for and there is no MCAR, or the head names no channels.
    """
    if regions and MODELS.get('mmmlc.MCAR') is None:
        raise ValueError(f'regions is {regions}, which needs mmmlc.MCAR: it is not there')
    channels = (cfg.model.get('head') or {}).get('in_channels')
    if not channels:
        raise ValueError(
            f'model.head.in_channels is {channels}, expected those of the last map of backbone and '
            'neck'
        )
    head = dict(
        type='mmmlc.MultiLabelConvHead', num_classes=classes, in_channels=channels, pooling='gap'
    )
    parts = ('backbone', 'neck', 'data_preprocessor')
    kept = {key: cfg.model[key] for key in parts if cfg.model.get(key) is not None}
    kind: dict[str, Any] = dict(type='mmpretrain.ImageClassifier')
    if regions:
        kind = dict(type='mmmlc.MCAR', topn=regions)
    cfg.model = Config(dict(model=dict(**kind, **kept, head=head))).model
    # As many images and regions at once as images without regions.
    cfg.test_dataloader.batch_size = -(-cfg.test_dataloader.batch_size // (1 + regions))


def build_network(cfg: Config, checkpoint: str | None, device: str) -> ImageClassifier:
    """The model, whose backbone has the weights of a checkpoint, or those that it starts from."""
    scope = cfg.get('default_scope') or 'mmengine'
    with DefaultScope.overwrite_default_scope(scope), quiet():
        prepare(cfg, RunOptions(train=False))
        model = MODELS.build(copy.deepcopy(cfg.model))  # mmpretrain writes into it
        checkpoint = checkpoint or cfg.get('load_from')
        if checkpoint is None:
            model.init_weights()
        else:
            load_below_head(model, checkpoint)
    return model.to(device).eval()


def both_views(model: ImageClassifier, images: Tensor) -> Tensor:
    """Average pooled maps of images and of their mirror images, (B, 2 * D)."""
    maps = [model.extract_feat(view)[-1] for view in (images, images.flip(-1))]
    if maps[0].ndim != 4:
        raise ValueError(
            f'model.backbone and neck give {tuple(maps[0].shape)}, expected a map (B, D, h, w)'
        )
    return torch.cat([global_pool(last, 'gap') for last in maps], dim=1)


def features_of(
    model: ImageClassifier, cfg: Config, dataset: BaseDataset, folder: Path, console: Console
) -> tuple[Features, Tensor]:
    """Labels and features (N, V, D) of a data set; kept in a folder, and resumed there."""
    made_of = dict(
        weights=_digest(model),
        data=repr(cfg.test_dataloader.dataset),
        labels=hashlib.sha256(Path(dataset.source).read_bytes()).hexdigest()[:16],
    )
    name = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    data = extract_features(
        model,
        lambda images: both_views(model, images),
        dataset,
        folder / f'features-{name}',
        made_of,
        model.head.num_classes,
        cfg.test_dataloader.batch_size,
        cfg.test_dataloader.num_workers,
        console,
    )
    return data, torch.from_numpy(np.array(data.features)).unflatten(1, (2, -1))


def _digest(model: ImageClassifier) -> str:
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        if not name.startswith('head.'):
            digest.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def labels_of(data: Features) -> Labels:
    """What the data set says of its images."""
    positive, ignored = (torch.from_numpy(np.array(x)) for x in (data.positive, data.ignored))
    return Labels(positive & ~ignored, ~ignored)


def put_in(model: ImageClassifier, maps: LinearMaps) -> None:
    """Make linear classifiers the head of a model."""
    with torch.no_grad():
        model.head.classifier.weight.copy_(maps.weight[..., None, None])
        model.head.classifier.bias.copy_(maps.bias)


def predictions(
    model: ImageClassifier, dataset: Dataset, cfg: Config, rows: Sequence[int] | None = None
) -> Iterator[list[DataSample]]:
    """Predictions of a data set, or of some of its images, batch by batch."""
    part = dataset if rows is None else Subset(dataset, rows)
    loader = DataLoader(
        part,
        cfg.test_dataloader.batch_size,
        num_workers=cfg.test_dataloader.num_workers,
        collate_fn=pseudo_collate,
    )
    for batch in loader:
        with torch.inference_mode():
            found = model.test_step(batch)
        yield found


def unseen_scores(
    model: ImageClassifier,
    dataset: Dataset,
    cfg: Config,
    found: CrossValidated,
    advance: Callable[[int], None],
) -> Tensor:
    """Scores (N, C) of the whole model for each image, with the head that did not see it.

    With regions a score is the highest of image and regions: it is not that of the image alone.
    """
    scores = torch.zeros_like(found.logits)
    for fold, maps in enumerate(found.of_folds):
        put_in(model, maps)
        rows = (found.folds == fold).nonzero().flatten()
        done = 0
        for samples in predictions(model, dataset, cfg, rows.tolist()):
            batch = torch.stack([sample.pred_score for sample in samples]).cpu()
            scores[rows[done : done + len(batch)]] = batch
            done += len(batch)
            advance(len(batch))
    return scores
