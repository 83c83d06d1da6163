"""A teacher's answers on disk: one record for each image and its mirror image.

A file holds a line of JSON (what it belongs to), then the records, memory-mapped. Records are
filled in the course of a training and marked once complete, so that a killed one loses nothing.

N: images of the data set, B: images of a batch, R: proposals, T: kept proposals, C: classes,
D: channels, (h, w): map size.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.ops.checks import check_choice

FORMAT = 'mmmlc teacher cache 1'
ALIGNMENT = 4096


class Answer(NamedTuple):
    """A teacher's answer for a batch; None for what is not kept."""

    kept: Tensor | None  # (B, T) int64, indices of proposals
    objectness: Tensor | None  # (B, T)
    class_logits: Tensor | None  # (B, R, C)
    detection_logits: Tensor | None  # (B, R, C)
    maps: tuple[Tensor, ...] | None  # (B, D, h, w) each

    def named(self) -> Iterator[tuple[str, Tensor]]:
        """Its tensors; maps are called map0, map1 ..."""
        for name, value in zip(self._fields[:4], self[:4], strict=True):
            if value is not None:
                yield name, value
        for number, value in enumerate(self.maps or ()):
            yield f'map{number}', value

    def select(self, rows: list[int]) -> Answer:
        """The answer for some of the images."""
        kept, objectness, classes, detections = (
            None if value is None else value[rows] for value in self[:4]
        )
        maps = None if self.maps is None else tuple(value[rows] for value in self.maps)
        return Answer(kept, objectness, classes, detections, maps)


class TeacherCache:
    """Answers of one teacher for the images of one data set.

    The first process to come makes the file; all others, also of other runs, use it together.

    Args:
        path: Where it is, or will be.
        names: Paths of the data set's N images, in its order.
        example: An answer of the teacher, for the shapes; its ``maps`` are kept unless None.
        identity: What the answers depend on: checksum of the weights, sizes, options. A file made
            with another one is refused.
        kind: ``'float16'`` or ``'float32'``: how logits and maps are kept.

    Raises:
        ValueError: if the file belongs to something else, or the disk has too little room.
    """

    def __init__(
        self,
        path: str | Path,
        names: Sequence[str],
        example: Answer,
        identity: dict,
        kind: str = 'float16',
    ):
        check_choice('TeacherHook: cache_type', kind, ('float16', 'float32'))
        self.path = Path(path)
        self._rows = {name: row for row, name in enumerate(names)}
        record = _record(example, kind)
        shapes = {name: [str(record[name].base), *record[name].shape] for name in _names(record)}
        header = dict(
            format=FORMAT,
            images=len(names),
            names=zlib.crc32('\n'.join(map(str, names)).encode()),
            record=shapes,
            **identity,
        )
        line = json.dumps(header, sort_keys=True).encode() + b'\n'
        offset = -(-len(line) // ALIGNMENT) * ALIGNMENT
        self._check_room(offset + 2 * len(names) * record.itemsize, record, len(names))
        if not self.path.exists():
            self._create(line, offset + 2 * len(names) * record.itemsize)
        self._check_header(header)
        self._records = np.memmap(self.path, record, 'r+', offset, (2 * len(names),))

    def _check_room(self, size: int, record: np.dtype, images: int) -> None:
        folder = next(p for p in (self.path.parent, *self.path.absolute().parents) if p.is_dir())
        used = self.path.stat().st_blocks * 512 if self.path.exists() else 0
        free = shutil.disk_usage(folder).free
        need = max(size - used, 0)
        print_log(
            f'teacher cache {self.path}: {images} images and their mirror images, '
            f'{record.itemsize:,} bytes each, {size / 1e9:.3f} GB; still to come '
            f'{need / 1e9:.3f} GB, free on the disk {free / 1e9:.3f} GB',
            'current',
        )
        if need > free:
            raise ValueError(
                f'teacher cache {self.path} needs {need / 1e9:.3f} GB more, the disk has '
                f'{free / 1e9:.3f} GB: take another one, do without cache_maps, or without cache'
            )

    def _create(self, line: bytes, size: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f'.{self.path.name}.{os.getpid()}.part')
        with part.open('wb') as file:
            file.write(line)
            file.truncate(size)
        try:
            os.link(part, self.path)  # unlike a rename, it never replaces another run's file
        except FileExistsError:
            pass
        finally:
            part.unlink()

    def _check_header(self, expected: dict) -> None:
        with self.path.open('rb') as file:
            line = file.readline(1 << 20)
        try:
            found = json.loads(line)
        except ValueError:
            found = {}
        if not isinstance(found, dict) or found.get('format') != FORMAT:
            raise ValueError(f'{self.path} is no teacher cache of this version: take another path')
        for key in sorted(expected.keys() | found.keys()):
            if found.get(key) != expected.get(key):
                raise ValueError(
                    f'teacher cache {self.path} was made with {key}={found.get(key)}, now it is '
                    f'{expected.get(key)}: delete it or take another path'
                )

    @property
    def keeps_maps(self) -> bool:
        """Whether maps are in the records."""
        return 'map0' in _names(self._records.dtype)

    def slots(self, samples: list[DataSample]) -> list[int]:
        """Numbers of the samples' records; ValueError for an image of another data set."""
        slots = []
        for sample in samples:
            if sample.img_path not in self._rows:
                raise ValueError(f'{sample.img_path} is not an image of {self.path}')
            mirrored = bool(sample.get('flip'))
            slots.append(2 * self._rows[sample.img_path] + mirrored)
        return slots

    def missing(self, slots: list[int], samples: list[DataSample]) -> list[int]:
        """Which of the samples have no answer yet.

        Raises:
            ValueError: if a sample has other proposals than when it was answered for: a crop, say.
        """
        for slot, sample in zip(slots, samples, strict=True):
            record = self._records[slot]
            if record['filled'] and record['proposals'] != _checksum(sample):
                raise ValueError(
                    f'{sample.img_path} has other proposals than when teacher cache {self.path} '
                    'was filled: it only knows images and their mirror images, no crops; and the '
                    'proposals file must stay the same'
                )
        return [i for i, slot in enumerate(slots) if not self._records[slot]['filled']]

    def write(self, slots: list[int], samples: list[DataSample], answer: Answer) -> None:
        """Keep an answer; ValueError if it is not finite in the type of the records."""
        for name, value in answer.named():
            if name not in _names(self._records.dtype):
                continue
            stored = value.cpu().to(torch.promote_types(value.dtype, torch.float32)).numpy()
            with np.errstate(over='ignore'):
                stored = stored.astype(self._records.dtype[name].base)
            if not np.isfinite(stored).all():
                raise ValueError(f'teacher cache: {name} is not finite as {stored.dtype}')
            self._records[name][slots] = stored
        self._records['proposals'][slots] = [_checksum(sample) for sample in samples]
        self._records['filled'][slots] = True  # last

    def read(self, slots: list[int], device: torch.device) -> Answer:
        """Answer for records that are filled."""
        kept = {}
        for name in _names(self._records.dtype)[2:]:
            value = torch.from_numpy(np.asarray(self._records[name][slots]))
            value = value.to(device, non_blocking=True)
            kept[name] = value.long() if name == 'kept' else value.float()
        maps = tuple(kept.pop(name) for name in sorted(kept, key=_number) if name[:3] == 'map')
        return Answer(**{name: kept.get(name) for name in Answer._fields[:4]}, maps=maps or None)


def _record(example: Answer, kind: str) -> np.dtype:
    """Type of a record."""
    types = dict(kept='int32', objectness='float32')
    fields: list[tuple] = [('filled', '?'), ('proposals', '<u4')]
    for name, value in example.named():
        fields.append((name, types.get(name, kind), tuple(value.shape[1:])))
    return np.dtype(fields)


def _names(record: np.dtype) -> tuple[str, ...]:
    return record.names or ()


def _number(name: str) -> int:
    return int(name[3:]) if name.startswith('map') else -1


def _checksum(sample: DataSample) -> int:
    return zlib.crc32(sample.proposals.cpu().numpy().tobytes())


def weights_checksum(model: torch.nn.Module) -> int:
    """CRC-32 of all weights and buffers of a model."""
    checksum = 0
    for value in model.state_dict().values():
        checksum = zlib.crc32(value.cpu().contiguous().numpy().tobytes(), checksum)
    return checksum
