"""Extraction: same file by every way, killed and resumed, in shards, with broken images."""

from __future__ import annotations

import importlib
import json
import os
import signal
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from helpers.small_data import write_coco
from mmengine.config import Config
from PIL import Image

from mmmlc.datasets.transforms import LoadImage
from mmmlc.proposals.edge_boxes import EdgeBoxes
from mmmlc.proposals.extract import Extraction, ImageExtractor, ImageList, list_images
from mmmlc.proposals.records import RecordWriter, scan
from mmmlc.proposals.store import ProposalStore

IMAGES = 12
OPTIONS = dict(min_area=100.0, max_boxes=30)


class _Recorded(ImageExtractor):
    """Writes down what it is asked for; from image ``stop`` on it waits to be killed."""

    def __init__(self, log: str, stop: int = IMAGES) -> None:
        super().__init__(EdgeBoxes(**OPTIONS), {})
        self.log, self.stop = log, stop

    def __call__(self, name, path):
        if int(Path(path).stem) >= self.stop:
            time.sleep(3600)
        with open(self.log, 'a') as file:
            file.write(name + '\n')
        return super().__call__(name, path)


@pytest.fixture
def data(tmp_path):
    """Folder of the images, and the list of them."""
    names = [f'{"sub/" * (i % 2)}{i}.png' for i in range(IMAGES)]
    for i, name in enumerate(names):
        pixels = np.full((60, 80, 3), 40, np.uint8)
        pixels[10 : 30 + i, 8 : 40 + 2 * i] = (200, 120, 90)
        pixels[25 + i : 50, 45:70] = (10, 250 - 10 * i, 160)
        path = tmp_path / 'train' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return ImageList('train', {name: str(tmp_path / 'train' / name) for name in names}, {})


def _run(images, out, workers=1, shard=(1, 1), log=os.devnull, stop=IMAGES, parameters=None):
    extraction = Extraction(images, out, parameters or EdgeBoxes(**OPTIONS).parameters, shard)
    return extraction.extract(partial(_Recorded, str(log), stop), workers)


@pytest.fixture
def reference(data, tmp_path):
    out = tmp_path / 'reference.prop'
    assert _run(data, out) == (IMAGES, 0, {}, 0)
    return out.read_bytes()


def test_boxes_are_those_of_a_plain_loop(data, tmp_path, reference):
    store = ProposalStore(tmp_path / 'reference.prop')
    assert store.names == list(data.paths)
    for name, path in data.paths.items():
        boxes, scores = EdgeBoxes(**OPTIONS)(LoadImage()({'img_path': path})['img'])
        assert len(boxes) > 0
        found = store[name]
        np.testing.assert_array_equal(np.rint(found[0] * [80, 60, 80, 60]), boxes)
        np.testing.assert_array_equal(found[1], scores)
    assert not (tmp_path / 'reference.prop.parts').exists()


def test_two_processes_write_the_same_file(data, tmp_path, reference):
    out = tmp_path / 'two.prop'
    assert _run(data, out, workers=2) == (IMAGES, 0, {}, 0)
    assert out.read_bytes() == reference


def _records(out) -> int:
    return sum(1 for path in out.with_name(f'{out.name}.parts').glob('*') for _ in scan(path))


def _alive(pid: int) -> bool:
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def _children(pid: int) -> list[int]:
    with open(f'/proc/{pid}/task/{pid}/children') as file:
        return [int(word) for word in file.read().split()]


def _wait(condition) -> None:
    end = time.monotonic() + 600  # not to hang for ever
    while not condition():
        assert time.monotonic() < end, 'nothing happened in 600 s'
        time.sleep(0.01)


@pytest.mark.parametrize('workers', [1, 2])
def test_killed_and_resumed(data, tmp_path, reference, workers):
    out = tmp_path / 'killed.prop'
    process = get_context('fork').Process(
        target=_run, args=(data, out, workers), kwargs=dict(stop=6)
    )
    process.start()
    _wait(lambda: _records(out) >= 4)
    orphans = _children(process.pid) if os.path.exists('/proc/self/task') else []
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    _wait(lambda: not any(map(_alive, orphans)))
    assert not out.exists()
    kept = _records(out) - 1  # the first describes the run
    assert kept >= 3

    log = tmp_path / 'log'
    assert _run(data, out, log=log) == (IMAGES, kept, {}, 0)
    assert len(log.read_text().split()) == IMAGES - kept
    assert out.read_bytes() == reference


@pytest.mark.parametrize('cut', [1, 20, 200])
def test_torn_record_is_redone(data, tmp_path, reference, cut):
    """The last record lost its end; so does one whose bytes changed."""
    out = tmp_path / 'torn.prop'
    assert _run(data, out, shard=(1, 2)).missing == 6
    path = next(out.with_name('torn.prop.parts').glob('*'))
    whole = len(list(scan(path)))
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    assert len(list(scan(path))) == whole - 1
    log = tmp_path / 'log'
    extraction = Extraction(data, out, EdgeBoxes(**OPTIONS).parameters, (1, 2))
    outcome = extraction.extract(partial(_Recorded, str(log)), 1)
    assert outcome.kept == 5 and 0 < extraction.discarded < len(content)
    assert log.read_text().split() == ['10.png']
    assert path.read_bytes() == content
    assert _run(data, out).missing == 0
    assert out.read_bytes() == reference


def test_changed_byte_ends_what_is_trusted(data, tmp_path):
    _run(data, tmp_path / 'a.prop', shard=(1, 2))
    path = next((tmp_path / 'a.prop.parts').glob('*'))
    records = list(scan(path))
    content = bytearray(path.read_bytes())
    content[records[3].end - 1] ^= 1
    path.write_bytes(content)
    assert [r.description for r in scan(path)] == [r.description for r in records[:3]]


def test_shards_in_any_order_write_the_same_file(data, tmp_path, reference):
    out = tmp_path / 'shards.prop'
    counts = []
    for i in (3, 1, 2):
        assert not out.exists()
        counts.append(_run(data, out, shard=(i, 3)))
    assert [c.total for c in counts] == [4, 4, 4] and [c.missing for c in counts] == [8, 4, 0]
    assert out.read_bytes() == reference
    assert not out.with_name('shards.prop.parts').exists()


def test_other_number_of_shards_goes_on(data, tmp_path, reference):
    out, log = tmp_path / 'n.prop', tmp_path / 'log'
    _run(data, out, shard=(1, 3), log=log)
    assert _run(data, out, log=log) == (IMAGES, 4, {}, 0)
    assert sorted(log.read_text().split()) == sorted(data.paths)
    assert out.read_bytes() == reference


def test_finished_file_is_left_alone(data, tmp_path, reference):
    out = tmp_path / 'reference.prop'
    before = out.stat()
    assert _run(data, out) == (IMAGES, IMAGES, {}, 0)
    assert (out.stat().st_mtime_ns, out.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_broken_images_are_listed_and_tried_again(data, tmp_path, reference):
    names = list(data.paths)
    good = {}
    for name in (names[2], names[5]):
        path = Path(data.paths[name])
        good[path] = path.read_bytes()
        path.write_bytes(good[path][:100])
    out, log = tmp_path / 'broken.prop', tmp_path / 'log'
    outcome = _run(data, out, workers=2)
    assert list(outcome.broken) == [names[2], names[5]] and outcome.missing == 0
    store = ProposalStore(out)
    assert len(store) == IMAGES - 2 and list(store.broken) == [names[2], names[5]]
    with pytest.raises(ValueError, match='2.png: it was broken: .*2.png'):
        store.find('x/train/2.png')
    for path, content in good.items():
        path.write_bytes(content)
    assert _run(data, out, log=log) == (IMAGES, IMAGES - 2, {}, 0)
    assert log.read_text().split() == [names[2], names[5]]
    assert out.read_bytes() == reference


def test_other_parameters_are_refused(data, tmp_path, reference):
    other = EdgeBoxes(alpha=0.7, **OPTIONS).parameters
    with pytest.raises(ValueError, match=r'reference.prop was made with .*0.65.*asked .*0.7'):
        _run(data, tmp_path / 'reference.prop', parameters=other)
    _run(data, tmp_path / 'a.prop', shard=(1, 2))
    with pytest.raises(ValueError, match=r'1-of-2.records was made with .*remove it'):
        _run(data, tmp_path / 'a.prop', parameters=other)
    with pytest.raises(ValueError, match='shard 3/2'):
        _run(data, tmp_path / 'a.prop', shard=(3, 2))


def test_a_shard_has_one_writer(tmp_path):
    with (
        RecordWriter(tmp_path / 'a.records', {}),
        pytest.raises(ValueError, match='a.records: another process is extracting this shard'),
    ):
        RecordWriter(tmp_path / 'a.records', {})


class _Killed:
    def __call__(self, name, path):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_dead_worker_is_reported(data, tmp_path):
    extraction = Extraction(data, tmp_path / 'a.prop', {})
    with pytest.raises(RuntimeError, match='worker processes died.*fewer --workers'):
        extraction.extract(_Killed, 2)


# --- the images of a config, and the tool


@pytest.fixture
def config(tmp_path):
    dataset = dict(
        type='mmmlc.CocoMultiLabel',
        data_root=str(tmp_path / 'data'),
        ann_file='ann.json',
        data_prefix=dict(img_path='photos'),
        pipeline=[
            dict(type='mmmlc.LoadImage', imdecode_backend='cv2'),
            dict(type='mmmlc.PackInputs'),
        ],
    )
    write_coco(tmp_path / 'data', Config(dataset), ['a', 'b', 'c'], images=3)
    path = tmp_path / 'config.py'
    wrapped = dict(type='mmengine.RepeatDataset', times=2, dataset=dataset)
    path.write_text(
        f"default_scope = 'mmpretrain'\ntrain_dataloader = dict(dataset={wrapped!r})\n"
        f'val_dataloader = dict(dataset={dict(dataset, pipeline=[])!r})\n'
    )
    return path


def test_images_of_a_config(config):
    images = list_images(Config.fromfile(config), 'train')
    assert images.folder == 'photos'
    assert list(images.paths) == ['000000.png', '000001.png', '000002.png']
    assert all(os.path.isfile(path) for path in images.paths.values())
    assert images.loader == dict(imdecode_backend='cv2', color_type='color')
    with pytest.raises(ValueError, match='val_dataloader.dataset.pipeline has no mmmlc.LoadImage'):
        list_images(Config.fromfile(config), 'val')
    with pytest.raises(ValueError, match='no test_dataloader.dataset'):
        list_images(Config.fromfile(config), 'test')


@pytest.fixture
def tool(root, monkeypatch):
    monkeypatch.syspath_prepend(root / 'tools')
    return importlib.import_module('extract_proposals')


def test_tool(config, tmp_path, tool, capsys):
    out = tmp_path / 'out' / 'x.prop'
    words = [str(config), str(out), '--min-area', '100', '--max-boxes', '30']
    assert tool.main([*words, '--shard', '1/2', '--workers', '1']) == 0
    assert '1 images of other shards are missing' in capsys.readouterr().out
    (tmp_path / 'data/photos/000001.png').write_bytes(b'')
    assert tool.main([*words, '--workers', '2']) == 3
    captured = capsys.readouterr()
    assert '2 images finished, 2 of them finished before' in captured.out
    assert '000001.png: ' in captured.err and 'empty file' in captured.err
    parameters = ProposalStore(out).parameters
    assert (parameters['minBoxArea'], parameters['maxBoxes']) == (100, 30)
    json.dumps(parameters)


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--model', 'none.yml.gz'], 'none.yml.gz: no such structured-edge model'),
        (['--split', 'test'], 'no test_dataloader.dataset'),
        (['--cfg-options', 'train_dataloader.dataset.dataset.data_root=nowhere'], 'nowhere'),
    ],
)
def test_tool_errors(config, tmp_path, tool, capsys, words, message):
    assert tool.main([str(config), str(tmp_path / 'x.prop'), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'x.prop.parts').exists()


@pytest.mark.parametrize('shard', ['0/2', '3/2', '1', 'a/b'])
def test_tool_refuses_shards(config, tmp_path, tool, capsys, shard):
    with pytest.raises(SystemExit):
        tool.main([str(config), str(tmp_path / 'x.prop'), '--shard', shard])
    assert 'expected i/n with i from 1 to n' in capsys.readouterr().err
