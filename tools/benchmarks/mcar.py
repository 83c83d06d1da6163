"""MCAR: finding regions against a naive loop, the forward pass and memory against a plain one.

B: images, C: classes, N: regions per image.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.systems.mcar.regions import attention_boxes, crop_regions, select_classes

from .timing import median_ratio

B, C, N, SIZE = 16, 80, 4, 448
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def run() -> Iterator[dict]:
    """Yield the figures one by one."""
    torch.manual_seed(0)
    name = torch.cuda.get_device_name() if DEVICE == 'cuda' else 'cpu'
    figures = (
        ('mcar.regions_speedup_over_loop', regions_speedup, '>= 12'),
        ('mcar.regions_and_crops_speedup_over_loop', regions_and_crops_speedup, '>= 2'),
        ('mcar.forward_over_plain_forwards', forward_ratio, '<= 1.05'),
        ('mcar.training_memory_over_plain', memory_ratio, '<= 1.10'),
    )
    for figure, measure, reach in figures:
        yield dict(figure=figure, value=measure(), reach=reach, device=name)


def _region_inputs() -> tuple[Tensor, Tensor, Tensor]:
    images = torch.rand(B, 3, SIZE, SIZE, device=DEVICE)
    maps = F.interpolate(torch.randn(B, C, 4, 4, device=DEVICE), (14, 14), mode='bicubic')
    return images, torch.randn(B, C, device=DEVICE), maps.sigmoid()


def regions_speedup() -> float:
    """Loop over batch: boxes only."""
    _, scores, maps = _region_inputs()
    return median_ratio(lambda: _loop(scores, maps, None), lambda: _batched(scores, maps, None))


def regions_and_crops_speedup() -> float:
    """Loop over batch: boxes and the resized crops."""
    images, scores, maps = _region_inputs()
    return median_ratio(lambda: _loop(scores, maps, images), lambda: _batched(scores, maps, images))


def _batched(scores: Tensor, maps: Tensor, images: Tensor | None) -> Tensor:
    classes = select_classes(scores, N)
    selected = maps.gather(1, classes[..., None, None].expand(-1, -1, *maps.shape[-2:]))
    boxes = attention_boxes(selected, (SIZE, SIZE))
    return boxes if images is None else crop_regions(images, boxes)


def _loop(scores: Tensor, maps: Tensor, images: Tensor | None) -> list:
    """The usual research code: all maps at full size, then image by image, region by region."""
    full = F.interpolate(maps, (SIZE, SIZE), mode='bilinear', align_corners=True)
    found = []
    for b in range(B):
        for c in scores[b].argsort(descending=True)[:N].tolist():
            ends = [_interval(full[b, c].amax(dim)) for dim in (0, 1)]
            (x1, x2), (y1, y2) = ends
            if images is None:
                found.append((x1, y1, x2, y2))
                continue
            crop = images[b : b + 1, :, y1:y2, x1:x2]
            found.append(F.interpolate(crop, (SIZE, SIZE), mode='bilinear', align_corners=True))
    return found


def _interval(profile: Tensor, tau: float = 0.5) -> tuple[int, int]:
    n = len(profile)
    m = math.ceil(n / 8)
    profile = (profile - profile.min()) / (profile.max() - profile.min())
    sign = (profile - tau).sign()
    cuts = ((sign[1:] - sign[:-1]).abs() == 2).nonzero()[:, 0].tolist()
    if not cuts:
        return m, math.ceil(7 * n / 8)
    segments = [(0, cuts[0])] if cuts[0] else []
    segments += [(cuts[-1], n), *zip(cuts[:-1], cuts[1:], strict=True)]
    a, b = max(segments, key=lambda s: (profile[s[0] : s[1]].max().item(), s[1] - s[0]))
    if b - a <= m:
        a = max(0, min(a - (m - b + a) // 2, n - m))
        b = a + m
    return a, b


def _models(topn: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    backbone = dict(type='mmpretrain.ResNet', depth=50)
    head = dict(type='mmmlc.MultiLabelConvHead', num_classes=C, in_channels=2048, pooling='gwp')
    preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
    common = dict(backbone=backbone, head=head, data_preprocessor=preprocessor)
    mcar = MODELS.build(dict(type='mmmlc.MCAR', topn=topn, **common))
    plain = MODELS.build(dict(type='mmpretrain.ImageClassifier', **common))
    return mcar.to(DEVICE), plain.to(DEVICE)


def forward_ratio() -> float:
    """MCAR on a batch over 1 + N plain forwards of as many images, in a process of its own."""
    # glibc maps large tensors anew, page by page, on every call: that would be half of the time
    # on a CPU, and more of it for the B * N crops in one piece than for B images.
    return _in_own_process(
        'paired_forwards()', MALLOC_MMAP_MAX_='0', MALLOC_TRIM_THRESHOLD_='100000000000'
    )


@torch.inference_mode()
def paired_forwards() -> float:
    """The ratio of :func:`forward_ratio`, in this process."""
    mcar, plain = (model.eval() for model in _models(N))
    images = torch.rand(2, 3, SIZE, SIZE, device=DEVICE)
    return median_ratio(lambda: mcar(images), lambda: [plain(images) for _ in range(1 + N)])


def memory_ratio() -> float:
    """Peak memory of a training step above the idle process, each in a process of its own."""
    peaks = [_in_own_process(f'training_peak({kind!r})') for kind in ('mcar', 'plain')]
    return round(peaks[0] / peaks[1], 3)


def _in_own_process(call: str, **environment: str) -> float:
    result = subprocess.run(
        [sys.executable, '-c', f'import benchmarks.mcar as m; print(m.{call})'],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[1],
        env=os.environ | environment,
    )
    return float(result.stdout.strip().splitlines()[-1])


def training_peak(kind: str, images: int = 2) -> float:
    """MiB that the second training step of R50 at 448 needs above the process before the first."""
    mcar, plain = _models(N)
    model, batch = (mcar, images) if kind == 'mcar' else (plain, images * (1 + N))
    inputs = torch.rand(batch, 3, SIZE, SIZE, device=DEVICE)
    samples = [DataSample().set_gt_label(torch.tensor([1], device=DEVICE)) for _ in range(batch)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        sum(model.loss(inputs, samples).values()).backward()
        optimizer.step()

    if DEVICE == 'cuda':
        idle = torch.cuda.memory_allocated()
        step(), step()
        return (torch.cuda.max_memory_allocated() - idle) / 2**20
    with _PeakMemory() as peak:
        step(), step()
    return peak.mib


class _PeakMemory:
    """Peak of this process's resident memory over that at the start, sampled every 5 ms."""

    def __enter__(self) -> _PeakMemory:
        self._process = psutil.Process()
        self._idle = self._peak = self._process.memory_info().rss
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._peak = max(self._peak, self._process.memory_info().rss)
            time.sleep(0.005)

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def mib(self) -> float:
        return (self._peak - self._idle) / 2**20
