"""The source distribution is complete; the wheel built from it says and holds what it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes

import pytest

FILES = ['setup.py', 'MANIFEST.in', 'LICENSE', 'CHANGELOG.md', 'README.md']
FOLDERS = ['requirements', 'mmmlc', 'tools', 'configs', 'tests']


@pytest.fixture(scope='module')
def sdist(root, tmp_path_factory):
    copy = tmp_path_factory.mktemp('project')
    for name in FILES:
        if (root / name).exists():
            shutil.copy(root / name, copy)
    for name in FOLDERS:
        ignore = shutil.ignore_patterns('__pycache__', '.mim')
        shutil.copytree(root / name, copy / name, ignore=ignore)
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
    expected = {'LICENSE', 'CHANGELOG.md', 'setup.py', 'tools/install.sh', 'tools/install/steps.py'}
    expected |= {f'requirements/{path.name}' for path in (root / 'requirements').glob('*.txt')}
    expected |= {str(path.relative_to(root)) for path in (root / 'configs').rglob('*.py')}
    assert expected - names == set()
    assert not [name for name in names if name.endswith('.pyc')]


def test_wheel_holds_the_package_and_the_licence(wheel, root):
    names = set(wheel.namelist())
    modules = {str(path.relative_to(root)) for path in (root / 'mmmlc').rglob('*.py')}
    modules = {name for name in modules if '.mim' not in name}
    assert modules - names == set()
    top = {name.partition('/')[0] for name in names}
    assert {name for name in top if not name.endswith('.dist-info')} == {'mmmlc', 'mim_mmmlc'}
    (licence,) = (name for name in names if name.endswith('LICENSE'))
    text = wheel.read(licence).decode()
    assert 'Apache License' in text
    assert 'Copyright 2026 The mmmlc authors' in text


@pytest.mark.parametrize('package', ['mmmlc', 'mim_mmmlc'])
def test_wheel_holds_configs_and_tools_for_mim(wheel, root, package):
    names = set(wheel.namelist())
    for folder in ('configs', 'tools'):
        files = [p for p in (root / folder).rglob('*') if p.suffix in ('.py', '.sh')]
        expected = {f'{package}/.mim/{path.relative_to(root)}' for path in files}
        assert len(expected) > 10 and expected - names == set()
    assert not [name for name in names if '__pycache__' in name]
    # onedl-mim looks into the folder that comes first when pip sorts what it has installed.
    assert min(names).startswith('mim_mmmlc/.mim/')


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
    extras = {'torch', 'opencv', 'detection', 'svm', 'timm', 'tests'}
    assert set(found.get_all('Provides-Extra')) == extras


def test_wheel_leaves_torch_and_contrib_alone(wheel):
    """pip would replace a cluster's torch, and mix OpenCV packages."""
    required = [text for text in metadata(wheel).get_all('Requires-Dist') if 'extra ==' not in text]
    names = {text.split('<')[0].split('>')[0].split('=')[0].split()[0] for text in required}
    assert {'onedl-mmengine', 'onedl-mmcv', 'onedl-mmpretrain'} <= names
    forbidden = {'torch', 'torchvision', 'opencv-contrib-python', 'mmcv', 'mmengine', 'mmpretrain'}
    assert not names & forbidden
