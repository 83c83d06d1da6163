"""Files for the VOC server: read back, in two processes, interrupted."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmengine.evaluator import Evaluator
from mmengine.registry import METRICS, DefaultScope
from mmengine.structures import BaseDataElement

from mmmlc.evaluation.voc_server import VOCServerFiles

CLASSES = ('aeroplane', 'bottle', 'cat', 'diningtable', 'tvmonitor')
IDS = ['2008_000006', '2008_000001', '2011_000003', '2009_000002', '2010_000009']


def make_scores() -> torch.Tensor:
    """Scores (5, 5) from 1e-30 to 1 that rounding to a few digits would tie."""
    logits = torch.randn(len(IDS), len(CLASSES), generator=torch.Generator().manual_seed(0)) * 20
    logits[0, 0], logits[1, 0] = 1.0, 1.0 + 1e-6
    return logits.sigmoid()


def make_samples(scores: torch.Tensor, ids: list[str]) -> list[BaseDataElement]:
    samples = []
    for img_id, row in zip(ids, scores, strict=True):
        sample = BaseDataElement(metainfo={'img_id': img_id})
        sample.pred_score = row
        samples.append(sample)
    return samples


def evaluate(metric, samples, size=None, classes=CLASSES) -> dict:
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = {'classes': classes}
    for start in range(0, len(samples), 2):
        evaluator.process(samples[start : start + 2])
    return evaluator.evaluate(len(samples) if size is None else size)


def read(folder: Path, comp: str = 'comp1') -> tuple[list[str], np.ndarray]:
    """Image ids and float32 scores (N, 5) of all files of a folder."""
    ids, columns = [], []
    for name in CLASSES:
        lines = (folder / f'{comp}_cls_test_{name}.txt').read_text().splitlines()
        pairs = [line.split(' ') for line in lines]
        ids.append([img_id for img_id, _ in pairs])
        columns.append([np.float32(score) for _, score in pairs])
    assert all(other == ids[0] for other in ids)
    return ids[0], np.array(columns).T


# --- what is written


@pytest.mark.parametrize('scope', [None, 'mmpretrain'])
@pytest.mark.parametrize('comp', ['comp1', 'comp2'])
def test_every_score_reads_back_exactly(tmp_path, scope, comp):
    with DefaultScope.overwrite_default_scope(scope):
        config = {'type': 'mmmlc.VOCServerFiles', 'out_dir': str(tmp_path), 'comp': comp}
        metric = METRICS.build(config)
    scores = make_scores()
    assert evaluate(metric, make_samples(scores, IDS)) == {'images': 5}
    folder = tmp_path / 'results/VOC2012/Main'
    assert {p.name for p in folder.iterdir()} == {f'{comp}_cls_test_{c}.txt' for c in CLASSES}
    ids, read_scores = read(folder, comp)
    assert ids == IDS
    np.testing.assert_array_equal(read_scores, scores.numpy())
    assert read_scores[0, 0] < read_scores[1, 0]


def test_archive_holds_the_files(tmp_path):
    evaluate(VOCServerFiles(str(tmp_path), year=2007), make_samples(make_scores(), IDS))
    folder = tmp_path / 'results/VOC2007/Main'
    with tarfile.open(tmp_path / 'results.tar.gz') as archive:
        names = archive.getnames()
        assert sorted(names) == sorted(str(p.relative_to(tmp_path)) for p in folder.iterdir())
        for name in names:
            assert archive.extractfile(name).read() == (tmp_path / name).read_bytes()


def test_no_archive_on_request(tmp_path):
    evaluate(VOCServerFiles(str(tmp_path), archive=False), make_samples(make_scores(), IDS))
    assert [p.name for p in tmp_path.iterdir()] == ['results']


def test_half_precision_scores(tmp_path):
    scores = make_scores().bfloat16()
    evaluate(VOCServerFiles(str(tmp_path)), make_samples(scores, IDS))
    np.testing.assert_array_equal(read(tmp_path / 'results/VOC2012/Main')[1], scores.float())


def test_interrupted_writing_leaves_the_files_of_before(tmp_path, monkeypatch):
    evaluate(VOCServerFiles(str(tmp_path)), make_samples(make_scores(), IDS))
    folder = tmp_path / 'results/VOC2012/Main'
    (folder / 'comp3_det_test_cat.txt').write_text('mine')
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    write, calls = Path.write_text, []

    def full_disk(path, *args, **kwargs):
        calls.append(path)
        if len(calls) == 4:
            raise OSError('no space left')
        return write(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'write_text', full_disk)
        with pytest.raises(OSError, match='no space left'):
            evaluate(VOCServerFiles(str(tmp_path)), make_samples(1 - make_scores(), IDS))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    evaluate(VOCServerFiles(str(tmp_path)), make_samples(1 - make_scores(), IDS))
    after = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] == before[name]] == ['comp3_det_test_cat.txt']


# --- several processes


def in_process(rank: int, folder: str) -> None:
    """One of two processes; the second gets the first image again, as mmengine's sampler pads."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    samples = make_samples(make_scores(), IDS)
    share = samples[::2] if rank == 0 else [*samples[1::2], samples[0]]
    result = evaluate(VOCServerFiles(f'{folder}/{rank}'), share, size=len(IDS))
    assert result == {'images': 5}
    dist.destroy_process_group()


def test_two_processes_write_once(tmp_path):
    torch.multiprocessing.spawn(in_process, (str(tmp_path),), nprocs=2)
    assert not (tmp_path / '1').exists()
    ids, scores = read(tmp_path / '0/results/VOC2012/Main')
    assert ids == IDS
    np.testing.assert_array_equal(scores, make_scores().numpy())


# --- errors


@pytest.mark.parametrize(
    ('ids', 'size', 'num_images', 'message'),
    [
        (IDS, 6, None, '5 images predicted, 6 in the data set'),
        (IDS, 5, 10991, '5 images predicted, 5 in the data set, 10,991 expected .*num_images'),
        ([*IDS[:4], IDS[1]], 5, None, '1 images come more than once, the first 2008_000001'),
    ],
)
def test_incomplete_images(tmp_path, ids, size, num_images, message):
    metric = VOCServerFiles(str(tmp_path), num_images=num_images)
    with pytest.raises(ValueError, match=message):
        evaluate(metric, make_samples(make_scores(), ids), size)
    assert not list(tmp_path.rglob('*.txt'))


def test_wrong_samples(tmp_path):
    samples = make_samples(make_scores(), IDS)
    del samples[0].img_id
    with pytest.raises(ValueError, match="has no 'img_id', which VOCServerFiles needs"):
        evaluate(VOCServerFiles(str(tmp_path)), samples)
    samples = make_samples(make_scores(), IDS)
    samples[2].pred_score[3] = float('nan')
    with pytest.raises(ValueError, match="'pred_score' of image 2011_000003 is not finite"):
        evaluate(VOCServerFiles(str(tmp_path)), samples)
    samples = make_samples(make_scores()[:, :4], IDS)
    with pytest.raises(ValueError, match=r'2008_000006 has shape \(4,\), expected \(5,\)'):
        evaluate(VOCServerFiles(str(tmp_path)), samples)
    with pytest.raises(ValueError, match='names no classes'):
        evaluate(VOCServerFiles(str(tmp_path)), make_samples(make_scores(), IDS), classes=None)
    with pytest.raises(ValueError, match="comp is 'comp3', expected one of 'comp1', 'comp2'"):
        VOCServerFiles(str(tmp_path), comp='comp3')
