"""tools/install.sh and tools/run_tests.sh: choices, messages, and pip at work on tiny wheels.

No network: pip is pip, and finds wheels that the tests have written.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.places import ROOT
from tiny_index import pack_installed, write_requirements, write_sdist, write_wheel

from mmmlc import __version__

sys.path.insert(0, str(ROOT / 'tools/install'))
import packages
import steps

ROOT = packages.ROOT
BUILD_TOOLS = ('setuptools', 'wheel', 'packaging')


def environment(folder: Path, **more: object) -> dict[str, str]:
    """Variables for the scripts: caches below a folder, and nothing of the user's."""
    mine = ('PIP_', 'MMMLC_', 'PYTHON')
    kept = {name: text for name, text in os.environ.items() if not name.startswith(mine)}
    ours = {'XDG_CACHE_HOME': folder / 'cache', 'TMPDIR': folder, 'PIP_CONFIG_FILE': os.devnull}
    ours |= {'PYTHON': sys.executable, 'PIP_NO_INDEX': '1', 'PIP_CACHE_DIR': folder / 'pip', **more}
    return kept | {name: str(value) for name, value in ours.items()}


def bash(script: Path, *options: object, **env: object) -> subprocess.CompletedProcess:
    command = ['bash', str(script), *map(str, options)]
    quiet = dict(capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return subprocess.run(command, env=environment(**env), **quiet)


@pytest.fixture
def install(root, tmp_path):
    """Run install.sh; without wheels pip has nothing to install."""

    def run(*options: object, **env: object) -> subprocess.CompletedProcess:
        return bash(root / 'tools/install.sh', *options, folder=tmp_path, **env)

    return run


@pytest.mark.parametrize('script', ['install.sh', 'run_tests.sh'])
def test_help(root, tmp_path, script):
    done = bash(root / 'tools' / script, '-h', folder=tmp_path)
    assert done.returncode == 0
    assert '--active' in done.stdout


def test_wrong_options(install):
    assert install('--ful').returncode == 2
    assert 'unknown option --ful' in install('--ful').stderr
    assert '--venv needs a folder' in install('--venv').stderr


def test_interpreter_that_is_used(install, root, tmp_path):
    default = install('--print-python', MMMLC_VENV='')
    assert default.stdout.strip() == f'{root}/.venv/bin/python'
    named = install('--print-python', MMMLC_VENV=tmp_path / 'mine')
    assert named.stdout.strip() == f'{tmp_path}/mine/bin/python'
    option = install('--venv', tmp_path / 'other', '--print-python', MMMLC_VENV=tmp_path / 'mine')
    assert option.stdout.strip() == f'{tmp_path}/other/bin/python'
    assert install('--active', '--print-python').stdout.strip() == sys.executable


def python_that(folder: Path, body: str) -> Path:
    """An interpreter that a shell script stands for."""
    path = folder / 'python'
    path.write_text(f'#!/bin/sh\n{body}\n')
    path.chmod(0o755)
    return path


def test_old_python(install, tmp_path):
    old = python_that(tmp_path, 'case "$2" in *print*) echo 3.9.2;; *) exit 1;; esac')
    done = install('--venv', tmp_path / 'venv', PYTHON=old)
    assert done.returncode == 1
    assert f'no Python >= 3.10 found ({old} is 3.9.2)' in done.stderr
    assert 'is 3.9.2, not >= 3.10' in install('--active', PYTHON=old).stderr


def test_python_without_venv_or_pip(install, tmp_path):
    without = f'case "$*" in *ensurepip*|*pip*) exit 1;; esac\nexec {sys.executable} "$@"'
    lacking = python_that(tmp_path, without)
    version = '.'.join(map(str, sys.version_info[:2]))
    done = install('--venv', tmp_path / 'venv', PYTHON=lacking)
    assert f'apt-get install python{version}-venv' in done.stderr
    assert 'has no pip' in install('--active', PYTHON=lacking).stderr


def test_folder_that_is_no_environment_is_left_alone(install, tmp_path):
    thesis = tmp_path / 'venv/thesis.tex'
    thesis.parent.mkdir()
    thesis.write_text('years of work')
    assert 'not a virtual environment' in install('--venv', thesis.parent).stderr
    assert thesis.exists()


@pytest.fixture
def installed(monkeypatch):
    """A pretended environment: a dict of distributions and their versions."""
    versions = {}
    monkeypatch.setattr(packages.DEPENDENCIES, 'installed_version', versions.get)
    return versions


@pytest.mark.parametrize(
    ('there', 'kept'),
    [
        ({'torch': '2.6.0+cu124', 'torchvision': '0.21.0+cu124'}, {'torch', 'torchvision'}),
        ({'torch': '2.5.0a0+nv24.8', 'torchvision': '0.20.0a0'}, {'torch', 'torchvision'}),
        ({'torch': '2.6.0', 'torchvision': '0.20.0'}, {'torch'}),
        ({'torch': '2.3.1', 'torchvision': '0.18.1'}, set()),
        ({'onedl-mmcv': '2.3.9'}, {'onedl-mmcv'}),
        ({'onedl-mmcv': '2.2.0'}, set()),
        ({'onedl-mmcv': '2.4.0'}, set()),
    ],
)
def test_versions_that_stay(installed, there, kept):
    installed.update(there)
    lines = packages.constraints()
    assert {f'{name}=={there[name]}' for name in kept} <= set(lines)
    names = [line.partition('==')[0] for line in lines if not line.startswith('#')]
    assert len(names) == len(set(names)), 'pip fails on two versions of one distribution'
    assert ('onedl-mmcv==2.3.6' in lines) == ('onedl-mmcv' not in kept)
    assert {'torch', 'torchvision'} & set(names) == kept - {'onedl-mmcv'}


def test_originals_are_refused(installed):
    installed.update({'mmcv': '2.1.0', 'onedl-mmcv': '2.3.6'})
    with pytest.raises(SystemExit, match='pip uninstall -y mmcv\n(.|\n)*--force-reinstall'):
        packages.install('run')


@pytest.mark.parametrize(
    ('output', 'hint'),
    [
        ('[Errno -3] Temporary failure in name resolution', 'cannot be reached: check the network'),
        ('ERROR: No matching distribution found for torch==2.11.0', 'or has no build for this Py'),
        ('OSError: [Errno 28] No space left on device', 'disk is full'),
        ('error: externally-managed-environment', 'belongs to the system'),
        ("error: [Errno 13] Permission denied: '/usr/lib'", 'No permission'),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'g++'", 'apt-get install g++'),
        ('fatal error: Python.h: No such file or directory', 'apt-get install python3-dev'),
        ('RuntimeError: The detected CUDA version (12.6) mismatches', 'leave --full out'),
    ],
)
def test_hints(output, hint):
    assert hint in steps.hint(f'Collecting torch\n{output}\n')


def test_interrupted_step_ends_with_all_its_processes(tmp_path):
    """A process of a process, as compilers are of pip: the other end of the pipe tells its end."""
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    step = '(sleep 20; echo alive) >pipe & echo started; wait'
    code = f'import steps; steps.run(["bash", "-c", {step!r}])'
    env = environment(tmp_path, PYTHONPATH=ROOT / 'tools/install')
    command = [sys.executable, '-c', code]
    streams = dict(stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=env,
        # Tests that a shell started in the background have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **streams,
    )
    with running, pipe.open() as end:
        assert running.stdout.readline().strip() == 'started'
        running.send_signal(signal.SIGINT)
        assert end.read() == ''
    assert running.returncode != 0


# ------------------------------------------------------------------ pip at work

TORCH = """
from types import SimpleNamespace
__version__, cuda = '2.11.0', SimpleNamespace(is_available=lambda: False)
"""
OPENCV = """
from types import SimpleNamespace
__version__ = '4.14.0'
rectangle = print
"""
CONTRIB = """
finder = SimpleNamespace(getBoundingBoxes=lambda *maps: [[1]])
ximgproc = SimpleNamespace(createEdgeBoxes=lambda: finder)
"""
NUMPY = """
float32 = None
zeros = zeros_like = lambda *arguments: None
"""
MMCV = """
import os
from pathlib import Path
from setuptools import setup
Path('mmcv').mkdir(exist_ok=True)
Path('mmcv/__init__.py').touch()
if os.environ.get('MMCV_WITH_OPS') == '1':
    Path('mmcv/compiled.py').touch()
setup(name='onedl-mmcv', version='2.3.6', packages=['mmcv'])
"""


@pytest.fixture(scope='module')
def index(tmp_path_factory) -> Path:
    """A folder of wheels: empty ones of all that is required, and real build tools."""
    folder = tmp_path_factory.mktemp('index')
    write_requirements(folder, ROOT / 'requirements')
    for name in ('onedl_mmcv', *BUILD_TOOLS):
        next(folder.glob(f'{name}-*')).unlink()
    for name in BUILD_TOOLS:
        pack_installed(folder, name)
    write_wheel(folder, 'pillow', '11.0')
    write_wheel(folder, 'numpy', '2.0', {'numpy/__init__.py': NUMPY})
    # Both write one file, as the real ones do, and the last one wins.
    opencv = {'opencv-python': OPENCV, 'opencv-contrib-python': OPENCV + CONTRIB}
    for name, text in opencv.items():
        write_wheel(folder, name, packages.DEPENDENCIES.OPENCV_VERSION, {'cv2/__init__.py': text})
    write_wheel(folder, 'torch', '2.11.0', {'torch/__init__.py': TORCH})
    write_sdist(folder, 'onedl-mmcv', '2.3.6', MMCV)
    return folder


@pytest.fixture(scope='module')
def checkout(tmp_path_factory) -> Path:
    """A copy of what is installed: an editable install writes into its checkout."""
    folder = tmp_path_factory.mktemp('checkout')
    ignore = shutil.ignore_patterns('__pycache__', '.mim')
    for name in ('mmmlc', 'requirements', 'tools'):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / 'setup.py', folder)
    return folder


def distributions(python: Path) -> dict[str, str]:
    """Name and version of what pip has installed."""
    command = [python, '-m', 'pip', '--disable-pip-version-check', 'list', '--format', 'json']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {entry['name'].lower(): entry['version'] for entry in json.loads(done.stdout)}


def test_install_from_nothing_again_and_in_full(checkout, index, tmp_path):
    """Empty packages install well, and fail in the check at the end."""
    venv, script = tmp_path / 'venv', checkout / 'tools/install.sh'
    (venv / 'bin').mkdir(parents=True)  # an interrupted run left this
    (venv / 'pyvenv.cfg').touch()
    (venv / 'bin/python').symlink_to(tmp_path / 'gone')

    def run(*options: str, **env: object) -> str:
        done = bash(script, '--venv', venv, *options, folder=tmp_path, **env)
        assert done.returncode == 1
        assert 'FAIL torchvision' in done.stdout, done.stdout + done.stderr
        assert 'ok   OpenCV' in done.stdout
        assert 'installed, but the check above failed' in done.stderr
        assert not list(tmp_path.glob('mmmlc-install-*')), 'temporary files are left'
        return done.stdout

    run('--tests', PIP_FIND_LINKS=index)
    found = distributions(venv / 'bin/python')
    wanted = {'torch': '2.11.0', 'torchvision': '0.26.0', 'onedl-mmdetection': '3.5.1'}
    wanted |= {'onedl-mmpretrain': '1.3.6', 'opencv-contrib-python': '4.14.0.94'}
    wanted['mmmlc'] = __version__
    assert found.items() >= wanted.items()
    assert {'pytest', 'ruff', 'scikit-learn', 'timm'} <= set(found)

    run('--tests')  # pip finds no wheel now, and needs none
    assert distributions(venv / 'bin/python') == found
    (mmcv,) = venv.glob('lib/python*/site-packages/mmcv')
    assert not (mmcv / 'compiled.py').exists()

    assert 'Building wheel for onedl-mmcv' in run('--full', PIP_FIND_LINKS=index)
    assert (mmcv / 'compiled.py').exists()
    (mmcv / 'compiled.py').unlink()
    assert 'Using cached onedl_mmcv' in run('--full', PIP_FIND_LINKS=index)
    assert (mmcv / 'compiled.py').exists()
    assert [path.name for path in (tmp_path / 'cache/mmmlc/wheels').iterdir()] == [
        'torch-2.11.0_cpu'
    ]


def test_torch_that_is_there_stays(checkout, index, tmp_path):
    wheels, python = tmp_path / 'wheels', tmp_path / 'venv/bin/python'
    wheels.mkdir()
    write_wheel(wheels, 'torch', '2.6.0+cu124')
    write_wheel(wheels, 'torchvision', '0.21.0+cu124')
    links, first = f'{index} {wheels}', ['-m', 'pip', 'install', '-q', 'torch==2.6.0+cu124']
    subprocess.run([sys.executable, '-m', 'venv', tmp_path / 'venv'], check=True)
    env = environment(tmp_path, PIP_FIND_LINKS=links)
    subprocess.run([python, *first], env=env, check=True)
    script = checkout / 'tools/install.sh'
    bash(script, '--active', folder=tmp_path, PYTHON=python, PIP_FIND_LINKS=links)
    found = distributions(python)
    assert (found['torch'], found['torchvision']) == ('2.6.0+cu124', '0.21.0+cu124')
    assert 'mmmlc' in found and 'pytest' not in found


def test_without_network_it_says_so(install, tmp_path):
    done = install('--venv', tmp_path / 'venv')
    assert done.returncode == 1
    assert 'failed: torch and torchvision' in done.stderr
    assert 'The package index cannot be reached' in done.stderr
    assert 'run the same command again' in done.stderr
    assert 'No matching distribution found for torch' in done.stdout


def test_run_tests_hands_its_arguments_on(root, tmp_path):
    (tmp_path / 'tools').mkdir()
    calls = tmp_path / 'calls'
    body = f'echo "$@" >>{calls}\ncase "$2" in ruff) exit 3;; esac'
    python = python_that(tmp_path, body)
    (tmp_path / 'tools/install.sh').write_text(
        f'echo install "$@" >>{calls}\ncase "$*" in *--print-python*) echo {python};; esac\n'
    )
    script = shutil.copy(root / 'tools/run_tests.sh', tmp_path / 'tools')
    done = bash(script, '--active', '-x', '-k', 'a b', folder=tmp_path)
    expected = ['install --tests --active', 'install --print-python --active']
    side_by_side = f'-n {min(os.cpu_count(), 8)} --dist worksteal'
    expected += ['-m ruff check .', '-m mypy mmmlc', f'-m pytest {side_by_side} -x -k a b']
    assert calls.read_text().splitlines() == expected
    assert done.returncode == 3  # the tests passed, the linter did not
