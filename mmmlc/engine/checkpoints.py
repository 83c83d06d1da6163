"""Checkpoints read as plain data: nothing that is pickled in a file gets executed.

mmengine's loaders try the same first, then fall back to full unpickling, which runs any code that
a file brings along; and since they allow ``getattr``, the first attempt can already be made to run
code. The loaders here allow what training checkpoints contain and refuse everything else.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader
from torch import Tensor

from mmmlc.dependencies import require_safetensors
from mmmlc.safe_pickle import allowed, named
from mmmlc.whole_files import write_whole

from .addresses import PREFIXES, locate
from .zip_checks import check_zip

SAFETENSORS = '.safetensors'
_trusted = False  # what use_strict_loaders was told


def use_strict_loaders(trust: bool = False) -> None:
    """Make mmengine load every checkpoint of this process by :func:`load_checkpoint_file`.

    That covers ``load_from``, resuming, ``init_cfg=dict(type='Pretrained')``, ``pretrained=`` and
    whatever else asks ``mmengine.runner.CheckpointLoader``, with all its schemes. Importing
    ``mmmlc`` doesn't do it: :func:`mmmlc.engine.build_runner` does, and so do our tools.

    Args:
        trust: Unpickle in full. Code hidden in a checkpoint then runs.
    """
    global _trusted
    _trusted = trust
    CheckpointLoader.register_scheme(PREFIXES, load_from_mmmlc, force=True)


def load_from_mmmlc(filename: str, map_location: Any = None) -> dict:
    """The loader that mmengine's registry gets; it logs the name from its 11th letter on."""
    return load_checkpoint_file(filename, map_location=map_location)


def load_checkpoint_file(
    path: str | Path, trust: bool | None = None, map_location: Any = 'cpu', mmap: bool = False
) -> dict:
    """Load a checkpoint without executing anything that is pickled in it.

    Args:
        path: File or address: ``https://``, ``torchvision://``, ``openmmlab://``, ``mmcls://`` or
            ``s3://``. ``*.safetensors`` is read as a file of
            :func:`save_tensors`, always to the CPU.
        trust: Unpickle in full, which runs code hidden in the file. None: as the tool's ``--trust``
            says, otherwise no.
        map_location: See ``torch.load``.
        mmap: Leave the tensors of a file on the disk until they are used, and don't compare its
            checksums. For the new format only.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file asks for anything but weights and training state (names what), is
            damaged, or holds no dict.
    """
    path = str(path)
    trust = _trusted if trust is None else trust
    place = locate(path)
    if isinstance(place, str) and place.endswith(SAFETENSORS):
        return _read_tensors(place, path)
    if not trust and not mmap:
        check_zip(place, path)
    checkpoint = _read(place, path, trust, map_location=map_location, mmap=mmap)
    if not isinstance(checkpoint, dict):
        kind = type(checkpoint).__name__
        raise ValueError(f'{path} holds an object of type {kind}, expected a dict of weights')
    if not trust:
        _defuse(path, checkpoint)
    return _backbone_alone(checkpoint) if path.startswith('mmcls://') else checkpoint


def save_checkpoint_file(checkpoint: dict, path: str | Path) -> None:
    """Save a checkpoint so that ``path`` never holds half a file, whatever interrupts it."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    write_whole(path, buffer.getbuffer())


def save_tensors(state: dict[str, Tensor], classes: Sequence[str], path: str | Path) -> None:
    """Save weights in the format safetensors, which holds tensors and texts alone.

    Args:
        state: Weights by name.
        classes: Names of the classes; read back as ``meta['dataset_meta']['classes']``.
        path: File, ``*.safetensors``.
    """
    require_safetensors()
    from safetensors.torch import save

    plain = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    write_whole(path, save(plain, dict(format='pt', classes=json.dumps([*classes]))))


def _read_tensors(file: str, name: str) -> dict:
    require_safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, 'pt') as stored:
            state = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - no dict
            classes = json.loads((stored.metadata() or {}).get('classes', '[]'))
    except (SafetensorError, ValueError) as error:
        raise ValueError(_reason(name, error)) from error
    return dict(state_dict=state, meta=dict(dataset_meta=dict(classes=classes)))


def _read(file: str | io.BytesIO, name: str, trust: bool, **options: Any) -> Any:
    try:
        if trust:
            return torch.load(file, weights_only=False, **options)
        with allowed(_STATE):
            return torch.load(file, weights_only=True, **options)
    except (PermissionError, IsADirectoryError, MemoryError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:  # torch's readers raise anything on a damaged file
        raise ValueError(_reason(name, error)) from error


def _reason(name: str, error: Exception) -> str:
    text = str(error)
    inner = re.search(r'WeightsUnpickler error: (.*)', text)
    asked = re.search(r'GLOBAL (\S+)', text)
    if isinstance(error, UnpicklingError) and asked:
        return (
            f'{name} is refused: it asks for {asked[1]}, which is not part of weights or training '
            'state, and giving it could run code hidden in the file. If you know where the file '
            'comes from, load it with --trust (in Python: trust=True)'
        )
    first = (inner[1] if inner else text).strip().split('\n')[0][:200]
    return (
        f'{name} cannot be read as a checkpoint: {type(error).__name__}: {first or "no message"}. '
        'Is it cut short, or no checkpoint at all?'
    )


def _defuse(path: str, checkpoint: dict) -> None:
    """Rename the one entry of plain data that mmengine executes."""
    meta = checkpoint.get('meta')
    if meta is not None and not isinstance(meta, dict):
        raise ValueError(f'{path}: meta is of type {type(meta).__name__}, expected a dict')
    if meta and 'config' in meta:
        # Runner.resume runs meta['config'] as Python; mmengine itself writes meta['cfg'].
        meta.setdefault('cfg', meta.pop('config'))


def _backbone_alone(checkpoint: dict) -> dict:
    state = checkpoint.get('state_dict', checkpoint)
    prefix = 'backbone.'
    weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    return dict(state_dict=weights)


class _OneCycle:
    """What files get for mmengine's class, which they need only to name its two curves."""


_OneCycle.__module__ = OneCycleParamScheduler.__module__
_OneCycle.__qualname__ = _OneCycle.__name__ = OneCycleParamScheduler.__qualname__


# What else would be pickled by name is pickled as getattr(class, name).
_METHODS = {
    _OneCycle: (OneCycleParamScheduler, ('_annealing_cos', '_annealing_linear')),
    HistoryBuffer: (HistoryBuffer, ('min', 'max', 'current', 'mean')),
}


def _method(owner: type, name: str) -> Callable:
    """What files get for ``getattr``: the functions that training states refer to."""
    real, names = _METHODS.get(owner, (None, ()))
    if name in names:
        return getattr(real, name)
    raise UnpicklingError(f'GLOBAL {getattr(owner, "__qualname__", owner)}.{name}')


# What training states hold beside tensors, arrays and plain containers.
_STATE = [
    HistoryBuffer,
    _OneCycle,
    *(named(_method, f'{module}.getattr') for module in ('builtins', '__builtin__')),
]
