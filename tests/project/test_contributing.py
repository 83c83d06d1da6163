"""CONTRIBUTING.md quotes the sixth system as it is, and names files that are there."""

from __future__ import annotations

import re

import pytest


@pytest.fixture(scope='module')
def page(root) -> str:
    return (root / 'CONTRIBUTING.md').read_text(encoding='utf-8')


def test_quotations_are_in_the_sixth_system(page, root):
    files = (root / 'tests/project/sixth_system').rglob('*.py')
    texts = [path.read_text(encoding='utf-8') for path in files]
    blocks = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    assert len(blocks) > 4
    for block in blocks:
        assert any(block in text for text in texts), block


def test_named_files_are_there(page, root):
    links = re.findall(r'\]\(([\w/.-]+)', page)
    names = re.findall(r'`((?:mmmlc|tools|tests|configs|docs)/[\w/.-]+)`', page)
    names = [name for name in names if 'smooth_max' not in name]
    assert len(links) > 2 and len(names) > 15
    assert not [name for name in links + names if not (root / name).exists()]


def test_every_folder_of_the_package_is_explained(page, root):
    folders = {path.parent.name for path in (root / 'mmmlc').glob('*/__init__.py')}
    assert not [name for name in folders if f'mmmlc/{name}' not in page and f'`{name}`' not in page]
