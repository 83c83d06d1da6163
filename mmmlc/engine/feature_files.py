"""Features and labels of a data set on disk, memory-mapped, and resumed after an interruption.

N: images, D: channels, C: classes. A folder holds ``features.npy`` (N, D) float32, the (N, C) bool
arrays ``positive.npy``, ``difficult.npy`` and ``ignored.npy``, and ``state.json``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence, Sized
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmpretrain.structures import DataSample
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from mmmlc.whole_files import write_whole

STATE = 'state.json'
LABELS = {'positive': 'gt_label', 'difficult': 'gt_label_difficult', 'ignored': 'gt_label_ignore'}
SECONDS_BETWEEN_SAVES = 10


class Features(NamedTuple):
    """Features and labels of a data set; the arrays are memory-mapped, read-only."""

    features: np.ndarray  # (N, D) float32
    positive: np.ndarray  # (N, C) bool, classes in the image
    difficult: np.ndarray  # (N, C) bool, classes of which all objects are difficult (VOC)
    ignored: np.ndarray  # (N, C) bool, pairs left out of training
    images: list[str]


def extract_features(
    model: BaseModel,
    compute: Callable[[Tensor], Tensor],
    dataset: Dataset,
    folder: str | Path,
    made_of: dict,
    num_classes: int,
    batch_size: int = 16,
    num_workers: int = 0,
    console: Console | None = None,
) -> Features:
    """Compute the features of a data set, or the rest of them, or only open them.

    Args:
        model: Its ``data_preprocessor`` prepares the batches; evaluated in ``eval()`` mode.
        compute: From prepared images (B, 3, H, W) to features (B, D).
        dataset: Of samples ``inputs`` and ``data_samples``, the same in every run.
        folder: Where the files go.
        made_of: What the features depend on, JSON types. A folder of other features is refused.
        num_classes: C.
        batch_size: Images at once.
        num_workers: Processes that load images.
        console: For the progress bar.

    Raises:
        FileExistsError: if the folder holds features made of something else.
        ValueError: if the data set is empty, or features are not finite.
    """
    folder = Path(folder)
    total = len(cast(Sized, dataset))
    if total == 0:
        raise ValueError(f'{folder.name}: the data set is empty')
    made_of = {**made_of, 'images': total, 'classes': num_classes}
    done, names = _progress_of(folder, made_of)
    if done == total:
        return open_features(folder)
    folder.mkdir(parents=True, exist_ok=True)
    loader = DataLoader(
        Subset(dataset, range(done, total)),
        batch_size,
        num_workers=num_workers,
        collate_fn=pseudo_collate,
    )
    columns = (TextColumn(folder.name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    writer = _Writer(folder, made_of, done, names)
    model.eval()
    with Progress(*columns, console=console) as progress, torch.inference_mode():
        bar = progress.add_task('features', total=total, completed=done)
        for batch in loader:
            data = model.data_preprocessor(batch, False)
            features = compute(data['inputs']).float().cpu().numpy()
            writer.write(features, data['data_samples'])
            progress.advance(bar, len(features))
    writer.save()
    return open_features(folder)


def open_features(folder: str | Path) -> Features:
    """Open complete features; ValueError where they are not complete, naming the folder."""
    folder = Path(folder)
    state = _read_state(folder)
    total = state.get('made_of', {}).get('images')
    if not state or state['done'] != total:
        found = f'{state["done"]} of {total} images' if state else f'no {STATE}'
        raise ValueError(f'{folder}: {found}, expected complete features of tools/svm_eval.py')
    arrays = {name: _open(folder, name, 'r') for name in ('features', *LABELS)}
    return Features(**arrays, images=state['names'])


def average_features(parts: Sequence[Features], folders: Sequence[str | Path]) -> Features:
    """Average the features of several models on the same images (RDAL's two scales).

    Raises:
        ValueError: for other images, labels or channels, naming the folder.
    """
    first = parts[0]
    for part, folder in zip(parts[1:], folders[1:], strict=True):
        if part.images != first.images or not np.array_equal(part.positive, first.positive):
            raise ValueError(f'{folder} holds other images or labels than {folders[0]}')
        if part.features.shape != first.features.shape:
            raise ValueError(
                f'{folder} holds features {part.features.shape}, {folders[0]} '
                f'{first.features.shape}: only features of the same size can be averaged'
            )
    if len(parts) == 1:
        return first
    total = np.array(first.features)
    for part in parts[1:]:
        total += part.features
    return first._replace(features=total / len(parts))


class _Writer:
    """Writes rows into the arrays, and from time to time how many of them are valid."""

    def __init__(self, folder: Path, made_of: dict, done: int, names: list[str]):
        self.folder, self.made_of, self.done, self.names = folder, made_of, done, names
        self.arrays: dict[str, np.memmap] = {}
        self.saved = time.monotonic()

    def write(self, features: np.ndarray, samples: Sequence[DataSample]) -> None:
        if not self.arrays:
            self._open_arrays(features)
        rows = slice(self.done, self.done + len(features))
        if not np.isfinite(features).all():
            wrong = int(np.argwhere(~np.isfinite(features))[0, 0])
            raise ValueError(f'features of {_name(samples[wrong])} are not finite')
        self.arrays['features'][rows] = features
        for name, field in LABELS.items():
            self.arrays[name][rows] = _many_hot(samples, field, self.made_of['classes'])
        self.names += [_name(sample) for sample in samples]
        self.done = rows.stop
        if time.monotonic() - self.saved > SECONDS_BETWEEN_SAVES:
            self.save()

    def _open_arrays(self, features: np.ndarray) -> None:
        if self.done:
            self.arrays = {name: _open(self.folder, name, 'r+') for name in ('features', *LABELS)}
            return
        total, classes = self.made_of['images'], self.made_of['classes']
        for name in ('features', *LABELS):
            shape = (total, features.shape[1] if name == 'features' else classes)
            self.arrays[name] = np.lib.format.open_memmap(
                self.folder / f'{name}.npy',
                mode='w+',
                dtype=np.float32 if name == 'features' else np.bool_,
                shape=shape,
            )

    def save(self) -> None:
        """First the rows, then how many: a kill in between costs rows, and shows no wrong one."""
        for array in self.arrays.values():
            array.flush()
        state = dict(made_of=self.made_of, done=self.done, names=self.names)
        write_whole(self.folder / STATE, json.dumps(state).encode())
        self.saved = time.monotonic()


def _progress_of(folder: Path, made_of: dict) -> tuple[int, list[str]]:
    state = _read_state(folder)
    if not state:
        return 0, []
    if state['made_of'] != made_of:
        found = state['made_of']
        different = sorted(k for k in {*found, *made_of} if found.get(k) != made_of.get(k))
        raise FileExistsError(
            f'{folder} holds other features, different in {", ".join(different)}: '
            'choose another folder, or remove this one'
        )
    return state['done'], state['names']


def _read_state(folder: Path) -> dict:
    path = folder / STATE
    return json.loads(path.read_text()) if path.is_file() else {}


def _open(folder: Path, name: str, mode: Literal['r', 'r+']) -> np.memmap:
    return np.load(folder / f'{name}.npy', mmap_mode=mode, allow_pickle=False)


def _many_hot(samples: Sequence[DataSample], field: str, num_classes: int) -> np.ndarray:
    hot = np.zeros((len(samples), num_classes), dtype=bool)
    for row, sample in zip(hot, samples, strict=True):
        row[torch.as_tensor(sample.get(field, ()), dtype=torch.long).cpu().numpy()] = True
    return hot


def _name(sample: DataSample) -> str:
    return str(sample.get('img_path', sample.get('img_id', sample.get('sample_idx'))))
