"""Call what mmmlc needs from the installed packages, and print their versions.

    python tools/check_install.py           torch, torchvision, the OpenMMLab packages, OpenCV
    python tools/check_install.py --full    the compiled ops of mmcv, and mmdet, too

Importing is not enough: a torchvision that does not suit its torch, an mmcv without ops and an
OpenCV without contrib all import well, and fail in the middle of the work.
"""

from __future__ import annotations

import argparse
import importlib.util
import shlex
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]


def load_dependencies() -> ModuleType:
    """mmmlc/dependencies.py by its path: importing mmmlc itself needs an installed torch."""
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

    if DEPENDENCIES.release(torch.__version__) < DEPENDENCIES.release(DEPENDENCIES.OLDEST_TORCH):
        raise Failed(f'{torch.__version__} is older than {DEPENDENCIES.OLDEST_TORCH}')
    if not torch.cuda.is_available():
        return f'{torch.__version__}, CPU (no GPU visible)'
    if torch.ones(3, device='cuda').sum() != 3:
        raise Failed('the GPU computes 1 + 1 + 1 wrongly')
    return f'{torch.__version__}, {torch.cuda.device_count()} x {torch.cuda.get_device_name()}'


def check_torchvision() -> str:
    """torchvision's compiled NMS drops the box that overlaps a better one."""
    torch_version = DEPENDENCIES.installed_version('torch') or DEPENDENCIES.TORCH_VERSION
    wanted = DEPENDENCIES.torchvision_for(torch_version)
    advice = (
        f'torch {torch_version} needs torchvision {wanted}, compiled for the same CUDA:\n'
        f'    {DEPENDENCIES.PIP} install --no-deps --force-reinstall torchvision=={wanted}\n'
        'A CPU-only torch has its torchvision only at https://download.pytorch.org/whl/cpu (option '
        '--index-url)'
    )
    try:
        import torchvision

        run_nms(torchvision.ops.nms)
    except Exception as error:
        raise Failed(f'{type(error).__name__}: {first_line(error)}\n{advice}') from error
    return f'{torchvision.__version__}, ops.nms works'


def run_nms(nms, device: str = 'cpu') -> None:
    """Call an NMS; it must keep the first and the third of three boxes."""
    import torch

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]], device=device)
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), 0.5)
    kept = kept[1] if isinstance(kept, tuple) else kept
    if kept.tolist() != [0, 2]:
        raise Failed(f'nms kept the boxes {kept.tolist()} instead of [0, 2]')


def check_stack() -> str:
    """The OpenMMLab forks, and no original among them, import."""
    if problems := DEPENDENCIES.core_problems():
        raise Failed('\n'.join(problems))
    import mmcv
    import mmengine
    import mmpretrain

    modules = (mmengine, mmcv, mmpretrain)
    return ', '.join(f'{module.__name__} {module.__version__}' for module in modules)


def check_mmcv_ops() -> str:
    """mmcv's compiled NMS, on the CPU, and on the GPU if it was compiled for one."""
    try:
        DEPENDENCIES.require_mmcv_ops()
    except ImportError as error:
        raise Failed(str(error)) from error
    import torch
    from mmcv.ops import get_compiling_cuda_version, nms

    def keep(boxes, scores, threshold):
        return nms(boxes, scores, iou_threshold=threshold)

    run_nms(keep)
    cuda = get_compiling_cuda_version()
    if cuda == 'not available':
        return 'mmcv.ops.nms works, compiled for CPU'
    if torch.cuda.is_available():
        run_nms(keep, 'cuda')
    return f'mmcv.ops.nms works, compiled for CPU and CUDA {cuda}'


def check_mmdet() -> str:
    """mmdet and its registered parts import."""
    try:
        DEPENDENCIES.require_mmdet()
    except ImportError as error:
        raise Failed(str(error)) from error
    import mmdet.models

    return mmdet.__version__


def check_opencv() -> str:
    """Edge boxes, of OpenCV's contrib modules, finds a drawn square."""
    try:
        DEPENDENCIES.require_ximgproc()
    except ImportError as error:
        raise Failed(str(error)) from error
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
        import mmmlc
        import mmmlc.registry
    except ModuleNotFoundError as error:
        raise Failed(f'{error}\n    {advice}') from error
    except ImportError as error:
        raise Failed(str(error)) from error
    folder = Path(mmmlc.__file__).resolve().parents[1]
    if folder != ROOT:
        raise Failed(f'{folder} is imported, instead of this checkout {ROOT}\n    {advice}')
    return f'{mmmlc.__version__} at {folder}'


LIGHT = {
    'torch': check_torch,
    'torchvision': check_torchvision,
    'OpenMMLab': check_stack,
    'OpenCV': check_opencv,
    'mmmlc': check_mmmlc,
}
FULL = {**LIGHT, 'mmcv ops': check_mmcv_ops, 'mmdet': check_mmdet}


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or [''])[0]


def run_check(name: str) -> tuple[bool, str]:
    """Whether a check passed, and its text."""
    try:
        return True, FULL[name]()
    except Failed as error:
        return False, str(error)
    except Exception as error:
        advice = 'repair the packages with `bash tools/install.sh`'
        return False, f'{type(error).__name__}: {first_line(error)}\n    {advice}'


def facts() -> dict[str, str]:
    """What tools/install.sh decides on; read from metadata, without importing a package."""
    torch = DEPENDENCIES.installed_version('torch') or ''
    oldest = DEPENDENCIES.release(DEPENDENCIES.OLDEST_TORCH)
    keep = bool(torch) and DEPENDENCIES.release(torch) >= oldest
    mmcv, wanted = DEPENDENCIES.installed_version('onedl-mmcv'), DEPENDENCIES.FORKS['mmcv']
    keep_mmcv = mmcv and DEPENDENCIES.release(wanted.oldest) <= DEPENDENCIES.release(mmcv) < (2, 4)
    return {
        'torch': torch,
        'keep_torch': 'yes' if keep else '',
        'torchvision': DEPENDENCIES.installed_version('torchvision') or '',
        'matching_torchvision': DEPENDENCIES.torchvision_for(torch) if keep else '',
        'keep_mmcv': 'yes' if keep_mmcv else '',
        'originals': ' '.join(DEPENDENCIES.original_distributions()),
    }


def main() -> int:
    """Run the checks; 0 if all pass."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--full', action='store_true', help='also the compiled ops and mmdet')
    parser.add_argument('--only', choices=FULL, action='append', help='only these checks')
    parser.add_argument('--facts', action='store_true', help='print shell assignments and stop')
    options = parser.parse_args()
    if options.facts:
        print('\n'.join(f'fact_{key}={shlex.quote(text)}' for key, text in facts().items()))
        return 0
    print(f'     Python {sys.version.split()[0]}: {sys.executable}')
    failed = 0
    for name in options.only or (FULL if options.full else LIGHT):
        passed, text = run_check(name)
        failed += not passed
        lines = text.replace('\n', '\n         ')
        print(f'{"ok  " if passed else "FAIL"} {name}: {lines}', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
