"""Where a checkpoint lies: the address schemes of mmengine, each turned into a local file.

mmengine's own functions find and unpickle in one step; here the finding is apart.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable

from mmengine import fileio
from mmengine.runner.checkpoint import (
    _get_mmengine_home,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

from .downloads import download


def locate(path: str) -> str | io.BytesIO:
    """The local file, or the content, of a checkpoint's path or address.

    An address may end by ``#sha256=`` and digits, see :mod:`mmmlc.engine.downloads`.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if a download fails.
        ValueError: if a model zoo doesn't know the name, or the file behind an address is another
            one than its SHA-256 says.
    """
    finder = next(find for pattern, find in _FINDERS if re.match(pattern, path))
    return finder(path)


def _local(path: str) -> str:
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path}: no such checkpoint')
    return path


def _from_zoo(address: str) -> str:
    return download(look_up(address))


def _openmmlab(address: str) -> str:
    place = look_up(address)
    if place.startswith(('http://', 'https://')):
        return download(place)
    return _local(os.path.join(_get_mmengine_home(), place))


def look_up(address: str) -> str:
    """The http address, or path, that a model zoo has for a name, with the ``#sha256=`` given."""
    scheme, name = address.split('://', 1)
    name, mark, digits = name.partition('#sha256=')
    urls = _ZOOS[scheme]()
    if scheme in ('openmmlab', 'open-mmlab'):
        name = get_deprecated_model_names().get(name, name)
    if name not in urls:
        raise ValueError(f'{address}: {scheme}:// knows no model {name!r}')
    return urls[name] + mark + digits


# Called through this module's names, which tests replace.
_ZOOS: dict[str, Callable[[], dict[str, str]]] = {
    'modelzoo': lambda: get_torchvision_models(),
    'torchvision': lambda: get_torchvision_models(),
    'open-mmlab': lambda: get_external_models(),
    'openmmlab': lambda: get_external_models(),
    'mmcls': lambda: get_mmcls_models(),
}


def _ceph(address: str) -> io.BytesIO:
    return io.BytesIO(fileio.get(address, backend_args=dict(backend='petrel')))


def _pavi(address: str) -> str:
    raise ValueError(f'{address}: pavi:// is not supported, download the file and give its path')


# Patterns as mmengine has them, so that each of its loaders is replaced.
_FINDERS: list[tuple[str, Callable[[str], str | io.BytesIO]]] = [
    ('http://', download),
    ('https://', download),
    ('modelzoo://', _from_zoo),
    ('torchvision://', _from_zoo),
    ('open-mmlab://', _openmmlab),
    ('openmmlab://', _openmmlab),
    ('mmcls://', _from_zoo),
    (r'(\S+\:)?s3://', _ceph),
    (r'(\S+\:)?petrel://', _ceph),
    ('pavi://', _pavi),
    ('', _local),
]
PREFIXES = [pattern for pattern, _ in _FINDERS]
