"""The ledger: complete, its page up to date, its commands fit for the tools and configs."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction

ROOT = Path(__file__).resolve().parents[1]
ledger = runpy.run_path(str(ROOT / 'tools/ledger.py'))
ENTRIES = ledger['read_ledger'](ROOT / 'docs/ledger.csv')
SYSTEMS = [entry.system for entry in ENTRIES]
COMMANDS = sorted({part for e in ENTRIES for part in e.command.split(' && ') if part})


def test_every_published_number_is_there(shared):
    """The tables that this project compares with hold as many numbers as the ledger, no other."""
    text = (shared / 'papers/results.md').read_text()
    numbers = Counter(re.findall(r'(?<![\d.])\d\d\.\d(?!\d)', text))
    assert Counter(entry.published for entry in ENTRIES) == numbers


def test_no_entry_twice():
    keys = Counter((e.system, e.setting, e.data, e.measure) for e in ENTRIES)
    assert [key for key, n in keys.items() if n > 1] == []


def test_page_shows_every_entry():
    page = (ROOT / 'docs/ledger.md').read_text()
    assert page == ledger['render'](ENTRIES), 'run python tools/ledger.py'
    sections = re.split(r'^## ', page, flags=re.MULTILINE)[1:]
    assert [s.partition('\n')[0] for s in sections] == list(dict.fromkeys(SYSTEMS))
    rows = []
    for section in sections:
        name = section.partition('\n')[0]
        commands = dict(re.findall(r'^(\d+)\. `(.*)`$', section, re.MULTILINE), **{'': ''})
        for line in section.splitlines():
            cells = [cell.strip() for cell in line.split('|')[1:-1]]
            if len(cells) == 8 and re.fullmatch(r'\d\d\.\d', cells[3]):
                rows.append((name, *cells[:6], commands[cells[6]], cells[7]))
    expected = [
        (e.system, e.setting, e.data, e.measure, e.published)
        + (e.measured, e.state, e.command, e.remark)
        for e in ENTRIES
    ]
    assert rows == expected


def test_check_tells_an_old_page():
    subprocess.run([sys.executable, 'tools/ledger.py', '--check'], cwd=ROOT, check=True)


@pytest.mark.parametrize('command', COMMANDS)
def test_command_fits_tool_and_config(command):
    """The files are there, the tool has the options, the overridden keys exist in the config."""
    words = shlex.split(command)
    assert words[0] == 'python'
    tool, config = ROOT / words[1], ROOT / words[2]
    assert tool.is_file() and config.is_file()
    source = tool.read_text()
    for option in (word for word in words if word.startswith('--')):
        assert f"'{option}'" in source, f'{words[1]} has no {option}'
    cfg = Config.fromfile(config)
    if '--cfg-options' in words:
        for word in words[words.index('--cfg-options') + 1 :]:
            key, value = word.split('=')
            assert _get(cfg, key) != DictAction._parse_iterable(value), f'{key} is {value} already'


def _get(cfg: Config, key: str):
    for name in key.split('.'):
        cfg = cfg[name] if name in cfg else _DEFAULTS[key]
    return cfg


# Options that the configs leave at their default.
_DEFAULTS = {'model.prediction': 'fused', 'model.selection': 'top', 'model.loss': 'pair'}


@pytest.mark.parametrize('entry', ENTRIES, ids=lambda e: f'{e.setting}, {e.data}, {e.measure}')
def test_checkpoints_come_from_the_trainings_before(entry):
    """A command after a training reads the folder that the training has written."""
    written = set()
    for part in filter(None, entry.command.split(' && ')):
        words = shlex.split(part)
        if words[1] == 'tools/train.py':
            own = words[words.index('--work-dir') + 1] if '--work-dir' in words else None
            written.add(own or f'work_dirs/{Path(words[2]).stem}')
            init = (Config.fromfile(ROOT / words[2]).model.backbone.get('init_cfg') or {}).get(
                'checkpoint', ''
            )
            assert init.startswith('https:') or str(Path(init).parent) in written
        else:
            assert str(Path(words[3]).parent) in written
        for also in (words[words.index('--also') + 1],) if '--also' in words else ():
            assert any(also.startswith(folder) for folder in written)


def test_first_comment_of_the_configs_is_the_published_number():
    """Those of MCAR and its baseline, at default settings."""
    published = {}
    for e in ENTRIES:
        parts = e.command.split(' && ')
        if e.system in ('MCAR', 'plain baseline of MCAR') and e.measure == 'mAP':
            published.setdefault(parts[-1], e.published)
    for path in sorted((ROOT / 'configs/mcar').glob('*.py')):
        comment = path.read_text().partition('_base_')[0].replace('\n#', '')
        if not (found := re.search(r'The paper:\s+([\d.]+) mAP', comment)):
            continue
        name = path.relative_to(ROOT)
        values = [v for c, v in published.items() if str(name) in c and '--cfg-options' not in c]
        assert values == [found[1]], name


# --- the table itself


HEADER = 'system,setting,data,measure,published,measured,command,remark\n'


@pytest.mark.parametrize(
    ('measured', 'command', 'state'),
    [
        ('', '', 'no code yet'),
        ('', 'python x', 'not run'),
        ('80.5', 'python x', 'reproduced'),
        ('79.5', 'python x', 'reproduced'),
        ('79.4', 'python x', 'differs'),
        ('81', 'python x', 'differs'),
    ],
)
def test_state(tmp_path, measured, command, state):
    path = tmp_path / 'ledger.csv'
    path.write_text(f'{HEADER}MCAR,a,VOC07,mAP,80.0,{measured},{command},\n')
    (entry,) = ledger['read_ledger'](path)
    assert entry.state == state
    assert f'| {state} |' in ledger['render']([entry])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('system,setting\n', 'ledger.csv: line 1 is'),
        (f'{HEADER}MCAR,a,VOC07,mAP,80.0\n', 'line 2 has not 8 columns'),
        (f'{HEADER}MCAR,a,VOC07,mAP,80.0,,,,x\n', 'line 2 has not 8 columns'),
        (f'{HEADER}MCAR,a,VOC07,,80.0,,,\n', 'line 2 has no measure'),
        (f'{HEADER}MCAR,a,VOC07,mAP,801,,,\n', "line 2 has published='801', expected a number"),
        (f'{HEADER}MCAR,a,VOC07,mAP,80.1,x,y,\n', "line 2 has measured='x', expected a number"),
        (f'{HEADER}MCAR,a,VOC07,mAP,80.1,80.0,,\n', 'line 2 has a measured value and no command'),
    ],
)
def test_wrong_table(tmp_path, text, message):
    path = tmp_path / 'ledger.csv'
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        ledger['read_ledger'](path)
