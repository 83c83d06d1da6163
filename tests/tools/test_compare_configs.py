"""The tools that print and compare configs, on made-up trees."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from helpers.places import ROOT
from mmengine.config import Config

CONFIG = ROOT / 'configs/sca/sca_r18_toy.py'
BASE = "model = dict(type='a.B', size=(4, 4), layers=[dict(width=8)])\n"
LEAF = "# A config.\n_base_ = '../_base_/models/b.py'\nlr = 1\n"


def run(tool: str, *arguments) -> int:
    """Run a tool as from a shell; its exit status."""
    old = sys.argv
    sys.argv = [tool, *map(str, arguments)]
    try:
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
    except SystemExit as end:
        return end.code or 0
    finally:
        sys.argv = old
    return 0


@pytest.fixture
def trees(tmp_path) -> tuple[Path, Path]:
    """Two equal folders of configs."""
    for tree in ('old', 'new'):
        for name, text in (('_base_/models/b.py', BASE), ('x/one.py', LEAF), ('y/two.py', LEAF)):
            path = tmp_path / tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return tmp_path / 'old', tmp_path / 'new'


def test_equal_trees(trees, capsys):
    (trees[1] / 'x/one.py').write_text(LEAF + 'num_classes = 3\n')  # a variable, intended
    assert run('compare_configs.py', *trees) == 0
    output = capsys.readouterr().out
    assert 'x/one.py: equal\ny/two.py: equal\n' in output
    assert 'num_classes: of the data' in output
    assert output.endswith('2 configs: 2 equal, 0 different\n')


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('model = dict(size=(4, 5))', 'model.size.1: 4 -> 5'),
        ('model = dict(size=[4, 4])', "model.size is: 'tuple' -> 'list'"),
        ('model = dict(layers=[])', 'model.layers: missing -> []'),
        ('model = dict(layers=[dict(width=8), 3])', 'model.layers.1: missing -> 3'),
        ('model = dict(head=None)', 'model.head: missing -> None'),
        ('lr = 1.0', 'lr: 1 -> 1.0'),
        ('teachers = 3', 'teachers: missing -> 3'),
    ],
)
def test_a_difference_is_reported(trees, line, expected, capsys):
    (trees[1] / 'y/two.py').write_text(f'{LEAF}{line}\n')
    assert run('compare_configs.py', *trees) == 1
    output = capsys.readouterr().out
    assert 'x/one.py: equal\ny/two.py: different\n' in output
    assert f'    {expected}\n' in output
    assert output.endswith('2 configs: 1 equal, 1 different\n')


def test_a_difference_in_a_base_is_reported(trees, capsys):
    (trees[1] / '_base_/models/b.py').write_text(BASE.replace('width=8', 'width=9'))
    assert run('compare_configs.py', *trees) == 1
    output = capsys.readouterr().out
    assert output.count('    model.layers.0.width: 8 -> 9\n') == 2
    assert output.endswith('2 configs: 0 equal, 2 different\n')


def test_variables_that_were_there_are_compared(trees, capsys):
    for tree, number in zip(trees, (3, 4), strict=True):
        (tree / 'x/one.py').write_text(f'{LEAF}num_classes = {number}\n')
    assert run('compare_configs.py', *trees) == 1
    assert '    num_classes: 3 -> 4\n' in capsys.readouterr().out
    (trees[1] / 'x/one.py').write_text(LEAF)
    assert run('compare_configs.py', *trees) == 1
    assert '    num_classes: 3 -> missing\n' in capsys.readouterr().out


@pytest.mark.parametrize('side', [0, 1])
def test_a_missing_config_is_reported(trees, side, capsys):
    (trees[side] / 'x/one.py').unlink()
    assert run('compare_configs.py', *trees) == 1
    assert f'x/one.py: different\n    missing in {trees[side]}\n' in capsys.readouterr().out


def test_a_folder_without_configs_is_refused(trees, tmp_path):
    with pytest.raises(ValueError, match='nothing: expected a folder with configs, found none'):
        run('compare_configs.py', trees[0], tmp_path / 'nothing')


def test_copies(tmp_path, capsys):
    """By hand: of 8 + 8 + 7 lines the second file repeats 6, the third its own 5, too short."""
    run_of_six = [f'a{i} = {i}' for i in range(6)]
    short = [f'c{i} = {i}' for i in range(5)]
    files = {
        'x/one.py': ['# first', 'b = 1', *run_of_six, '', 'b = 2'],
        'x/two.py': [
            'b = 3',
            *run_of_six[:3],
            '',
            '# why',
            *[f'  {x}' for x in run_of_six[3:]],
            'b = 4',
        ],
        '_base_/c.py': [*short, 'b = 5', *short],
    }
    for name, lines in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('\n'.join(lines) + '\n')
    assert run('compare_configs.py', tmp_path, tmp_path, '--copies') == 0
    output = capsys.readouterr().out
    assert 'leaf configs: 6 of 16 lines are second copies, 37.5%' in output
    assert 'all files: 6 of 27 lines are second copies, 22.2%' in output


def test_our_configs_have_few_copies():
    tool = runpy.run_path(str(ROOT / 'tools/compare_configs.py'))
    copied, total = tool['count_copies'](list(tool['leaves'](ROOT / 'configs').values()))
    assert copied <= 0.15 * total


def test_print_config_is_the_whole_config(tmp_path, capsys):
    assert run('print_config.py', CONFIG, '--cfg-options', 'model.head.width=7', 'work_dir=w') == 0
    path = tmp_path / 'printed.py'
    path.write_text(capsys.readouterr().out)
    assert '_base_' not in path.read_text()
    expected = Config.fromfile(CONFIG)
    expected.merge_from_dict({'model.head.width': 7, 'work_dir': 'w', 'launcher': 'none'})
    assert Config.fromfile(path).to_dict() == expected.to_dict()


def test_print_config_without_a_config(capsys):
    with pytest.raises(FileNotFoundError, match='configs/none.py: no such config file'):
        run('print_config.py', 'configs/none.py')
    assert run('print_config.py', '--help') == 0
    assert 'python tools/print_config.py configs/mcar/mcar_r101_coco.py' in capsys.readouterr().out
