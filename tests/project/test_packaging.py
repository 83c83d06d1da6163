"""The source distribution is complete; the wheel built from it says and holds what it should."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes

import pytest
import yaml

FILES = [
    *('setup.py', 'MANIFEST.in', 'LICENSE', 'CHANGELOG.md', 'CONTRIBUTING.md', 'README.md'),
    *('CITATION.cff', 'model-index.yml'),
    *('.mypy.ini', '.pre-commit-config.yaml', '.pytest.ini', '.ruff.toml'),
]
FOLDERS = ['.github', 'requirements', 'mmmlc', 'tools', 'configs', 'docs', 'tests']
# What a user of the wheel runs by `mim run mmmlc NAME`, `mim train` and `mim test`.
USERS_TOOLS = [
    *('check_data.py', 'convert_proposals.py', 'extract_proposals.py', 'make_toy_scenes.py'),
    *('make_coco_photos.py', 'coco_photos/annotations.py', 'coco_photos/list.csv'),
    *('compare.py', 'make_model.py', 'svm_eval.py', 'test.py', 'train.py'),
    'tune_thresholds.py',
    *('dist_test.sh', 'dist_train.sh', 'slurm_test.sh', 'slurm_train.sh', 'slurm/srun.sh'),
]
# What only developers run, and what works in a checkout alone.
OTHER_TOOLS = [
    *('benchmark.py', 'check_install.py', 'install.sh', 'ledger.py', 'quickstart.py'),
    *('quickstart.sh', 'run_tests.sh', 'sweep.py', 'check_photos.py', 'compare_configs.py'),
    *('strict_yaml.py', 'benchmarks/', 'install/', 'metafiles/', 'resumes/', 'sweeps/'),
    *('endurance.py', 'generate_cases.py', 'kill_and_resume.py', 'torture.py'),
]


def files_of(root, *folders):
    """Paths of all files of these folders, from the root, without what Python and mim put there."""
    found = set()
    for folder in folders:
        for path in (root / folder).rglob('*'):
            name = path.relative_to(root).as_posix()
            made = '__pycache__' in name or '/.mim' in name or path.suffix in ('.pyc', '.pyo')
            if path.is_file() and not made:
                found.add(name)
    return found


@pytest.fixture(scope='module')
def sdist(root, tmp_path_factory):
    copy = tmp_path_factory.mktemp('project')
    for name in FILES:
        shutil.copy(root / name, copy)
    for name in FOLDERS:
        ignore = shutil.ignore_patterns('__pycache__', '.mim')
        shutil.copytree(root / name, copy / name, ignore=ignore)
    # Models have terms of their own.
    (copy / 'models/some').mkdir(parents=True)
    (copy / 'models/some/model.safetensors').touch()
    command = [sys.executable, 'setup.py', '-q', 'sdist', '--dist-dir', 'out']
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    (path,) = (copy / 'out').iterdir()
    return path


@pytest.fixture(scope='module')
def wheel(sdist):
    command = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation']
    options = ['--no-index', '--disable-pip-version-check', '-w', str(sdist.parent)]
    subprocess.run([*command, *options, str(sdist)], check=True, capture_output=True)
    (path,) = sdist.parent.glob('*.whl')
    with zipfile.ZipFile(path) as archive:
        yield archive


def metadata(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
    return message_from_bytes(wheel.read(name))


def test_sdist_is_complete(sdist, root):
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    assert {*FILES, *files_of(root, *FOLDERS)} - names == set()
    assert not [name for name in names if name.endswith('.pyc') or '/.mim' in name]
    assert not [name for name in names if name.startswith('models')]


def test_wheel_holds_the_package_and_the_licence(wheel, root):
    names = set(wheel.namelist())
    assert files_of(root, 'mmmlc') - names == set()
    assert 'mmmlc/py.typed' in names
    top = {name.partition('/')[0] for name in names}
    assert {name for name in top if not name.endswith('.dist-info')} == {'mmmlc', 'mim_mmmlc'}
    (licence,) = (name for name in names if name.endswith('LICENSE'))
    text = wheel.read(licence).decode()
    assert 'Apache License' in text
    assert 'Copyright 2026 The mmmlc authors' in text


@pytest.mark.parametrize('package', ['mmmlc', 'mim_mmmlc'])
def test_wheel_holds_configs_and_tools_for_mim(wheel, root, package):
    names = set(wheel.namelist())
    for name in (*files_of(root, 'configs'), *(f'tools/{tool}' for tool in USERS_TOOLS)):
        assert f'{package}/.mim/{name}' in names
    index = yaml.safe_load(wheel.read(f'{package}/.mim/model-index.yml'))
    assert len(index['Import']) > 3
    assert not {f'{package}/.mim/{name}' for name in index['Import']} - names
    assert not [name for name in names if '__pycache__' in name]
    # onedl-mim looks into the folder that comes first when pip sorts what it has installed.
    assert min(names).startswith('mim_mmmlc/.mim/')


def test_tools_of_developers_stay_out(wheel):
    tools = {name.partition('/.mim/tools/')[2] for name in wheel.namelist()}
    assert not [name for name in tools if any(name.startswith(other) for other in OTHER_TOOLS)]


def test_tools_import_no_tool_that_stays_out(wheel, root):
    """A tool of the wheel may import mmmlc, and what lies beside it there."""
    beside = {path.stem for path in (root / 'tools').iterdir() if path.suffix in ('', '.py')}
    tools = [name for name in wheel.namelist() if name.startswith('mmmlc/.mim/tools/')]
    there = {name.split('/')[3].removesuffix('.py') for name in tools}
    for name in tools:
        if name.endswith('.py'):
            nodes = [*ast.walk(ast.parse(wheel.read(name)))]
            modules = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
            modules |= {n.module or '' for n in nodes if isinstance(n, ast.ImportFrom)}
            used = {module.partition('.')[0] for module in modules}
            assert used & beside <= there, name


def test_no_two_configs_of_a_name(root):
    """mim finds a config by its name alone."""
    names = [path.name for path in (root / 'configs').rglob('*.py')]
    assert len(names) == len(set(names))


def test_wheel_metadata(wheel):
    from mmmlc import __version__

    found = metadata(wheel)
    assert found['Name'] == 'mmmlc'
    assert found['Version'] == __version__
    assert found['Requires-Python'] == '>=3.10'
    assert found['License-Expression'] == 'Apache-2.0'
    assert 'Typing :: Typed' in found.get_all('Classifier')
    extras = {'torch', 'opencv', 'detection', 'svm', 'timm', 'weights', 'tests'}
    assert set(found.get_all('Provides-Extra')) == extras


def test_wheel_leaves_torch_and_contrib_alone(wheel):
    """pip would replace a cluster's torch, and mix OpenCV packages."""
    required = [text for text in metadata(wheel).get_all('Requires-Dist') if 'extra ==' not in text]
    names = {text.split('<')[0].split('>')[0].split('=')[0].split()[0] for text in required}
    assert {'onedl-mmengine', 'onedl-mmcv', 'onedl-mmpretrain'} <= names
    forbidden = {'torch', 'torchvision', 'opencv-contrib-python', 'mmcv', 'mmengine', 'mmpretrain'}
    assert not names & forbidden


def test_the_installed_wheel_runs_a_tool(wheel, tmp_path):
    """Unpacked, away from the checkout: a tool finds the package, and the package its version."""
    wheel.extractall(tmp_path)
    tool = tmp_path / 'mmmlc' / '.mim' / 'tools' / 'make_toy_scenes.py'
    command = [sys.executable, str(tool), 'toy', '--train', '2', '--val', '1']
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=environment)
    assert len([*(tmp_path / 'toy').rglob('*.png')]) == 3
    code = 'import mmmlc; print(mmmlc.__file__)'
    run = [sys.executable, '-c', code]
    shown = subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, env=environment)
    assert shown.stdout.decode().startswith(str(tmp_path))
