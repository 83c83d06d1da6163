"""Distributions with next to nothing in them, for pip to install without a network."""

from __future__ import annotations

import importlib.metadata
import io
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


def write_wheel(folder: Path, name: str, version: str, files: Mapping[str, str] = {}) -> None:
    """A pure Python wheel with these files."""
    safe = re.sub('[-.]+', '_', name)
    info = f'{safe}-{version}.dist-info'
    contents = dict(files) | {
        f'{info}/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n',
        f'{info}/WHEEL': 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    }
    record = ''.join(f'{path},,\n' for path in [*contents, f'{info}/RECORD'])
    with zipfile.ZipFile(folder / f'{safe}-{version}-py3-none-any.whl', 'w') as archive:
        for path, text in (contents | {f'{info}/RECORD': record}).items():
            archive.writestr(path, text)


def write_sdist(folder: Path, name: str, version: str, setup: str) -> None:
    """A source distribution that is a setup.py alone."""
    safe = re.sub('[-.]+', '_', name)
    metadata = f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
    with tarfile.open(folder / f'{safe}-{version}.tar.gz', 'w:gz') as archive:
        for path, text in {'setup.py': setup, 'PKG-INFO': metadata}.items():
            member = tarfile.TarInfo(f'{safe}-{version}/{path}')
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))


def pack_installed(folder: Path, name: str) -> None:
    """The installed distribution as a wheel again."""
    found = importlib.metadata.distribution(name)
    with zipfile.ZipFile(folder / f'{name}-{found.version}-py3-none-any.whl', 'w') as archive:
        for path in found.files:
            if '..' not in path.parts and '__pycache__' not in path.parts:
                archive.write(path.locate(), str(path))


def write_requirements(folder: Path, requirements: Path) -> None:
    """An empty wheel of the oldest version of each distribution that files of a folder ask for."""
    for file in requirements.glob('*.txt'):
        for line in file.read_text().splitlines():
            found = re.match(r'([\w-]+)(?:[=>]=([\w.]+))?', line)
            if found and not line.startswith('-r'):
                write_wheel(folder, found[1], found[2] or '1.0')
