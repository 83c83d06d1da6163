"""Where a checkpoint lies: the address schemes of mmengine, each turned into a local file.

mmengine's own functions find and unpickle in one step; here the finding is apart.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse

import mmengine.dist
import torch
from mmengine import fileio
from mmengine.runner.checkpoint import (
    _get_mmengine_home,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)


def locate(path: str) -> str | io.BytesIO:
    """The local file, or the content, of a checkpoint's path or address.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if a download fails.
        ValueError: if a model zoo doesn't know the name.
    """
    finder = next(find for pattern, find in _FINDERS if re.match(pattern, path))
    return finder(path)


def _local(path: str) -> str:
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such checkpoint')
    return path


def _download(url: str) -> str:
    """Download into torch's cache: the first process, then one of each other machine."""
    path = Path(torch.hub.get_dir(), 'checkpoints', Path(urlparse(url).path).name)
    if mmengine.dist.is_main_process():
        _fetch(url, path)
    mmengine.dist.barrier()
    _fetch(url, path)
    return str(path)


def _fetch(url: str, path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), progress=os.isatty(0))
    except OSError as error:
        raise OSError(f'{url} cannot be downloaded: {error}') from error


def _torchvision(address: str) -> str:
    return _download(_look_up(address, get_torchvision_models()))


def _mmcls(address: str) -> str:
    return _download(_look_up(address, get_mmcls_models()))


def _openmmlab(address: str) -> str:
    scheme, name = address.split('://', 1)
    name = get_deprecated_model_names().get(name, name)
    place = _look_up(f'{scheme}://{name}', get_external_models())
    if place.startswith(('http://', 'https://')):
        return _download(place)
    return _local(os.path.join(_get_mmengine_home(), place))


def _look_up(address: str, urls: dict[str, str]) -> str:
    scheme, name = address.split('://', 1)
    if name not in urls:
        raise ValueError(f'{address}: {scheme}:// knows no model {name!r}')
    return urls[name]


def _ceph(address: str) -> io.BytesIO:
    return io.BytesIO(fileio.get(address, backend_args=dict(backend='petrel')))


def _pavi(address: str) -> str:
    raise ValueError(f'{address}: pavi:// is not supported, download the file and give its path')


# Patterns as mmengine has them, so that each of its loaders is replaced.
_FINDERS: list[tuple[str, Callable[[str], str | io.BytesIO]]] = [
    ('http://', _download),
    ('https://', _download),
    ('modelzoo://', _torchvision),
    ('torchvision://', _torchvision),
    ('open-mmlab://', _openmmlab),
    ('openmmlab://', _openmmlab),
    ('mmcls://', _mmcls),
    (r'(\S+\:)?s3://', _ceph),
    (r'(\S+\:)?petrel://', _ceph),
    ('pavi://', _pavi),
    ('', _local),
]
PREFIXES = [pattern for pattern, _ in _FINDERS]
