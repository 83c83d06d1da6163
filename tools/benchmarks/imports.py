"""What importing mmmlc adds to ``import mmpretrain.models``, in fresh processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

REPEATS = 5
PARTS = 'mmmlc.models, mmmlc.datasets, mmmlc.evaluation, mmmlc.hooks'


def run() -> Iterator[dict]:
    """Yield the figures: the package alone, then with every registered part."""
    figures = (
        ('imports.mmmlc_seconds', 'mmmlc', '<= 0.2'),
        ('imports.all_parts_seconds', PARTS, '<= 0.2'),
    )
    for figure, modules, reach in figures:
        value = round(statistics.median(seconds(modules) for _ in range(REPEATS)), 4)
        yield dict(figure=figure, value=value, reach=reach, device='cpu')


def seconds(modules: str) -> float:
    """Wall time of importing the modules where mmpretrain's models are there already."""
    code = (
        'import mmpretrain.models, time\n'
        'start = time.perf_counter()\n'
        f'import {modules}\n'
        'print(time.perf_counter() - start)'
    )
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        env=os.environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(result.stdout.splitlines()[-1])
