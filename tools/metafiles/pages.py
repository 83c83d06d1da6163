"""Tables of the metafiles' numbers, written between marker comments of Markdown pages.

``<!-- numbers:NAME begin -->`` and ``<!-- numbers:NAME end -->`` stand around a table. NAME is
``states``, ``ledger`` or ``summary``, of all systems; or ``configs`` or ``measured`` of one, as in
``rdal.configs``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .read import STATES, TOLERANCE, Published, Result, System

BLOCK = re.compile(
    r'(?P<begin>^<!-- numbers:(?P<name>\S+) begin -->\n).*?'
    r'(?P<end>^<!-- numbers:(?P=name) end -->$)',
    re.DOTALL | re.MULTILINE,
)
MARKER = re.compile(r'^<!-- numbers:(\S+) (?:begin|end) -->$', re.MULTILINE)
MEANING = {
    'reproduced': f'measured within {TOLERANCE} points',
    'differs': 'measured, further away',
    'not run': 'a command, but nobody has run it yet',
    'no command yet': 'the remark says why',
    "others' system": 'quoted for comparison, not a system of this project',
}


def pages(root: Path) -> list[Path]:
    """Markdown files that may hold tables."""
    patterns = ('README.md', 'docs/*.md', 'docs/results/README.md', 'configs/*/README.md')
    return [path for pattern in patterns for path in sorted(root.glob(pattern))]


def with_tables(text: str, systems: Sequence[System], where: str) -> str:
    """A page with its tables made anew.

    Raises:
        ValueError: a marker of another name, or one without its other end; names page and marker.
    """
    found = [match['name'] for match in BLOCK.finditer(text)]
    markers = MARKER.findall(text)
    if Counter(markers) != Counter({name: 2 * found.count(name) for name in found}):
        raise ValueError(f'{where}: markers {markers}, expected a begin and an end of each')
    return BLOCK.sub(
        lambda m: f'{m["begin"]}\n{_block(m["name"], systems, where)}\n{m["end"]}', text
    )


def _block(name: str, systems: Sequence[System], where: str) -> str:
    if name in ALL:
        return ALL[name](systems)
    system, _, kind = name.partition('.')
    chosen = [entry for entry in systems if entry.name == system]
    if not chosen or kind not in ONE:
        known = [*ALL, *(f'{entry.name}.{kind}' for entry in systems for kind in ONE)]
        raise ValueError(f'{where}: no table {name!r}, expected one of {known}')
    return ONE[kind](chosen[0])


def table(head: Sequence[str], rows: Iterable[Sequence[str]], drop_empty: bool = True) -> str:
    """A Markdown table, without the columns that are empty in every row."""
    rows = [list(row) for row in rows]
    kept = [i for i in range(len(head)) if not drop_empty or any(row[i] for row in rows)]
    lines = [head, ['---'] * len(head), *rows]
    return ''.join(f'| {" | ".join(line[i] for i in kept)} |\n' for line in lines)


def _states(systems: Sequence[System]) -> str:
    counts = Counter(row.state for system in systems for row in system.published)
    rows = [(state, MEANING[state], str(counts[state])) for state in STATES]
    return table(('state', 'meaning', 'published numbers'), rows)


def _ledger(systems: Sequence[System]) -> str:
    return '\n'.join(
        f'## {name}\n\n{_published([row for row in system.published if row.collection == name])}'
        for system in systems
        for name in system.collections
        if any(row.collection == name for row in system.published)
    )


def _published(rows: Sequence[Published]) -> str:
    """One line per number, then the commands, which many share, numbered."""
    rows = sorted(rows, key=lambda row: row.ablation)
    commands = list(dict.fromkeys(row.command for row in rows if row.command))
    head = ('setting', 'data', 'measure', 'published', 'where', 'measured', 'state')
    cells = [
        (
            f'*ablation*: {row.setting}' if row.ablation else row.setting,
            row.data,
            row.measure,
            f'{row.value:.1f}',
            row.where,
            '' if row.measured is None else f'{row.measured:.1f}',
            row.state,
            str(commands.index(row.command) + 1) if row.command else '',
            row.remark,
        )
        for row in rows
    ]
    listed = ''.join(f'{n}. `{command}`\n' for n, command in enumerate(commands, start=1))
    text = table((*head, 'command', 'remark'), cells, drop_empty=False)
    return f'{text}\n{listed}' if listed else text


def _configs(system: System) -> str:
    """The configs with their published mAP: the first one without other options."""
    rows = []
    for model in system.models:
        rows_of_map = [row for row in model.published if row.measure == 'mAP']
        own = [row for row in rows_of_map if '--cfg-options' not in row.command]
        value = f'{own[0].value:.1f}' if own else ''
        rows.append((f'`{model.name}.py`', model.data, model.setting, value))
    return table(('config', 'data', 'setting', 'published mAP'), rows)


def _measured(system: System) -> str:
    pairs = [(model.name, result) for model in system.models for result in model.results]
    return _results((f'`{name}.py`', result) for name, result in pairs)


def _summary(systems: Sequence[System]) -> str:
    rows = [
        (model.collection, result)
        for system in systems
        for model in system.models
        for result in model.results
        if result.summary
    ]
    return _results(sorted(rows, key=lambda row: row[1].data, reverse=True))  # ToyScenes first


def _results(named: Iterable[tuple[str, Result]]) -> str:
    head = (
        'model',
        'setting',
        'data',
        'measured',
        'plain baseline',
        'difference',
        'seeds',
        'remark',
    )
    rows = [
        (
            name,
            result.setting,
            result.data,
            ', '.join(_number(result, measure) for measure in result.metrics),
            result.baseline,
            result.difference,
            result.seeds,
            result.remark,
        )
        for name, result in named
    ]
    return table(head, rows)


def _number(result: Result, measure: str) -> str:
    text = f'{result.metrics[measure]:.1f}'
    if measure in result.spread:
        text += f' ± {result.spread[measure]:.1f}'
    return text if measure == 'mAP' else f'{measure} {text}'


ALL: dict[str, Callable[[Sequence[System]], str]] = dict(
    states=_states, ledger=_ledger, summary=_summary
)
ONE: dict[str, Callable[[System], str]] = dict(configs=_configs, measured=_measured)
