"""Generated cases of everything that comes from outside: a right answer or a clear error.

``MMMLC_CASES`` and ``MMMLC_SEED`` change number and seed; ``tools/generate_cases.py`` runs many.
"""

from __future__ import annotations

import os

import pytest
from helpers.cases import CASES, PROPERTIES, SEED, find, number_of_cases, right_or_refused, run

find()


@pytest.mark.parametrize('name', sorted(PROPERTIES))
def test_property(name):
    cases = number_of_cases(name, int(os.environ.get('MMMLC_CASES', CASES)))
    assert run(name, cases, int(os.environ.get('MMMLC_SEED', SEED))) >= cases


def test_shares_make_at_least_all_cases():
    assert sum(number_of_cases(name, CASES) for name in PROPERTIES) >= CASES


def test_an_error_has_to_name_something():
    def fail():
        raise ValueError('a.json is wrong')

    assert right_or_refused(fail, 'a.json')[0] is False
    with pytest.raises(AssertionError, match='names none of'):
        right_or_refused(fail, 'b.json')
    with pytest.raises(ZeroDivisionError):
        right_or_refused(lambda: 1 // 0, '')
