"""Which files a command line means."""

from __future__ import annotations

import pytest

from mmmlc.ready.sources import find_images


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ('b.JPG', 'a.png', 'notes.txt', 'sub/c.webp', 'sub/deep/d.tif', 'photo'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b'')
    (tmp_path / 'folder.jpg').mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_folders_and_patterns(folder):
    everything = [str(folder / name) for name in ('a.png', 'b.JPG', 'sub/c.webp', 'sub/deep/d.tif')]
    assert find_images([str(folder)]) == everything
    assert find_images(['sub', 'a.png']) == ['sub/c.webp', 'sub/deep/d.tif', 'a.png']
    assert find_images(['*.[pJ]*']) == ['a.png', 'b.JPG']
    assert find_images(['**/*.*']) == ['a.png', 'b.JPG', 'sub/c.webp', 'sub/deep/d.tif']
    assert find_images(['photo', 'notes.txt']) == ['photo', 'notes.txt']  # named, so meant
    assert find_images(['a.png', 'a.png', '*.png']) == ['a.png']


@pytest.mark.parametrize('name', ['gone.jpg', '*.gif', 'folder.jpg'])
def test_nothing_is_an_error(folder, name):
    with pytest.raises(FileNotFoundError, match=f'^{name.replace("*", "[*]")}: no such file'):
        find_images(['a.png', name])


def test_addresses_are_refused(folder):
    with pytest.raises(ValueError, match='https://x.org/a.jpg: addresses are not fetched'):
        find_images(['https://x.org/a.jpg'])
