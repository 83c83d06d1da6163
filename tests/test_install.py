"""tools/install.sh and tools/run_tests.sh, without network or download.

The scripts run for real; the Python they are given forwards to this one, except that pip, venv and
the check are recorded and answered as the test says.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

STUB = r"""#!/usr/bin/env bash
case "$*" in
  '-m pip --version') exit 0 ;;
  *' wheel '*)
    echo "pip wheel FORCE_CUDA=$FORCE_CUDA $*" >>"$STUB/log"
    while [[ $1 != -w ]]; do shift; done
    [[ ! -e $STUB/slow ]] || { touch "$STUB/compiling"; sleep 60; }
    cp "$STUB/wheel" "$2/onedl_mmcv-2.3.6-cp3-cp3-linux.whl" ;;
  *' install '*)
    echo "pip install ${*#*--progress-bar off }" >>"$STUB/log"
    cp "$5" "$STUB/keep" 2>/dev/null || while [[ $# -gt 0 ]]; do
      [[ $1 != -c || $2 != */keep.txt ]] || cp "$2" "$STUB/keep"; shift; done
    [[ ! -e $STUB/broken_pip ]] || { cat "$STUB/broken_pip"; exit 1; } ;;
  '-m venv '*)
    echo "venv" >>"$STUB/log"
    rm -rf "${!#}"; mkdir -p "${!#}/bin"; cp "$0" "${!#}/bin/python"; touch "${!#}/pyvenv.cfg" ;;
  *check_install.py\ --facts) cat "$STUB/facts" ;;
  *check_install.py*)
    name=${*#*check_install.py}; name=${name# }
    ! grep -qxF -- "$name" "$STUB/failing" || exit 1
    echo "ok $name" ;;
  *'print(sys.prefix)'*) dirname "$(dirname "$0")" ;;
  *find_spec*) cat "$STUB/origin" 2>/dev/null ;;
  '- 2.3.6') printf '%s\n' build_key=some-torch build_cuda=0 build_jobs=1 build_note= ;;
  *) exec "$REAL_PYTHON" "$@" ;;
esac
"""
FACTS = {'torch': '', 'keep_torch': '', 'torchvision': '', 'matching_torchvision': ''}


class Machine:
    """A pretended machine: a Python, a cache, an environment, and what pip was asked for."""

    def __init__(self, root: Path, folder: Path):
        self.root, self.folder = root, folder
        self.stub = folder / 'stub'
        self.stub.mkdir()
        self.venv, self.cache = folder / 'venv', folder / 'cache'
        self.python = self.script('python3', STUB)
        self.write_facts()
        self.failing()
        self.here(root)

    def script(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def write_facts(self, **facts: str) -> None:
        facts = {'keep_mmcv': '', 'originals': '', **FACTS, **facts}
        lines = [f"fact_{key}='{value}'\n" for key, value in facts.items()]
        (self.stub / 'facts').write_text(''.join(lines))

    def failing(self, *checks: str) -> None:
        """Let check_install.py fail with these arguments."""
        (self.stub / 'failing').write_text(''.join(f'{check}\n' for check in checks))

    def here(self, checkout: Path) -> None:
        """Let the environment hold the mmmlc of this checkout."""
        (self.stub / 'origin').write_text(f'{checkout}/mmmlc/__init__.py\n')

    def env(self, **more: object) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith('MMMLC_')}
        stub = {'STUB': self.stub, 'REAL_PYTHON': sys.executable, 'PYTHON': self.python}
        more = {'XDG_CACHE_HOME': self.cache, 'TMPDIR': self.folder, **stub, **more}
        return kept | {key: str(value) for key, value in more.items()}

    def install(self, *options: str, **env: object) -> subprocess.CompletedProcess:
        """Run install.sh; the log holds only what this run asked of pip."""
        (self.stub / 'log').write_text('')
        command = ['bash', str(self.root / 'tools/install.sh'), *options]
        if '--active' not in options and '--venv' not in options:
            command += ['--venv', str(self.venv)]
        return subprocess.run(
            command, env=self.env(**env), capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    def log(self) -> list[str]:
        return (self.stub / 'log').read_text().splitlines()

    def asked(self, text: str) -> bool:
        return any(text in line for line in self.log())

    def wheel(self, *names: str) -> None:
        with zipfile.ZipFile(self.stub / 'wheel', 'w') as archive:
            for name in names:
                archive.writestr(name, '')

    def wheels(self) -> list[Path]:
        return sorted((self.cache / 'mmmlc/wheels').glob('*/*.whl'))


@pytest.fixture
def machine(root, tmp_path):
    return Machine(root, tmp_path)


@pytest.fixture
def with_torch(machine):
    machine.write_facts(torch='2.11.0', keep_torch='yes', torchvision='0.26.0')
    return machine


def succeeded(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def failed(done: subprocess.CompletedProcess) -> str:
    assert done.returncode not in (0, 2), done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize('script', ['install.sh', 'run_tests.sh'])
def test_help(root, script):
    command = ['bash', str(root / 'tools' / script), '-h']
    done = subprocess.run(command, capture_output=True, text=True)
    assert '--active' in succeeded(done)


def test_unknown_option(machine):
    done = machine.install('--ful')
    assert done.returncode == 2
    assert 'unknown option --ful' in done.stderr


def test_old_python(machine):
    answer = 'case "$2" in *print*) echo 3.9.2;; *) exit 1;; esac'
    old = machine.script('python3.9', f'#!/bin/sh\n{answer}')
    error = failed(machine.install(PYTHON=old))
    assert 'no Python >= 3.10 found' in error
    assert 'python3.9 is 3.9.2' in error
    assert 'is 3.9.2, not >= 3.10' in failed(machine.install('--active', PYTHON=old))


def test_python_without_venv(machine):
    lacking = machine.script(
        'python3.11', f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n{sys.executable} "$@"'
    )
    version = '.'.join(map(str, sys.version_info[:2]))
    assert f'apt-get install python{version}-venv' in failed(machine.install(PYTHON=lacking))


def test_folder_that_is_no_environment_is_left_alone(machine):
    machine.venv.mkdir()
    (machine.venv / 'thesis.tex').write_text('years of work')
    assert 'not a virtual environment' in failed(machine.install())
    assert (machine.venv / 'thesis.tex').exists()


def test_fresh_install_asks_in_order_and_the_second_for_nothing(machine):
    succeeded(machine.install())
    order = ['venv', 'requirements/torch.txt', 'requirements/core.txt', 'requirements/opencv.txt']
    order += [f'-e {machine.root}']
    assert len(machine.log()) == len(order)
    for text, line in zip(order, machine.log(), strict=True):
        assert text in line
    assert 'Already installed' in succeeded(machine.install())
    assert machine.log() == []


def test_changed_torch_is_noticed(with_torch):
    succeeded(with_torch.install())
    with_torch.write_facts(torch='2.9.0', keep_torch='yes', torchvision='0.24.0')
    succeeded(with_torch.install())
    assert with_torch.asked('core.txt')


def test_failing_check_repairs_although_the_stamp_is_there(with_torch):
    succeeded(with_torch.install())
    with_torch.failing('', '--only OpenCV')
    assert 'the check above failed' in failed(with_torch.install())
    assert with_torch.asked('--force-reinstall --no-deps')
    assert with_torch.log()[-2].endswith('opencv-contrib-python-headless')
    with_torch.failing()
    succeeded(with_torch.install())
    assert with_torch.asked('core.txt')


def test_shared_environment_follows_the_checkout(with_torch, tmp_path):
    succeeded(with_torch.install())
    with_torch.here(tmp_path / 'deleted_clone')
    succeeded(with_torch.install())
    (asked,) = with_torch.log()
    assert asked.endswith(f'-e {with_torch.root}')
    assert '--no-build-isolation' in asked


def test_half_made_environment_is_made_again(machine):
    (machine.venv / 'bin').mkdir(parents=True)
    (machine.venv / 'pyvenv.cfg').touch()
    (machine.venv / 'bin/python').symlink_to(machine.folder / 'gone')
    assert 'incomplete or broken' in succeeded(machine.install())
    assert machine.log()[0] == 'venv'


def test_torch_that_is_there_stays(machine):
    machine.write_facts(torch='2.6.0+cu124', keep_torch='yes', matching_torchvision='0.21.0+cu124')
    succeeded(machine.install('--active'))
    assert not machine.asked('torch.txt')
    assert machine.asked('--no-deps --extra-index-url https://download.pytorch.org/whl/cu124')
    assert machine.asked('torchvision==0.21.0+cu124')
    assert (machine.stub / 'keep').read_text() == 'torch==2.6.0+cu124\n'


def test_old_torch_is_replaced(machine):
    machine.write_facts(torch='2.3.1', torchvision='0.18.1')
    assert 'older than 2.4' in succeeded(machine.install())
    assert machine.asked('requirements/torch.txt')


def test_originals_are_refused(machine):
    machine.write_facts(originals='mmcv mmengine')
    error = failed(machine.install())
    assert 'pip uninstall -y mmcv mmengine onedl-mmengine' in error
    assert not machine.asked('pip install')


@pytest.mark.parametrize(
    ('output', 'hint'),
    [
        ('[Errno -3] Temporary failure in name resolution', 'cannot be reached'),
        ('ERROR: No matching distribution found for torch==2.11.0', 'or has no build for this Py'),
        ('OSError: [Errno 28] No space left on device', 'disk is full'),
        ('error: externally-managed-environment', 'belongs to the system'),
    ],
)
def test_failed_step_says_what_to_do_and_can_be_repeated(machine, output, hint):
    (machine.stub / 'broken_pip').write_text(output)
    error = failed(machine.install())
    assert output in error
    assert hint in error
    assert 'run the same command again' in error
    (machine.stub / 'broken_pip').unlink()
    succeeded(machine.install())


def test_ops_are_compiled_once(with_torch):
    # As many files as the real one has, the extension first: reading it must not stop early.
    extension = 'mmcv/_ext.cpython-311-x86_64-linux-gnu.so'
    with_torch.wheel(extension, *(f'mmcv/ops/{index}.py' for index in range(2000)))
    with_torch.failing('--only mmcv ops')
    with_torch.install('--full')
    (wheel,) = with_torch.wheels()
    assert wheel.parent.name == 'some-torch'
    assert with_torch.asked('pip wheel FORCE_CUDA=0')
    assert with_torch.asked(f'--force-reinstall --no-deps {wheel}')
    assert with_torch.asked('--no-deps onedl-mmdetection')
    # Another environment of the same kind uses the wheel.
    (with_torch.venv / '.mmmlc-install').unlink()
    with_torch.install('--full')
    assert not with_torch.asked('pip wheel')
    assert with_torch.asked(str(wheel))
    # A damaged one is built again.
    wheel.write_text('half of it')
    (with_torch.venv / '.mmmlc-install').unlink()
    assert 'damaged' in succeeded(with_torch.install('--full'))
    assert with_torch.asked('pip wheel')
    # And a light run leaves the compiled mmcv alone.
    assert 'Already installed' in succeeded(with_torch.install())


FAKE_TORCH = """
import sys, types
__version__ = '2.6.0+cu124'
version = types.SimpleNamespace(cuda='12.4')
cuda = types.SimpleNamespace(
    is_available=lambda: True, device_count=lambda: 2, get_device_capability=lambda i: (8 + i, 0)
)
sys.modules['torch.utils'] = types.ModuleType('torch.utils')
sys.modules['torch.utils.cpp_extension'] = types.SimpleNamespace(CUDA_HOME={home!r})
"""


def read_build(root: Path, **env: str) -> dict[str, str]:
    script = f'source "{root}/tools/install/mmcv_ops.sh"; python={sys.executable}; '
    script += 'read_build 2.3.6; for n in key cuda jobs note; do eval echo "$n=\\$build_$n"; done'
    command, env = ['bash', '-c', script], {**os.environ, **env}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return dict(line.split('=', 1) for line in done.stdout.splitlines())


def test_wheel_key_of_this_environment(root):
    import torch

    found = read_build(root, CUDA_VISIBLE_DEVICES='', MAX_JOBS='7')
    python = f'cp{sys.version_info[0]}{sys.version_info[1]}'
    assert found['key'].startswith(f'mmcv-2.3.6_torch-{torch.__version__}_{python}_cpu_')
    assert (found['cuda'], found['jobs'], found['note']) == ('0', '7', '')


@pytest.mark.parametrize(
    ('nvcc', 'arch', 'target', 'note'),
    [
        ('12.6', '', 'cu124-sm80_90', ''),
        ('12.6', '8.0;9.0+PTX', 'cu124-sm8.0_9.0+PTX', ''),
        ('13.0', '', 'cpu', 'torch is built with CUDA 12.4, nvcc is 13.0'),
        ('', '', 'cpu', 'torch is built with CUDA 12.4, nvcc is missing'),
    ],
)
def test_cuda_is_used_if_torch_gpu_and_nvcc_agree(root, tmp_path, nvcc, arch, target, note):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'torch.py').write_text(FAKE_TORCH.format(home=str(tmp_path)))
    if nvcc:
        (tmp_path / 'bin/nvcc').write_text(f'#!/bin/sh\necho "tools, release {nvcc}, V{nvcc}.1"\n')
        (tmp_path / 'bin/nvcc').chmod(0o755)
    found = read_build(root, PYTHONPATH=str(tmp_path), TORCH_CUDA_ARCH_LIST=arch)
    assert f'_torch-2.6.0+cu124_cp{sys.version_info[0]}' in found['key']
    assert f'_{target}_' in found['key']
    assert found['cuda'] == str(int(target != 'cpu'))
    assert found['note'].endswith(note)


def test_wheel_without_ops_is_refused(with_torch):
    with_torch.wheel('mmcv/__init__.py')
    with_torch.failing('--only mmcv ops')
    assert 'built without ops' in failed(with_torch.install('--full'))
    assert with_torch.wheels() == []


def test_no_compiler(with_torch):
    with_torch.failing('--only mmcv ops')
    assert 'apt-get install g++' in failed(with_torch.install('--full', CXX='no-such-compiler'))


def test_interrupted_compilation_leaves_nothing_behind(with_torch):
    with_torch.failing('--only mmcv ops')
    (with_torch.stub / 'slow').touch()
    (with_torch.stub / 'log').touch()
    command = ['bash', with_torch.root / 'tools/install.sh', '--full', '--venv', with_torch.venv]
    env = with_torch.env()
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 60
        while not (with_torch.stub / 'compiling').exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        _, error = running.communicate(timeout=10)
    assert running.returncode == 130
    assert 'Run the same command again' in error
    assert list((with_torch.cache / 'mmmlc/wheels').iterdir()) == []
    assert not list(with_torch.folder.glob('mmmlc-scratch*'))


def test_run_tests_hands_its_arguments_on(root, tmp_path):
    (tmp_path / 'tools').mkdir()
    calls = tmp_path / 'calls'
    python = tmp_path / 'python'
    python.write_text(f'#!/bin/sh\necho "$@" >>{calls}\ncase "$2" in ruff) exit 3;; esac\n')
    python.chmod(0o755)
    (tmp_path / 'tools/install.sh').write_text(
        f'echo install "$@" >>{calls}\ncase "$*" in *--print-python*) echo {python};; esac\n'
    )
    (tmp_path / 'tools/run_tests.sh').write_text((root / 'tools/run_tests.sh').read_text())
    command = ['bash', str(tmp_path / 'tools/run_tests.sh'), '--active', '-x', '-k', 'a b']
    done = subprocess.run(command, capture_output=True, text=True)
    expected = ['install --full --active', 'install --print-python --active']
    expected += ['-m ruff check .', '-m pytest -x -k a b']
    assert calls.read_text().splitlines() == expected
    assert done.returncode == 3  # the tests passed, the linter did not
