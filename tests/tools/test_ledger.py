"""The published numbers: complete, each in one place, with commands that fit tools and configs."""

from __future__ import annotations

import inspect
import json
import re
import runpy
import shlex
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from helpers.optional import needs_mmdet
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmmlc.registry import MODELS

sys.path.append(str(next(p for p in Path(__file__).parents if (p / 'setup.py').exists()) / 'tools'))

from metafiles.read import read_metafiles
from strict_yaml import read_yaml

ROOT = Path(sys.path[-1]).parent
SYSTEMS = read_metafiles(ROOT)
ROWS = [row for system in SYSTEMS for row in system.published]
RESULTS = [result for s in SYSTEMS for model in s.models for result in model.results]
LINES = sorted({entry.command for entry in [*ROWS, *RESULTS] if entry.command})
COMMANDS = sorted({part for line in LINES for part in line.split(' && ')})

# How many numbers the papers' tables hold that are quoted here, and their sum, counted there.
PUBLISHED = {
    'MCAR': (57, 4810.0),
    'Plain baseline of MCAR': (16, 1253.6),
    'RDAL': (29, 2278.3),
    'KD-WSD': (31, 2091.5),
    'MsDPD': (13, 1174.9),
    'SCA-DNN': (4, 344.8),
    'Others, for comparison': (7, 616.6),
}


@pytest.mark.parametrize(
    'collection', [c for s in SYSTEMS for c in s.collections if c in PUBLISHED]
)
def test_every_published_number_is_there(collection):
    values = [row.value for row in ROWS if row.collection == collection]
    assert (len(values), pytest.approx(sum(values))) == PUBLISHED[collection]
    assert all(round(value, 1) == value for value in values)


def test_no_number_twice():
    keys = [(row.collection, row.setting, row.data, row.measure) for row in ROWS]
    assert [key for key in keys if keys.count(key) > 1] == []


def test_same_command_has_the_same_number():
    """An ablation's row that is the model itself: the paper prints it in several tables."""
    values: dict[tuple, set] = {}
    for row in ROWS:
        if row.command:
            values.setdefault((row.command, row.data, row.measure), set()).add(row.value)
    assert {key: found for key, found in values.items() if len(found) > 1} == {}


def test_rows_without_a_command_say_why():
    assert [row for row in ROWS if not row.command and not row.remark] == []


@cache
def parser_of(tool: str):
    return runpy.run_path(str(ROOT / tool))['parse_args']


def parsed(command: str, monkeypatch):
    """What the tool's own parser makes of a command."""
    words = [re.sub('^SEED$', '0', word) for word in shlex.split(command)]
    assert words[0] == 'python'
    monkeypatch.setattr(sys, 'argv', words[1:])
    return parser_of(words[1])()


@pytest.fixture
def no_initialisation(monkeypatch):
    """Weights are allocated and never written: memory that nobody touches costs nothing."""
    for layer in (torch.nn.Linear, torch.nn.modules.conv._ConvNd):
        monkeypatch.setattr(layer, 'reset_parameters', lambda self: None)


@pytest.mark.parametrize('command', COMMANDS)
def test_command_fits_tool_and_config(command, monkeypatch, no_initialisation):
    """The tool takes it, every option changes the config, and the model builds with them."""
    args = parsed(command, monkeypatch)
    tool = (ROOT / command.split()[1]).read_text()
    tool += (ROOT / 'mmmlc/engine/command_line.py').read_text()  # options that tools share
    for option in (word for word in command.split() if word.startswith('--')):
        assert f"'{option}'" in tool  # argparse takes abbreviations
    if not hasattr(args, 'config'):
        return  # it makes data
    cfg = Config.fromfile(ROOT / args.config)
    options = args.cfg_options or {}
    for key, value in options.items():
        if not key.endswith('._delete_'):
            assert _get(cfg, key) != value, f'{key} is {value} already'
    if not options:
        return  # built by the tests of the configs
    cfg.merge_from_dict(options)
    applied = {key: _get(cfg, key) for key in options if not key.endswith('._delete_')}
    assert applied == {key: value for key, value in options.items() if key in applied}
    if 'mmdet.' in repr(cfg.model):
        needs_mmdet()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        MODELS.build(cfg.model)


_NEW = object()


def _get(cfg: Config, key: str):
    """A value of a config; of a part's argument that it leaves out the default."""
    node = cfg
    for name in key.split('.'):
        parent, node = node, node[int(name)] if isinstance(node, list) else node.get(name, _NEW)
        if node is None or node is _NEW:
            break
    if node is not _NEW:
        return None if name != key.split('.')[-1] else node
    assert key.startswith('model.'), f'{key}: {name!r} is not in {parent}'
    arguments = inspect.signature(MODELS.get(parent['type']).__init__).parameters
    if name in arguments and name == key.split('.')[-1]:
        return arguments[name].default
    return _NEW  # as in a part that an option adds; what it does not take stops the build


@pytest.mark.parametrize('line', [line for line in LINES if ' && ' in line])
def test_checkpoints_come_from_the_trainings_before(line, monkeypatch):
    """What a training starts from and what is tested was written before, in an epoch there is."""
    written: dict[str, int] = {}  # work directory -> epochs
    for command in line.split(' && '):
        args = parsed(command, monkeypatch)
        if not hasattr(args, 'config'):
            continue  # it makes data
        cfg = Config.fromfile(ROOT / args.config)
        cfg.merge_from_dict(args.cfg_options or {})
        read = [args.checkpoint] if hasattr(args, 'checkpoint') else []
        trains = command.startswith('python tools/train.py')
        if trains:
            # Variables of bases (weights that only some configs start from) are not read.
            used = [cfg.get(key) for key in ('model', 'custom_hooks', 'load_from')]
            found = {text for text in _strings(used) if text.startswith('work_dirs/')}
            read = sorted(text for text in found if text.endswith('.pth'))
        for path in read:
            assert str(Path(path).parent) in written, path
            epoch = re.fullmatch(r'(?:student_)?epoch_(\d+)\.pth', Path(path).name)
            assert Path(path).name == 'best_loss_epoch_*.pth' or (
                int(epoch[1]) == written[str(Path(path).parent)]
            ), path
        for folder in getattr(args, 'also', None) or ():
            assert str(Path(folder).parent) in written, folder
        if trains:
            folder = args.work_dir or f'work_dirs/{Path(args.config).stem}'
            written[folder] = cfg.train_cfg.max_epochs


def _strings(node: object):
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list | tuple):
        for item in node.values() if isinstance(node, dict) else node:
            yield from _strings(item)


@pytest.mark.parametrize('system', SYSTEMS, ids=lambda system: system.name)
def test_options_of_results_are_those_of_their_runs(system):
    for model in system.models:
        for result in filter(lambda result: result.source, model.results):
            file, name = result.source.split()[:2]
            run = json.loads((ROOT / file).read_text())['runs'][name]
            pairs = run['overrides'].items()
            overrides = {f'{key}={value}'.replace(' ', '') for key, value in pairs}
            assert set(result.options.split()) <= overrides, (model.name, result.setting)
            assert result.options or run['config'] == model.config or run['test_of']


@pytest.mark.parametrize('system', SYSTEMS, ids=lambda system: system.name)
def test_comments_of_configs_quote_published_numbers(system):
    values = {f'{row.value:.1f}' for row in system.published}
    for model in system.models:
        comment = re.match(r'(#.*\n)*', (ROOT / model.config).read_text())[0].replace('\n#', '')
        for sentence in re.findall(r'The (?:paper|slides):.*?(?=\. |\.$|$)', comment):
            quoted = set(re.findall(r'\b\d\d\.\d\b', sentence))
            assert quoted <= values, model.config


@pytest.mark.parametrize('path', sorted(ROOT.glob('docs/results/*.yaml')), ids=lambda p: p.stem)
def test_published_columns_of_sweeps_are_published_numbers(path):
    known = {row.value for s in SYSTEMS if path.stem.startswith(s.name) for row in s.published}
    columns = [table.get('published', {}).values() for table in read_yaml(path).get('tables', ())]
    assert {value for column in columns for rows in column for value in rows.values()} <= known
