"""Installs mmmlc and its packages by pip, into the environment that runs this file.

Called by tools/install.sh, which finds or makes the environment. Modes: ``run``; ``tests``, with
what the tests need; ``full``, with mmcv's operators compiled, too.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import check_install
from steps import fail, pip, run

ROOT = Path(__file__).resolve().parents[2]
DEPENDENCIES = check_install.DEPENDENCIES
CHECK = [sys.executable, str(ROOT / 'tools' / 'check_install.py')]
MODES = {
    'run': ['core', 'opencv', 'detection', 'timm', 'svm'],
    'tests': ['core', 'opencv', 'detection', 'tests'],
    'full': ['core', 'opencv', 'detection', 'tests', 'build'],
}


def requirements(*names: str) -> list[str]:
    """pip's options for files of requirements/."""
    return [word for name in names for word in ('-r', str(ROOT / 'requirements' / f'{name}.txt'))]


def kept_versions() -> dict[str, str]:
    """What is installed and suits, and must not be replaced: torch, torchvision, mmcv."""
    version, release = DEPENDENCIES.installed_version, DEPENDENCIES.release
    torch, vision, mmcv = version('torch'), version('torchvision'), version('onedl-mmcv')
    kept = {}
    if torch and release(torch) >= release(DEPENDENCIES.OLDEST_TORCH):
        kept['torch'] = torch
        # A build of a container may have a tag or patch of its own.
        if vision and release(vision)[:2] == release(DEPENDENCIES.torchvision_for(torch))[:2]:
            kept['torchvision'] = vision
    if mmcv and release(DEPENDENCIES.FORKS['mmcv'].oldest) <= release(mmcv) < (2, 4):
        kept['onedl-mmcv'] = mmcv  # it may be compiled, and pip would bring one that is not
    return kept


def constraints() -> list[str]:
    """requirements/pins.txt, with the versions that are kept in place of its own."""
    kept = kept_versions()
    pins = (ROOT / 'requirements' / 'pins.txt').read_text().splitlines()
    others = [pin for pin in pins if pin.partition('==')[0] not in kept]
    return others + [f'{name}=={version}' for name, version in kept.items()]


def pip_install(label: str, *arguments: str) -> None:
    """Run ``pip install`` under the constraints."""
    path = Path(tempfile.gettempdir(), 'constraints.txt')
    path.write_text('\n'.join(constraints()))
    pip(label, 'install', '--progress-bar', 'off', '-c', path, *arguments)


def install_torch() -> None:
    """Torch and torchvision, unless there; the torchvision for a torch that is there."""
    kept = kept_versions()
    if 'torch' not in kept:
        pip_install('torch and torchvision (4.7 GB, some minutes)', *requirements('torch'))
    elif 'torchvision' not in kept:
        torch = kept['torch']
        wanted = f'torchvision=={DEPENDENCIES.torchvision_for(torch)}'
        # A torch with a build tag (2.6.0+cu124) has its torchvision only on PyTorch's own index.
        tag = torch.partition('+')[2]
        index = ['--extra-index-url', f'https://download.pytorch.org/whl/{tag}'] if tag else []
        pip_install(
            f'{wanted}, for torch {torch}, which stays',
            *('--no-deps', *index, 'numpy', 'pillow', wanted),
        )


def passes(check: str) -> bool:
    """Whether a check of tools/check_install.py passes."""
    return subprocess.run([*CHECK, '--only', check], capture_output=True).returncode == 0


def repair_opencv() -> None:
    """The OpenCV packages share a folder, and contrib must be the last to write into it.

    A machine without libGL, as servers and containers often are, needs the one without windows.
    """
    for name in ('opencv-contrib-python', 'opencv-contrib-python-headless'):
        if not passes('OpenCV'):
            pip_install(f'{name}, again', '--force-reinstall', '--no-deps', name)


def compile_mmcv() -> None:
    """The installed mmcv again, with compiled operators, for the GPU if there is one.

    pip keeps the wheel in a cache for this torch and GPU alone: its own has one without operators.
    """
    import torch

    gpu = torch.cuda.is_available()
    capability = '.'.join(map(str, torch.cuda.get_device_capability())) if gpu else ''
    target = os.environ.get('TORCH_CUDA_ARCH_LIST', capability) if gpu else 'cpu'
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30
    jobs = os.environ.get('MAX_JOBS') or str(max(1, min(os.cpu_count() or 1, int(memory / 2))))
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'mmmlc' / 'wheels'
    cache /= f'torch-{torch.__version__}_{re.sub("[^0-9A-Za-z.+]+", "_", target)}'
    pip(
        f"mmcv's operators, from {cache} or compiled with {jobs} jobs (12 minutes on 2 cores)",
        *('install', '--cache-dir', cache, '--no-build-isolation', '--no-deps'),
        *('--force-reinstall', f'onedl-mmcv=={DEPENDENCIES.installed_version("onedl-mmcv")}'),
        env=os.environ | {'MMCV_WITH_OPS': '1', 'FORCE_CUDA': str(int(gpu)), 'MAX_JOBS': jobs},
    )


def install(mode: str) -> None:
    """Install and check; SystemExit with advice if something fails."""
    print(f'Installing mmmlc ({mode}) for {sys.executable}', flush=True)
    if problems := DEPENDENCIES.original_problems():
        fail('original OpenMMLab packages are in the way of their maintained forks.', *problems)
    install_torch()
    packages = [*requirements(*MODES[mode]), 'setuptools>=70.1']  # which builds wheels by itself
    pip_install('OpenMMLab, OpenCV and what they need', *packages)
    # Without build isolation this can be run again offline.
    editable = ('--no-deps', '--use-pep517', '--no-build-isolation', '-e', str(ROOT))
    pip_install('mmmlc (editable)', *editable)
    # Its own requirements would bring another OpenCV; what it needs is in detection.txt.
    pip_install('mmdet', '--no-deps', 'onedl-mmdetection')
    if mode == 'full' and not passes('mmcv ops'):
        compile_mmcv()
    repair_opencv()
    print('\nCheck', flush=True)
    status, _ = run([*CHECK, *(['--full'] if mode == 'full' else [])])
    if status:
        fail(
            'installed, but the check above failed.',
            'Follow its advice; in a .venv of this checkout, removing the folder and running again '
            'also helps.',
        )
    print(f'Ready: {sys.executable}')


def main() -> None:
    """Install in the mode that the command line names."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        # An interrupted pip leaves gigabytes behind: here they are removed.
        with tempfile.TemporaryDirectory(prefix='mmmlc-install-') as scratch:
            os.environ['TMPDIR'] = tempfile.tempdir = scratch
            install(sys.argv[1])
    except KeyboardInterrupt:
        fail('interrupted. Run the same command again: finished steps are kept.')


if __name__ == '__main__':
    main()
