"""Tiny data sets in the formats of the configs, written to a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from mmengine.config import Config
from PIL import Image

from mmmlc.datasets.voc import VOC
from mmmlc.proposals.store import ImageProposals, encode, write_store

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def write_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_coco(root: Path, dataset: Config, classes: list[str], images: int = 2) -> None:
    """What a ``CocoMultiLabel`` config reads: image i has the classes i and i + 1."""
    records, annotations = [], []
    for i in range(images):
        records.append(dict(id=i + 1, file_name=f'{i:06d}.png', height=40, width=60))
        write_image(root / dataset.data_prefix.img_path / f'{i:06d}.png', i)
        for label in (i, i + 1):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i + 1,
                    category_id=label % len(classes) + 1,
                    bbox=[5, 6, 20, 10],
                    area=200,
                    iscrowd=0,
                )
            )
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(classes)]
    path = root / dataset.ann_file
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(images=records, annotations=annotations, categories=categories)
    path.write_text(json.dumps(content))


def write_voc(root: Path, dataset: Config, images: int = 2) -> None:
    """What a ``VOC`` config reads: one object an image."""
    names = VOC.METAINFO['classes']
    ids = [f'{i:06d}' for i in range(images)]
    for i, name in enumerate(ids):
        write_image(root / 'JPEGImages' / f'{name}.jpg', i)
        xml = (
            '<annotation><size><width>60</width><height>40</height><depth>3</depth></size>'
            f'<object><name>{names[i]}</name><difficult>0</difficult><bndbox><xmin>3</xmin>'
            '<ymin>4</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object></annotation>'
        )
        path = root / 'Annotations' / f'{name}.xml'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(xml)
    path = root / 'ImageSets' / 'Main' / f'{dataset.split}.txt'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(ids) + '\n')


def write_proposals(path: Path, folder: str, names: list[str]) -> Path:
    """A proposals file with three boxes for each image of 60 x 40."""
    boxes = np.array([[0.0, 0.0, 0.5, 0.5], [0.2, 0.3, 0.9, 1.0], [0.4, 0.1, 0.6, 0.7]])
    images = [ImageProposals(name, 60, 40, len(boxes)) for name in names]
    write_store(path, folder, images, [encode(boxes, np.arange(3.0))] * len(images), {})
    return path


def write_dataset(root: Path, dataset: Config, num_classes: int) -> None:
    """Write what one dataset config reads and point the config to it."""
    if dataset.type == 'mmmlc.VOC':
        write_voc(root, dataset)
    else:
        write_coco(root, dataset, [f'class {i}' for i in range(num_classes)])
    dataset.data_root = str(root)


def write_for(cfg: Config, root: Path) -> None:
    """Write data for all loaders of a config and point the config to it."""
    for key in LOADERS:
        if cfg[key] is None:
            continue
        write_dataset(root, cfg[key].dataset, cfg.model.head.num_classes)
        cfg[key].update(num_workers=0, persistent_workers=False)


def shrink(cfg: Config, work_dir: Path) -> Config:
    """One small step of a config, without downloads: tiny data, one epoch, images of 64 pixels."""
    cfg.model.backbone.init_cfg = None
    for key in LOADERS:
        for transform in cfg[key].dataset.pipeline if cfg.get(key) else ():
            if transform.type == 'mmpretrain.Resize':
                transform.scale = (64, 64)
    write_for(cfg, work_dir / 'data')
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    cfg.work_dir = str(work_dir / 'work')
    return cfg
