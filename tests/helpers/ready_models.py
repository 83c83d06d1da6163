"""Folders of small models with random weights, and photographs of three colours."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image

from mmmlc.ready.folder import new_folder, write_model
from mmmlc.registry import MODELS

from .small_models import PLAIN, C

CLASSES = ('blue', 'green', 'red')
THRESHOLDS = (0.4, 0.5, 0.6)
SIZE = 64
PIPELINE = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(SIZE, SIZE), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]


def ready_config(model: dict | None = None) -> Config:
    """The config of a small model, which is tested on ``labels.csv``."""
    dataset = dict(type='mmmlc.OwnLabels', ann_file='labels.csv', classes=[*CLASSES])
    dataset |= dict(data_prefix=dict(img_path=''), test_mode=True, pipeline=PIPELINE)
    sampler = dict(type='mmengine.DefaultSampler', shuffle=False)
    loader = dict(batch_size=3, num_workers=0, sampler=sampler, dataset=dataset)
    return Config(
        copy.deepcopy(
            dict(
                model=model or PLAIN,
                test_dataloader=loader,
                test_evaluator=dict(type='mmmlc.MultiLabelMetric', threshold='pred_label'),
                test_cfg=dict(),
            )
        )
    )


def random_state(cfg: Config, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights whose scores differ from image to image, with thresholds."""
    torch.manual_seed(seed)
    model = MODELS.build(copy.deepcopy(cfg.model))
    # As after a training: the averages of the norms and the scores are those of some images.
    images = 60 * torch.rand(16, 3, SIZE, SIZE) + 40 * torch.rand(16, 3, 1, 1)
    head = model.head.classifier
    with torch.no_grad():
        torch.nn.init.normal_(head.weight)
        for _ in range(20):
            model.train()(images)
        logits = model.eval()(images)
        deviation, mean = torch.std_mean(logits, 0)
        head.weight /= deviation[:, None, None, None]
        head.bias.copy_(-mean / deviation)
    return model.state_dict() | {'head.thresholds': torch.tensor(THRESHOLDS[:C])}


def write_ready(folder: Path, model: dict | None = None, half: bool = False) -> Path:
    """The folder of a model."""
    cfg = ready_config(model)
    with new_folder(folder) as part:
        write_model(part, str(folder), cfg, random_state(cfg), CLASSES, half)
    return folder


def write_colours(folder: Path, images: int = 7, size: tuple[int, int] = (50, 40)) -> list[str]:
    """Photographs in noise, with squares of the colours that ``labels.csv`` names; their paths."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    lines, paths = ['path,labels'], []
    for i in range(images):
        pixels = rng.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
        present = [c for c in range(3) if (i + 1) >> c & 1]
        for c in present:
            x, y = rng.integers(0, (size[0] - 16, size[1] - 16))
            pixels[y : y + 16, x : x + 16] = 0
            pixels[y : y + 16, x : x + 16, 2 - c] = 255  # blue is the last channel
        paths.append(str(folder / f'{i}.png'))
        Image.fromarray(pixels).save(paths[-1])
        lines.append(f'{i}.png,{";".join(CLASSES[c] for c in present)}')
    (folder / 'labels.csv').write_text('\n'.join(lines) + '\n')
    return paths
