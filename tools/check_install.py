"""Call what mmmlc needs from the installed packages, and print their versions.

    python tools/check_install.py           torch, torchvision, OpenCV, OpenMMLab (mmdet if there)
    python tools/check_install.py --full    also mmdet and the compiled operators of mmcv

Importing is not enough: a torchvision that does not suit its torch and an OpenCV without contrib
import well, and fail in the middle of the work.
"""

from __future__ import annotations

import argparse
import importlib.util
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]


def load_dependencies() -> ModuleType:
    """mmmlc/dependencies.py by its path: mmmlc itself may not be installed yet."""
    path = ROOT / 'mmmlc' / 'dependencies.py'
    spec = importlib.util.spec_from_file_location('mmmlc_dependencies', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


DEPENDENCIES = load_dependencies()


class Failed(Exception):
    """A check that failed; ``str()`` says why and what to do next."""


def check_torch() -> str:
    """torch adds up numbers, on the GPU too if it sees one."""
    import torch

    if not torch.cuda.is_available():
        return f'{torch.__version__}, CPU (no GPU visible)'
    if torch.ones(3, device='cuda').sum() != 3:
        raise Failed('the GPU computes 1 + 1 + 1 wrongly')
    return f'{torch.__version__}, {torch.cuda.device_count()} x {torch.cuda.get_device_name()}'


def check_torchvision() -> str:
    """torchvision's compiled NMS works."""
    torch_version = DEPENDENCIES.installed_version('torch') or DEPENDENCIES.TORCH_VERSION
    wanted = DEPENDENCIES.torchvision_for(torch_version)
    try:
        import torchvision

        run_nms(torchvision.ops.nms)
    except Exception as error:
        raise Failed(
            f'{first_line(error)}\n'
            f'torch {torch_version} needs torchvision {wanted}, compiled for the same CUDA:\n'
            f'    {DEPENDENCIES.PIP} install --no-deps --force-reinstall torchvision=={wanted}\n'
            'A CPU-only torch has its torchvision only at https://download.pytorch.org/whl/cpu '
            '(option --index-url)'
        ) from error
    return f'{torchvision.__version__}, ops.nms works'


def run_nms(nms: Callable) -> None:
    """Call an NMS on each device; it must drop the box that overlaps a better one."""
    import torch

    for device in ['cpu', 'cuda'] if torch.cuda.is_available() else ['cpu']:
        boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]], device=device)
        kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), iou_threshold=0.5)
        kept = kept[1] if isinstance(kept, tuple) else kept
        if kept.tolist() != [0, 2]:
            raise Failed(f'nms kept the boxes {kept.tolist()} instead of [0, 2]')


def check_stack() -> str:
    """The OpenMMLab forks, and no original among them, import."""
    DEPENDENCIES.require_core()
    import mmcv
    import mmengine
    import mmpretrain

    modules = (mmengine, mmcv, mmpretrain)
    return ', '.join(f'{module.__name__} {module.__version__}' for module in modules)


def check_opencv() -> str:
    """Edge boxes, of OpenCV's contrib modules, finds a drawn square."""
    DEPENDENCIES.require_ximgproc()
    import cv2
    import numpy as np

    edges = np.zeros((64, 64), np.float32)
    cv2.rectangle(edges, (16, 16), (48, 48), 1.0)
    found = cv2.ximgproc.createEdgeBoxes().getBoundingBoxes(edges, np.zeros_like(edges))
    if len(found[0]) == 0:
        raise Failed('ximgproc.createEdgeBoxes finds no box around a square')
    return f'{cv2.__version__}, ximgproc.createEdgeBoxes works'


def check_mmmlc() -> str:
    """mmmlc imports, and is the one of this checkout."""
    advice = f'{DEPENDENCIES.PIP} install --no-deps -e {shlex.quote(str(ROOT))}'
    try:
        import mmmlc.registry
    except ModuleNotFoundError as error:
        raise Failed(f'{error}\n    {advice}') from error
    folder = Path(mmmlc.__file__).resolve().parents[1]
    if folder != ROOT:
        raise Failed(f'{folder} is imported, instead of this checkout {ROOT}\n    {advice}')
    return f'{mmmlc.__version__} at {folder}'


def check_mmdet(compiled: bool = False) -> str:
    """mmdet's parts import, and mmcv's NMS works, compiled or torchvision's."""
    from mmmlc.mmcv_ops import install_finder, operators_are_compiled

    install_finder()
    DEPENDENCIES.require_mmdet()
    if compiled and not operators_are_compiled():
        raise Failed(f'mmcv has no compiled operators\n{DEPENDENCIES.COMPILE_ADVICE}')
    import mmdet.models
    from mmcv.ops import nms

    try:
        run_nms(nms)
    except RuntimeError as error:
        raise Failed(f'{first_line(error)}\n{DEPENDENCIES.COMPILE_ADVICE}') from error
    kind = 'compiled operators' if operators_are_compiled() else 'operators of torchvision'
    return f'{mmdet.__version__} with {kind}'


LIGHT = {
    'torch': check_torch,
    'torchvision': check_torchvision,
    'OpenMMLab': check_stack,
    'OpenCV': check_opencv,
    'mmmlc': check_mmmlc,
}
FULL = {**LIGHT, 'mmdet': check_mmdet, 'mmcv ops': partial(check_mmdet, compiled=True)}


def first_line(error: BaseException) -> str:
    """The kind of an error, and the first line of its message."""
    return f'{type(error).__name__}: {(str(error).splitlines() or [""])[0]}'


def run_check(name: str) -> tuple[bool, str]:
    """Whether a check passed, and its text."""
    try:
        return True, FULL[name]()
    except (Failed, ImportError) as error:
        return False, str(error)
    except Exception as error:
        return False, f'{first_line(error)}\n    repair the packages with `bash tools/install.sh`'


def main() -> int:
    """Run the checks; 0 if all pass."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--full', action='store_true', help='also mmdet and compiled operators')
    parser.add_argument('--only', choices=FULL, action='append', help='only these checks')
    options = parser.parse_args()
    names = list(FULL if options.full else LIGHT)
    if not options.full and DEPENDENCIES.installed_version(DEPENDENCIES.FORKS['mmdet'].name):
        names.append('mmdet')
    print(f'     Python {sys.version.split()[0]}: {sys.executable}')
    failed = 0
    for name in options.only or names:
        passed, text = run_check(name)
        failed += not passed
        lines = text.replace('\n', '\n         ')
        print(f'{"ok  " if passed else "FAIL"} {name}: {lines}', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
