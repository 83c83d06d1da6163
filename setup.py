"""Package mmmlc; what it needs is listed in requirements/."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def requirements(name: str) -> list[str]:
    """Requirements in requirements/<name>.txt, with those of the files it names by ``-r``."""
    found = []
    for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines():
        line = line.partition('#')[0].strip()
        if line.startswith('-r '):
            found += requirements(line.removeprefix('-r ').removesuffix('.txt').strip())
        elif line and not line.startswith('-c '):
            found.append(line)
    return found


def version() -> str:
    """``__version__`` of mmmlc/__init__.py, read without importing the package."""
    text = (ROOT / 'mmmlc' / '__init__.py').read_text()
    return re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE).group(1)


def readme() -> str:
    """The long description."""
    path = ROOT / 'README.md'
    return path.read_text(encoding='utf-8') if path.exists() else ''


setup(
    name='mmmlc',
    version=version(),
    description='Multi-label image classification for OpenMMLab',
    long_description=readme(),
    long_description_content_type='text/markdown',
    author='The mmmlc authors',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10',
    packages=find_packages(include=['mmmlc', 'mmmlc.*']),
    install_requires=requirements('core'),
    extras_require={
        'torch': requirements('torch'),
        'opencv': requirements('opencv'),
        'detection': requirements('detection'),
        'tests': requirements('tests'),
    },
    zip_safe=False,
)
