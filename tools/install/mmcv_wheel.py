"""Compiles mmcv's operators once per torch, Python and CUDA, and keeps the wheel."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from steps import fail, pip


def check_cuda(torch_cuda: str, compiler: str | None) -> None:
    """Stop unless the CUDA compiler suits torch: compiled for the CPU alone, mmcv is no use here.

    Args:
        torch_cuda: Version of CUDA that torch was built with.
        compiler: Version of nvcc, None if it is missing.
    """
    if compiler is None or compiler.split('.')[0] != torch_cuda.split('.')[0]:
        fail(
            f"mmcv's operators can't be compiled for the GPU: torch is built with CUDA "
            f'{torch_cuda}, nvcc is {compiler or "missing"}.',
            'Install that CUDA toolkit (CUDA_HOME names its folder), or leave --full out:',
            'torchvision has the operators that our configs need, for the GPU, too.',
        )


def nvcc_version() -> str | None:
    """Version of the CUDA compiler that torch would use, None if there is none."""
    from torch.utils.cpp_extension import CUDA_HOME

    try:
        command = [f'{CUDA_HOME}/bin/nvcc', '--version']
        text = subprocess.run(command, capture_output=True, text=True).stdout
    except OSError:
        return None
    found = re.search(r'release (\d+\.\d+)', text)
    return found and found[1]


def find_target() -> str:
    """What mmcv is compiled for here: ``cpu``, or CUDA and GPU architectures."""
    import torch

    if torch.version.cuda is None or not torch.cuda.is_available():
        return 'cpu'
    check_cuda(torch.version.cuda, nvcc_version())
    capability = ''.join(map(str, torch.cuda.get_device_capability()))
    archs = os.environ.get('TORCH_CUDA_ARCH_LIST') or capability
    return f'cu{torch.version.cuda}-sm{re.sub(r"[^0-9A-Za-z.+]+", "_", archs)}'


def build_wheel(version: str, target: str, folder: Path) -> None:
    """Compile mmcv, and put the wheel into a folder."""
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30
    jobs = os.environ.get('MAX_JOBS') or str(max(1, min(os.cpu_count() or 1, int(memory / 2))))
    settings = {'MMCV_WITH_OPS': '1', 'FORCE_CUDA': str(int(target != 'cpu')), 'MAX_JOBS': jobs}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.build-', dir=folder) as build:
        # --no-cache-dir: pip would offer the wheel without operators that it has made before.
        options = ('-v', '--no-cache-dir', '--no-build-isolation', '--no-deps', '-w', build)
        pip(
            f"mmcv's operators: compiling with {jobs} jobs, about 12 minutes on 2 cores",
            *('wheel', *options, '--no-binary', 'onedl-mmcv', f'onedl-mmcv=={version}'),
            env=os.environ | settings,
        )
        for wheel in Path(build).glob('*.whl'):
            wheel.replace(folder / wheel.name)  # under its name it is a finished one


def install(version: str) -> None:
    """Install mmcv of this version with compiled operators, from the kept wheel if there is one."""
    import torch

    python, target = f'cp{sys.version_info[0]}{sys.version_info[1]}', find_target()
    key = f'mmcv-{version}_torch-{torch.__version__}_{python}_{target}_{platform.machine()}'
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    folder = cache / 'mmmlc' / 'wheels' / key
    if not list(folder.glob('*.whl')):
        build_wheel(version, target, folder)
    (wheel,) = folder.glob('*.whl')
    pip(f'mmcv from {wheel}', 'install', '--force-reinstall', '--no-deps', wheel)
