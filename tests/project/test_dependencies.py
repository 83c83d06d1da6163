"""Missing and wrong packages are named, with the command that helps."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from types import ModuleType

import pytest

from mmmlc import dependencies

GOOD = {
    'torch': '2.11.0',
    'torchvision': '0.26.0',
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmpretrain': '1.3.6',
    'onedl-mmdetection': '3.5.1',
}


@pytest.fixture
def environment(monkeypatch):
    """A pretended environment: a dict of distributions and their versions."""
    installed = dict(GOOD)

    def version(name):
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, 'version', version)
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    return installed


def only_problem() -> str:
    (problem,) = dependencies.core_problems()
    return problem


def test_good_environment_has_no_problems(environment):
    assert dependencies.core_problems() == []


@pytest.mark.parametrize(
    ('missing', 'command'),
    [
        ('torch', 'pip install torch==2.11.0 torchvision==0.26.0'),
        ('torchvision', 'pip install --no-deps torchvision==0.26.0'),
        ('onedl-mmengine', 'pip install onedl-mmengine==0.10.12'),
        ('onedl-mmcv', 'pip install onedl-mmcv==2.3.6 "opencv-python<5"'),
        ('onedl-mmpretrain', 'pip install onedl-mmpretrain==1.3.6'),
    ],
)
def test_missing_distribution(environment, missing, command):
    del environment[missing]
    problem = only_problem()
    assert 'missing' in problem
    assert problem.endswith(command)


@pytest.mark.parametrize(
    ('old', 'version', 'command'),
    [
        ('torch', '2.3.1+cu121', 'torch==2.11.0 torchvision==0.26.0'),
        ('onedl-mmengine', '0.10.8rc1', 'onedl-mmengine==0.10.12'),
        ('onedl-mmpretrain', '1.2.9', 'onedl-mmpretrain==1.3.6'),
    ],
)
def test_old_distribution(environment, old, version, command):
    environment[old] = version
    problem = only_problem()
    assert f'{old} {version} is older than' in problem
    assert problem.endswith(f'pip install {command}')


@pytest.mark.parametrize(
    ('import_name', 'original'),
    [('mmcv', 'mmcv'), ('mmcv', 'mmcv-full'), ('mmengine',) * 2, ('mmpretrain',) * 2],
)
def test_original_distribution_is_refused(environment, import_name, original):
    fork = dependencies.FORKS[import_name].name
    environment[original] = '1.2.3'
    # Both fill one folder: removing the original breaks the fork, which must be written again.
    together = only_problem()
    assert f'pip uninstall -y {original}\n' in together
    assert f'install --force-reinstall --no-deps {fork}==' in together
    assert dependencies.original_problems() == [together]
    del environment[fork]
    alone = only_problem()
    assert f'original distribution {original} 1.2.3' in alone
    assert '--force-reinstall' not in alone


def test_torch_of_the_cluster_stays(environment):
    environment['torch'] = '2.6.0+cu124'
    del environment['torchvision']
    assert only_problem().endswith('pip install --no-deps torchvision==0.21.0+cu124')


def test_source_tree_without_metadata_is_accepted(environment, monkeypatch):
    del environment['onedl-mmengine']
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: object())
    assert dependencies.core_problems() == []


def test_require_core_names_all_that_is_missing(environment):
    del environment['onedl-mmcv'], environment['torchvision']
    with pytest.raises(ImportError, match='torchvision is missing(.|\n)*mmcv is missing'):
        dependencies.require_core()


# The pairs of https://github.com/pytorch/vision#installation
@pytest.mark.parametrize(
    ('torch', 'torchvision'),
    [
        ('2.4.1', '0.19.1'),
        ('2.5.0', '0.20.0'),
        ('2.7.1+cu128', '0.22.1+cu128'),
        ('2.9', '0.24.0'),
        ('2.11.0', '0.26.0'),
        ('2.5.0a0+872d972e41.nv24.8', '0.20.0+872d972e41.nv24.8'),
    ],
)
def test_torchvision_for(torch, torchvision):
    assert dependencies.torchvision_for(torch) == torchvision


def test_release_of_no_version():
    with pytest.raises(ValueError, match="'unknown'"):
        dependencies.release('unknown')


def fail_import(monkeypatch, name: str, error: ImportError):
    real = importlib.import_module

    def import_module(wanted, package=None):
        if wanted == name:
            raise error
        return real(wanted, package)

    monkeypatch.setattr(importlib, 'import_module', import_module)


def test_require_mmdet(environment, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == 'six' else name)
    with pytest.raises(ImportError, match='six missing\n.*pip install six'):
        dependencies.require_mmdet()
    environment['mmdet'] = '3.3.0'
    with pytest.raises(ImportError, match='original distribution mmdet 3.3.0'):
        dependencies.require_mmdet()
    del environment['mmdet'], environment['onedl-mmdetection']
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match='pip install --no-deps onedl-mmdetection==3.5.1'):
        dependencies.require_mmdet()


def test_require_mmdet_with_operators_that_do_not_load(environment, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)
    fail_import(monkeypatch, 'mmcv._ext', ImportError('undefined symbol: _ZN3c10'))
    advice = 'undefined symbol(.|\n)*--no-deps onedl-mmcv==2.3.6(.|\n)*tools/install.sh --full'
    with pytest.raises(ImportError, match=advice):
        dependencies.require_mmdet()


def test_require_ximgproc_without_opencv(monkeypatch):
    fail_import(monkeypatch, 'cv2', ModuleNotFoundError("No module named 'cv2'"))
    with pytest.raises(ImportError, match='missing\n.*opencv-contrib-python==4.14.0.94'):
        dependencies.require_ximgproc()


def test_require_ximgproc_without_libgl(monkeypatch):
    fail_import(monkeypatch, 'cv2', ImportError('libGL.so.1: cannot open shared object file'))
    with pytest.raises(ImportError, match='libGL.so.1(.|\n)*contrib-python-headless==4.14.0.94'):
        dependencies.require_ximgproc()


def test_require_ximgproc_without_contrib(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv2', ModuleType('cv2'))
    advice = 'cv2 has no ximgproc(.|\n)*--force-reinstall --no-deps opencv-contrib-python==4.14'
    with pytest.raises(ImportError, match=advice):
        dependencies.require_ximgproc()


def test_importing_mmmlc_imports_nothing_heavy(root):
    code = 'import sys, mmmlc; print([m for m in ("torch", "mmcv", "numpy") if m in sys.modules])'
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == '[]'


# Hides OpenMMLab, as in an environment that has torch and NumPy alone.
HIDDEN = """
import importlib.metadata, sys
names = ('mmengine', 'mmcv', 'mmpretrain', 'mmdet')
finders, version = sys.meta_path[:], importlib.metadata.version
class Others:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split('.')[0] not in names:
            found = (finder.find_spec(name, path, target) for finder in finders)
            return next(filter(None, found), None)
def found_version(name):
    if name.removeprefix('onedl-').startswith('mm'):
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
sys.meta_path[:], importlib.metadata.version = [Others], found_version
for part in sys.argv[1:]:
    package, _, name = part.partition(':')
    try:
        getattr(importlib.import_module(package), name or '__name__')
    except ImportError as error:
        print(part, 'onedl-mmengine==' in str(error))
    else:
        print(part, 'works')
"""


def test_parts_say_what_they_miss(root):
    packages = ['datasets', 'proposals', 'evaluation', 'visualization', 'models', 'engine']
    packages += ['engine.checkpoints', 'data_report.report', 'registry']
    models = ['mcar:MCAR', 'rdal:RecurrentAttention', 'kd_wsd:Distiller', 'msdpd:MsDPDHead']
    parts = [f'mmmlc.{name}' for name in packages] + [f'mmmlc.systems.{name}' for name in models]
    light = [
        'mmmlc',
        'mmmlc.ops.scores',
        'mmmlc.systems.kd_wsd:RoIFeatureLoss',
        'mmmlc.ops.regions',
    ]
    done = subprocess.run(
        [sys.executable, '-c', HIDDEN, *light, *parts], cwd=root, capture_output=True, text=True
    )
    lines = [f'{part} works' for part in light] + [f'{part} True' for part in parts]
    assert done.stdout.splitlines() == lines, done.stderr


def test_versions_agree_with_the_requirement_files(root):
    def versions(name: str) -> dict[str, str]:
        text = (root / 'requirements' / name).read_text()
        return dict(re.findall(r'^([\w-]+)==([\w.]+)$', text, re.MULTILINE))

    pins, torch = versions('pins.txt'), versions('torch.txt')
    opencv = (root / 'requirements/opencv.txt').read_text()
    core = (root / 'requirements/core.txt').read_text()
    assert torch['torch'] == dependencies.TORCH_VERSION
    assert torch['torchvision'] == dependencies.torchvision_for(dependencies.TORCH_VERSION)
    for fork in dependencies.FORKS.values():
        assert pins[fork.name] == fork.tested
    for name in dependencies.CORE:
        assert f'{dependencies.FORKS[name].name}>={dependencies.FORKS[name].oldest},' in core
    for name in ('opencv-python', 'opencv-contrib-python'):
        assert f'\n{name}=={dependencies.OPENCV_VERSION}\n' in opencv
        assert pins[name] == dependencies.OPENCV_VERSION
