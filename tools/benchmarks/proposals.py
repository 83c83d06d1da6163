"""EdgeBoxes: two processes against one loop, the proposals file, and recall on COCO128.

Reads COCO128 where configs/mcar/mcar_r18_coco128.py has it, in data/coco128.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from torchvision.ops import box_iou

from mmmlc.datasets.coco import CocoMultiLabel
from mmmlc.datasets.transforms import LoadImage
from mmmlc.proposals.edge_boxes import EdgeBoxes
from mmmlc.proposals.extract import Extraction, ImageExtractor, ImageList, list_images
from mmmlc.proposals.store import ProposalStore

from .timing import seconds

CONFIG = Path(__file__).resolve().parents[2] / 'configs/mcar/mcar_r18_coco128.py'
TIMED = 24
SMALL = 1024  # pixels: objects up to this area count apart


def _make() -> ImageExtractor:
    return ImageExtractor(EdgeBoxes(), {})


def _loop(images: ImageList) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Boxes in pixels and scores of each image, one after the other."""
    load, finder = LoadImage(), EdgeBoxes()
    return {name: finder(load({'img_path': p})['img']) for name, p in images.paths.items()}


def _extract(images: ImageList, out: Path, workers: int = 2) -> ProposalStore:
    out.unlink(missing_ok=True)
    Extraction(images, out, EdgeBoxes().parameters).extract(_make, workers)
    return ProposalStore(out)


def _differences(store: ProposalStore, expected: dict) -> int:
    """Images whose boxes or scores are not exactly those of the loop."""
    count = 0
    for name, (boxes, scores) in expected.items():
        image, found = store.image(name), store[name]
        pixels = np.rint(found[0] * np.array([image.width, image.height] * 2))
        same = np.array_equal(pixels, boxes) and np.array_equal(found[1], scores)
        count += not same
    return count


def _recall(store: ProposalStore, dataset: CocoMultiLabel, topk: int) -> tuple[float, float, int]:
    """Recall at IoU 0.5 of all objects and of those above SMALL that are no crowd; their number."""
    found, counted = [], []
    for sample in (dataset.get_data_info(i) for i in range(len(dataset))):
        boxes = store.load(store.find(sample['img_path']), topk)[0]
        iou = box_iou(torch.from_numpy(sample['boxes']), torch.from_numpy(boxes))
        found.append((iou.amax(1) >= 0.5).numpy() if len(boxes) else np.zeros(len(iou), bool))
        height, width = sample['ann_shape']
        sides = (sample['boxes'][:, 2:] - sample['boxes'][:, :2]) * [width, height]
        counted.append((sides.prod(1) > SMALL) & ~sample['box_crowd'])
    found, counted = np.concatenate(found), np.concatenate(counted)
    return float(found.mean()), float(found[counted].mean()), int(counted.sum())


def _read_ms(store: ProposalStore) -> float:
    """Median time of one image, all its boxes, its name looked up from a path."""
    times = []
    for name in store.names * 5:
        start = time.perf_counter()
        store.load(store.find(f'data/{store.folder}/{name}'))
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def run() -> Iterator[dict]:
    """Yield one dict per figure."""
    figure = partial(dict, device='cpu')
    cv2.setNumThreads(0)
    cfg = Config.fromfile(CONFIG)
    images = list_images(cfg, 'train')
    some = images._replace(paths=dict(list(images.paths.items())[:TIMED]))
    with tempfile.TemporaryDirectory() as folder:
        expected = _loop(some)  # also the warm-up
        store = _extract(some, Path(folder) / 'some')
        differences = _differences(store, expected)
        pairs = [
            (seconds(partial(_loop, some)), seconds(partial(_extract, some, Path(folder) / 'some')))
            for _ in range(3)
        ]
        ratio = round(statistics.median(loop / two for loop, two in pairs), 2)
        yield figure(figure='proposals.two_processes_over_loop', value=ratio, reach='>= 1.8')
        yield figure(figure='proposals.images_that_differ', value=differences, reach='0')
        per_image = round(min(loop for loop, _ in pairs) / len(some.paths), 3)
        yield figure(figure='proposals.seconds_per_image', value=per_image, reach='-')

        store = _extract(images, Path(folder) / 'all')
        counts = sum(store.image(name).num_boxes for name in store.names)
        size = round(Path(store.path).stat().st_size / counts, 3)
        yield figure(figure='proposals.bytes_per_box', value=size, reach='12 and a header')
        yield figure(figure='proposals.read_ms', value=round(_read_ms(store), 4), reach='<= 0.2')
        dataset = CocoMultiLabel(**{k: v for k, v in _dataset(cfg).items() if k != 'type'})
        for topk in (2000, 500):
            everything, larger, count = _recall(store, dataset, topk)
            name = f'proposals.recall_{topk}'
            yield figure(figure=name, value=round(everything, 3), reach='-')
            reach = '>= 0.75' if topk == 2000 else '-'
            name = f'{name}_of_{count}_above_{SMALL}'
            yield figure(figure=name, value=round(larger, 3), reach=reach)


def _dataset(cfg: Config) -> dict:
    return dict(cfg.train_dataloader.dataset, pipeline=[])
