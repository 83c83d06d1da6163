"""A file of mined parts: NumPy arrays without pickle, one group a scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmmlc.whole_files import whole_file

from .clusters import MinedScale
from .parts import Ranking

FORMAT = 'mmmlc mined parts 1'


def save_mined(
    path: str | Path, scales: Sequence[MinedScale], names: Sequence[str], flipped: torch.Tensor
) -> None:
    """Write mined scales; ``names`` and ``flipped`` are those of the sampled images."""
    arrays: dict[str, Any] = dict(
        format=np.array(FORMAT),
        names=np.array(names, dtype=np.str_),
        flipped=flipped.numpy(),
        scales=np.array(len(scales)),
    )
    for number, scale in enumerate(scales):
        fields = scale._asdict() | scale.ranking._asdict()
        del fields['ranking']
        arrays |= {f'{number}/{name}': np.asarray(value) for name, value in fields.items()}
    with whole_file(path) as part, open(part, 'wb') as file:
        np.savez_compressed(file, **arrays)


def load_mined(path: str | Path) -> tuple[list[MinedScale], list[str], torch.Tensor]:
    """Read what :func:`save_mined` wrote: scales, image paths, whether each was mirrored.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is another kind of file, or cut short.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such file of mined parts')
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if str(arrays['format']) != FORMAT:
            raise ValueError(f'format {arrays["format"]}, expected {FORMAT!r}')
        scales = [_scale(arrays, number) for number in range(int(arrays['scales']))]
        return scales, arrays['names'].tolist(), torch.from_numpy(arrays['flipped'])
    except Exception as error:  # zipfile, numpy and zlib have a type each for broken files
        raise ValueError(
            f'{path} is not a whole file of mined parts (tools/mine_parts.py): {error}'
        ) from error


def _scale(arrays: dict[str, np.ndarray], number: int) -> MinedScale:
    def read(names: Sequence[str]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(arrays[f'{number}/{name}']) for name in names}

    ranking = Ranking(**read(Ranking._fields))
    tensors = read([n for n in MinedScale._fields if n not in ('ranking', 'size')])
    height, width = (int(side) for side in arrays[f'{number}/size'])
    return MinedScale(ranking=ranking, size=(height, width), **tensors)
