"""Learning curves of finished or running trainings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mmmlc.plots import save_figure

Points = list[tuple[float, float]]


def read_scalars(work_dir: str | Path, key: str, axis: str = 'step') -> Points:
    """Read a logged value of the newest run in a work directory.

    Args:
        work_dir: Of a training with mmengine's ``LocalVisBackend``.
        key: Name in ``vis_data/scalars.json``: ``loss``, ``mAP``, ...
        axis: ``step`` (iterations for training values, epochs for metrics) or another logged key.

    Returns:
        Pairs of ``axis`` and ``key``, in the order logged.

    Raises:
        FileNotFoundError: if the directory holds no log.
    """
    logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not logs:
        raise FileNotFoundError(f'{work_dir}: no */vis_data/scalars.json, expected a training log')
    records = [json.loads(line) for line in logs[-1].read_text().splitlines() if line]
    return [(r[axis], r[key]) for r in records if key in r and axis in r]


def draw_curves(work_dirs: Mapping[str, str | Path], out: str | Path) -> None:
    """Draw training loss (of the global stream, if there are two) and validation mAP into a PNG.

    Args:
        work_dirs: Name of each run and its work directory.
        out: The file to write.
    """
    from matplotlib.figure import Figure  # slow to import, and needed here only

    figure = Figure(figsize=(10, 4), layout='constrained')
    loss_axes, map_axes = figure.subplots(1, 2)
    for name, work_dir in work_dirs.items():
        # MCAR's total is a sum over two streams; that of the whole image compares with a baseline.
        losses = read_scalars(work_dir, 'loss_global') or read_scalars(work_dir, 'loss')
        loss_axes.plot(*zip(*losses, strict=True), label=name)
        scores = read_scalars(work_dir, 'mAP')
        map_axes.plot(*zip(*scores, strict=True), marker='o', label=name)
    loss_axes.set(xlabel='iteration', ylabel='training loss of the whole image')
    map_axes.set(xlabel='epoch', ylabel='validation mAP (%)')
    map_axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in (loss_axes, map_axes):
        axes.grid(alpha=0.3)
        axes.legend()
    save_figure(figure, out, dpi=110)
