"""Package mmmlc; what it needs is listed in requirements/."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# No "all": pip cannot install OpenCV's packages in order, nor mmdet without what it asks for.
EXTRAS = ('torch', 'opencv', 'detection', 'svm', 'timm', 'weights', 'tests')
# Tools that need a checkout, or that only developers use: not for mim.
CHECKOUT_TOOLS = (
    *('benchmark.py', 'benchmarks', 'check_photos.py', 'compare_configs.py', 'ledger.py'),
    *('metafiles', 'run_tests.sh', 'strict_yaml.py', 'sweep.py', 'sweeps'),
    *('endurance.py', 'generate_cases.py', 'kill_and_resume.py', 'resumes', 'torture.py'),
    *('check_install.py', 'install.sh', 'install', 'quickstart.py', 'quickstart.sh'),
)


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
    """Puts configs, tools and the index of models where ``mim train mmmlc CONFIG`` looks for them.

    That is the package's .mim; onedl-mim 0.5 takes the folder of the first file that pip recorded
    for the package, which would be mmmlc-VERSION.dist-info, were it not for mim_mmmlc.
    """

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # mim finds those of the checkout, and refuses two of a name
            return
        for package in ('mmmlc', 'mim_mmmlc'):
            target = Path(self.build_lib) / package / '.mim'
            shutil.rmtree(target, ignore_errors=True)
            copy_tree('configs', target)
            copy_tree('tools', target, *CHECKOUT_TOOLS)
            for index in ROOT.glob('model-index.yml'):
                shutil.copy(index, target)


def copy_tree(name: str, target: Path, *left_out: str) -> None:
    """Copy a folder of the project into ``target``; of its own entries, not ``left_out``."""
    ignore = shutil.ignore_patterns('__pycache__')
    for path in sorted((ROOT / name).iterdir()):
        if path.name in left_out or path.name == '__pycache__':
            continue
        copy = target / name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(path, copy, ignore=ignore) if path.is_dir() else shutil.copy(path, copy)


setup(
    name='mmmlc',
    version=version(),
    description='Multi-label image classification for OpenMMLab',
    long_description=readme(),
    long_description_content_type='text/markdown',
    author='The mmmlc authors',
    license_expression='Apache-2.0',
    license_files=['LICENSE'],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in range(10, 14)),
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['mmmlc', 'mmmlc.*']),
    package_data={'mmmlc': ['py.typed', 'ready/page.html']},
    entry_points={'console_scripts': ['mmmlc = mmmlc.cli:main']},
    cmdclass={'build_py': BuildWithConfigs},
    install_requires=requirements('core'),
    extras_require={name: requirements(name) for name in EXTRAS},
    zip_safe=False,
)
