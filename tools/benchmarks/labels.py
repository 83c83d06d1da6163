"""A CSV file of a million rows: time to load, and memory that worker processes don't share."""

from __future__ import annotations

import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

ROWS, SMALL, CLASSES, WORKERS = 1_000_000, 1_000, 80, 2


def run() -> Iterator[dict]:
    """Yield the figures: seconds to load, peak memory, and private memory per worker."""
    with tempfile.TemporaryDirectory() as folder:
        results = {}
        for rows in (SMALL, ROWS):
            path = Path(folder) / f'{rows}.csv'
            write_csv(path, rows)
            results[rows] = _in_own_process(path)
    many, few = results[ROWS], results[SMALL]
    growth = max(many['private_mib']) - max(few['private_mib'])
    for figure, value, reach in (
        ('labels.load_seconds_1M_rows', many['seconds'], '<= 10'),
        ('labels.table_mib_1M_rows', many['table_mib'], ''),
        ('labels.peak_mib_of_loading_over_1k_rows', many['peak_mib'] - few['peak_mib'], ''),
        ('labels.private_mib_per_worker', max(many['private_mib']), ''),
        ('labels.private_mib_per_worker_over_1k_rows', growth, '<= 5'),
    ):
        yield dict(figure=figure, value=round(value, 2), reach=reach, device='cpu')


def write_csv(path: Path, rows: int, seed: int = 0) -> None:
    """Columns path and labels: 0 to 5 of 80 classes an image."""
    rng = np.random.default_rng(seed)
    names = np.array([f'class {c:02d}' for c in range(CLASSES)])
    counts = rng.integers(0, 6, rows)
    labels = iter(names[rng.integers(0, CLASSES, int(counts.sum()))].tolist())
    with open(path, 'w') as file:
        file.write('path,labels\n')
        file.writelines(
            f'folder_{i % 1000:03d}/image_{i:09d}.jpg,{";".join(next(labels) for _ in range(n))}\n'
            for i, n in enumerate(counts.tolist())
        )


def _in_own_process(path: Path) -> dict:
    code = f'import benchmarks.labels as b; print(b.measure({str(path)!r}))'
    folder = Path(__file__).resolve().parents[1]
    result = subprocess.run(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, text=True, check=True, cwd=folder
    )
    return json.loads(result.stdout.strip().splitlines()[-1])


def measure(path: str) -> str:
    """Load, then read every sample in forked workers; JSON of seconds and MiB."""
    from mmmlc.datasets.own_labels import OwnLabels

    start = time.perf_counter()
    dataset = OwnLabels(path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table = dataset.data_list
    columns = (table.paths, table.labels, table.unknown)
    size = sum(c.values.nbytes + c.ends.nbytes for c in columns) + table.entries.nbytes
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    workers = [context.Process(target=_read, args=(dataset, queue)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    private = [queue.get() for _ in workers]
    for worker in workers:
        worker.join()
    result = dict(seconds=seconds, peak_mib=peak, table_mib=size / 2**20, private_mib=private)
    return json.dumps(result)


def _read(dataset, queue) -> None:
    """Look at every sample, as a training would, then tell the memory nobody else has."""
    for index in range(len(dataset)):
        dataset.get_data_info(index)
    queue.put(psutil.Process().memory_full_info().uss / 2**20)
