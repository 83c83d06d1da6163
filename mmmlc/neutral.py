"""Names of classes and files made harmless where they are printed or written.

Names come from annotation files, which anybody may have written: a name can hold the escape
sequences of a terminal, a line end that forges a line of a log, a formula that a spreadsheet runs,
or a path. Names without any of it, in whatever language, come back as they are.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

# Control characters, line and paragraph separators, marks that reverse the direction of the text
# around them, byte order marks, halves of UTF-16 pairs. Joiners and accents stay: names need them.
_UNSAFE = re.compile(
    '[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]'
)
# What spreadsheets take for a formula, at the start of a cell, or of a part of it: where a cell
# separator other than the comma is set, the file falls into other cells than it was written in.
_FORMULA = re.compile('(^|[;|\t])(\\s*)(?=[=+\\-@\uff1d\uff0b\uff0d\uff20])')
_NOT_IN_FILE_NAMES = re.compile(r'[<>:"/\\|?*]')
_DEVICES = {
    'con',
    'prn',
    'aux',
    'nul',
    *(f'{name}{i}' for name in ('com', 'lpt') for i in range(10)),
}


def safe_line(text: object) -> str:
    r"""The text in one line for logs and terminals: control characters as ``\n``, ``\x1b`` ..."""
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(lambda match: ascii(match.group())[1:-1], text)


def safe_cell(value: object) -> object:
    """A cell for CSV files and spreadsheets: texts in one line, ``'`` before what is a formula.

    Numbers and None come back as they are.
    """
    return _FORMULA.sub(r"\1\2'", safe_line(value)) if isinstance(value, str) else value


def write_csv(path: str | Path, rows: Iterable[Sequence]) -> None:
    """Write a CSV file in UTF-8 whose cells are safe."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows(map(safe_cell, row) for row in rows)


def safe_file_name(text: object, most_bytes: int = 200) -> str:
    """A name for a file, in any folder and system; never a path.

    Two texts get two names: what had to be changed ends in a hash of the text.

    Args:
        text: Any text.
        most_bytes: Longest name in UTF-8; file systems take 255 bytes with the ending.
    """
    text = str(text)
    name = _NOT_IN_FILE_NAMES.sub('_', _UNSAFE.sub('_', text)).strip().rstrip('. ')
    if name.partition('.')[0].lower() in _DEVICES or not name.strip('.'):
        name = f'_{name}'
    if name == text and len(name.encode()) <= most_bytes:
        return name
    mark = hashlib.blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()
    room = most_bytes - len(mark) - 1
    return f'{name.encode()[:room].decode(errors="ignore")}_{mark}'
