"""Odd, hostile and broken annotation files: each is read right, or an error with file and place."""

from __future__ import annotations

import re

import pytest
from helpers.odd_labels import all_cases, build

from mmmlc.datasets import vocabulary

CASES = all_cases()


@pytest.mark.parametrize('number', range(len(CASES)), ids=lambda n: f'{n}-{ascii(CASES[n].name)}')
def test_read_right_or_refused_with_its_place(tmp_path, monkeypatch, number):
    case, warnings = CASES[number], []
    monkeypatch.setattr(vocabulary, 'warn', warnings.append)
    monkeypatch.setattr(vocabulary, '_warned', set())
    if isinstance(case.expected, str):
        with pytest.raises(
            (ValueError, TypeError), match=re.compile(case.expected, re.DOTALL)
        ) as raised:
            build(case, tmp_path)
        # What is in the file cannot forge lines of a log, nor speak to the terminal.
        assert str(raised.value).isprintable() or not re.search('[\x00-\x1f]', str(raised.value))
    else:
        assert case.expected(build(case, tmp_path))
        assert not case.warned or any(case.warned in text for text in warnings), warnings
    assert len(set(warnings)) == len(warnings)
