"""Names are harmless in logs, CSV files, spreadsheets and file names; honest ones stay."""

from __future__ import annotations

import csv
import os
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmmlc.neutral import safe_cell, safe_file_name, safe_line, write_csv

# Surrogates too: JSON can hold half a pair.
ANY = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


@pytest.mark.parametrize(
    'name',
    [
        'cat',
        'hot dog',
        'ü',
        '猫',
        'नमस्ते',
        'می\u200cخواهم',
        '👩\u200d🚀',
        "o'clock",
        'a=b',
        'T-shirt',
        '5%',
    ],
)
def test_honest_names_stay(name):
    assert safe_line(name) == safe_cell(name) == safe_file_name(name) == name


def test_by_hand():
    assert safe_line('a\nINFO b\x1b[31m\r\t\x9b\u202e\u2028') == (
        r'a\nINFO b\x1b[31m\r\t\x9b\u202e\u2028'
    )
    for mark in '=+-@＝＋－＠':
        assert safe_cell(f'{mark}1') == f"'{mark}1" and safe_cell(f' {mark}1') == f" '{mark}1"
        assert safe_cell(f'a;{mark}1') == f"a;'{mark}1"
    assert safe_cell('\t=1') == r'\t=1' and safe_cell('\r=1') == r'\r=1'
    assert [safe_cell(value) for value in (-1, -1.5, None, True)] == [-1, -1.5, None, True]
    assert safe_file_name('../../etc/passwd').startswith('.._.._etc_passwd_')
    assert safe_file_name('CON.txt').startswith('_CON.txt_')
    assert safe_file_name('..') != '..' and safe_file_name('') != ''


@given(ANY)
@example('\u2028=1')
@example('\ufeff=1')
def test_any_text_is_one_harmless_line(text):
    line, cell = safe_line(text), safe_cell(text)
    for result in (line, cell):
        assert not any(unicodedata.category(c) in ('Cc', 'Cs', 'Zl', 'Zp') for c in result)
        assert len(result.splitlines()) <= 1
        result.encode()
    assert not cell.lstrip().startswith(tuple('=+-@＝＋－＠'))
    assert safe_line(line) == line


@given(ANY, ANY)
@example('a' * 251, 'a' * 300)
@example('a/b', 'a_b')
@example('猫' * 100, '猫' * 101)
def test_any_text_is_a_name_of_a_file_of_its_own(first, second):
    names = [safe_file_name(text) for text in (first, second)]
    for name in names:
        assert 0 < len(name.encode()) <= 200
        assert os.path.basename(name) == name and name not in ('.', '..')
        assert not set(name) & set('<>:"/\\|?*\0\n')
        assert name == name.rstrip('. ')
    assert (names[0] == names[1]) == (first == second)


@given(st.lists(st.lists(ANY, min_size=2, max_size=2), max_size=5))
def test_csv_reads_back_as_safe_cells(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp('csv') / 'a.csv'
    write_csv(path, rows)
    with open(path, newline='', encoding='utf-8') as file:
        assert list(csv.reader(file)) == [[safe_cell(text) for text in row] for row in rows]
