"""Write docs/ledger.md, the page of published numbers, from docs/ledger.csv.

python tools/ledger.py            # after editing the table
python tools/ledger.py --check    # does the page match the table?
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / 'docs'
TOLERANCE = 0.5  # points
STATES = ('reproduced', 'differs', 'not run', 'no code yet')

HEAD = """# Reproduction ledger

Every number of the papers that this project implements, the command that would reproduce it, and
where we stand. Made by `python tools/ledger.py` from [ledger.csv](ledger.csv): edit that.

All numbers in percent. `mAP` is not interpolated; `CF1` is the harmonic mean of mean precision and
mean recall, `macro_F1` the mean of the classes' F1; `top3_` counts the three best labels of an
image, `top3_thr_` those of them that reach the threshold. `tools/test.py` prints the same keys.

| state | meaning | rows |
| --- | --- | --- |
| reproduced | measured within {tolerance} points | {reproduced} |
| differs | measured, further away | {differs} |
| not run | a command, but nobody has run it yet | {not run} |
| no code yet | the system or ablation is not written | {no code yet} |

A row's command is a number in the list below its table. The commands expect the data as in
[data.md](data.md) and write to `work_dirs/`. Some begin with the same training, which need not be
repeated.
"""


@dataclass(frozen=True)
class Entry:
    """One published number; ``measured`` and ``command`` are empty where there is none."""

    system: str
    setting: str
    data: str
    measure: str
    published: str
    measured: str
    command: str
    remark: str

    @property
    def state(self) -> str:
        """One of ``STATES``."""
        if self.measured:
            near = abs(float(self.measured) - float(self.published)) <= TOLERANCE
            return 'reproduced' if near else 'differs'
        return 'not run' if self.command else 'no code yet'


def read_ledger(path: Path) -> list[Entry]:
    """Read the table.

    Raises:
        ValueError: other columns, a published or measured value that is no percentage, a measured
            one without its command; names file and line.
    """
    names = [field.name for field in fields(Entry)]
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != names:
            raise ValueError(f'{path}: line 1 is {reader.fieldnames}, expected {names}')
        entries = []
        for row in reader:
            where = f'{path}: line {reader.line_num}'
            if None in row or None in row.values():
                raise ValueError(f'{where} has not {len(names)} columns')
            entries.append(_checked(Entry(**row), where))
    return entries


def _checked(entry: Entry, where: str) -> Entry:
    for key in ('system', 'setting', 'data', 'measure', 'published'):
        if not getattr(entry, key):
            raise ValueError(f'{where} has no {key}')
    for key in ('published', 'measured'):
        text = getattr(entry, key)
        if text and not _is_percentage(text):
            raise ValueError(f'{where} has {key}={text!r}, expected a number from 0 to 100')
    if entry.measured and not entry.command:
        raise ValueError(f'{where} has a measured value and no command')
    return entry


def _is_percentage(text: str) -> bool:
    try:
        return 0 <= float(text) <= 100
    except ValueError:
        return False


def render(entries: list[Entry]) -> str:
    """The page."""
    counts = Counter(entry.state for entry in entries)
    numbers = {state: counts[state] for state in STATES}
    parts = [HEAD.format(tolerance=TOLERANCE, **numbers)]
    for system, group in groupby(entries, key=lambda entry: entry.system):
        parts.append(f'\n## {system}\n\n{_table(list(group))}')
    return ''.join(parts)


def _table(entries: list[Entry]) -> str:
    """One row per entry, then the commands, which many rows share, numbered."""
    commands = list(dict.fromkeys(entry.command for entry in entries if entry.command))
    lines = [
        '| setting | data | measure | published | measured | state | command | remark |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    for e in entries:
        number = str(commands.index(e.command) + 1) if e.command else ''
        cells = (e.setting, e.data, e.measure, e.published, e.measured, e.state, number, e.remark)
        lines.append(f'| {" | ".join(cells)} |')
    listed = [f'{number}. `{command}`' for number, command in enumerate(commands, start=1)]
    return '\n'.join([*lines, '', *listed] if listed else lines) + '\n'


def main() -> None:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--check', action='store_true', help='only compare; 1 if they differ')
    args = parser.parse_args()
    page = DOCS / 'ledger.md'
    text = render(read_ledger(DOCS / 'ledger.csv'))
    if not args.check:
        page.write_text(text, encoding='utf-8')
    elif not page.is_file() or page.read_text(encoding='utf-8') != text:
        sys.exit(f'{page} does not match ledger.csv: run python tools/ledger.py')


if __name__ == '__main__':
    main()
