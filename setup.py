"""Package mmmlc; what it needs is listed in requirements/."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

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


class BuildWithConfigs(build_py):
    """Puts configs and tools where ``mim train mmmlc CONFIG`` looks for them.

    That is the package's .mim; onedl-mim 0.5 takes the folder of the first file that pip recorded
    for the package, which would be mmmlc-VERSION.dist-info, were it not for mim_mmmlc.
    """

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # mim finds those of the checkout, and refuses two of a name
            return
        for package in ('mmmlc', 'mim_mmmlc'):
            for name in ('configs', 'tools'):
                target = Path(self.build_lib) / package / '.mim' / name
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns('__pycache__'))


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
    cmdclass={'build_py': BuildWithConfigs},
    install_requires=requirements('core'),
    extras_require={
        'torch': requirements('torch'),
        'opencv': requirements('opencv'),
        'detection': requirements('detection'),
        'svm': requirements('svm'),
        'timm': requirements('timm'),
        'tests': requirements('tests'),
    },
    zip_safe=False,
)
