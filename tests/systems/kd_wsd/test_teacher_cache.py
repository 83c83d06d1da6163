"""Answers of a teacher on disk: the same losses, and refusals."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from distillation_lab import IMAGES, Lab, build, distiller
from torch import nn

from mmmlc.registry import MODELS
from mmmlc.systems.kd_wsd.teacher_cache import TeacherCache


@pytest.fixture(scope='module')
def lab(tmp_path_factory) -> Lab:
    return Lab(tmp_path_factory.mktemp('lab'))


def count_calls(model: nn.Module) -> list[int]:
    """Images that the teacher's backbone gets from now on."""
    calls = []
    model._teacher.model.backbone.register_forward_pre_hook(lambda _, x: calls.append(len(x[0])))
    return calls


@pytest.mark.parametrize('maps', [False, True])
@pytest.mark.parametrize('stage', [0, 1])
def test_cache_gives_the_same_losses(lab, tmp_path, stage, maps):
    model = build(lab, stage).eval()
    names = [sample.img_path for sample in lab.batch()['data_samples']]
    batches = [lab.prepared(model, flip=flip) for flip in (0.0, 1.0)]
    expected = [model.loss(*batch) for batch in batches]
    assert expected[0] != expected[1]
    model.cache_teacher(tmp_path / 'cache', names, lab.batch(), maps, 'float32')
    calls = count_calls(model)
    for _ in range(2):
        for batch, losses in zip(batches, expected, strict=True):
            torch.testing.assert_close(model.loss(*batch), losses)
    # Stage 1 needs the maps anew, unless they are kept.
    assert calls == [IMAGES] * (4 if stage == 0 and not maps else 2)


def test_what_is_kept_stays(lab, tmp_path):
    """Stage 1 asks for all maps of a batch where one answer is missing; the others stay."""
    model = build(lab, 0).eval()
    batch = lab.prepared(model)
    names = [sample.img_path for sample in batch[1]]
    model.cache_teacher(tmp_path / 'cache', names, lab.batch(), False, 'float32')
    expected = model.loss(*batch)
    records = model._teacher.cache._records
    before = records.copy()
    records['filled'][0], records['objectness'][0] = False, 0
    records['objectness'][2] += 1  # two records an image: itself and mirrored
    model.loss(*batch)
    torch.testing.assert_close(records['objectness'][0], before['objectness'][0])
    assert (records['objectness'][2] == before['objectness'][2] + 1).all()
    assert records['filled'].tolist() == before['filled'].tolist()
    records['objectness'][2] = before['objectness'][2]
    torch.testing.assert_close(model.loss(*batch), expected)


def test_cache_is_shared_by_trainings(lab, tmp_path, monkeypatch):
    lines = []
    printer = 'mmmlc.systems.kd_wsd.teacher_cache.print_log'
    monkeypatch.setattr(printer, lambda text, logger: lines.append(text))
    options = dict(cache=str(tmp_path / 'new/cache'), cache_maps=True)
    models = [MODELS.build(distiller(0)) for _ in range(2)]
    for model in models:
        lab.give(model, **options)
        model.loss(*lab.prepared(model))
    record = models[0]._teacher.cache._records.itemsize
    assert f'{IMAGES} images and their mirror images, {record:,} bytes each' in lines[0]
    assert Path(options['cache']).stat().st_size == 4096 + 2 * IMAGES * record
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['cache']
    calls = count_calls(models[1])
    models[1].loss(*lab.prepared(models[1]))
    assert not calls


def test_cache_refuses_what_it_was_not_made_for(lab, monkeypatch, tmp_path):
    def cached(batch: dict, bias: float = 0.0, **options) -> nn.Module:
        model = build(lab, 0, **options).eval()
        model._teacher.model.head.class_branch.bias.data += bias
        names = [sample.img_path for sample in batch['data_samples']]
        model.cache_teacher(tmp_path / 'cache', names, batch)
        return model

    model = cached(lab.batch())
    inputs, samples = lab.prepared(model)
    model.loss(inputs, samples)
    samples[1].set_field(samples[1].proposals * 0.9, 'proposals')
    with pytest.raises(ValueError, match='000001.png has other proposals.*no crops'):
        model.loss(inputs, samples)
    samples[1].set_field('other.png', 'img_path', field_type='metainfo')
    with pytest.raises(ValueError, match='other.png is not an image of'):
        model.loss(inputs, samples)
    with pytest.raises(ValueError, match='was made with iou=0.4, now it is 0.5'):
        cached(lab.batch(), nms_iou=0.5)
    with pytest.raises(ValueError, match=r'was made with input=\[64, 64\]'):
        cached(lab.batch(size=48))
    with pytest.raises(ValueError, match='was made with weights='):
        cached(lab.batch(), bias=1.0)
    (tmp_path / 'cache').write_bytes(b'something else\n')
    with pytest.raises(ValueError, match='is no teacher cache'):
        cached(lab.batch())
    (tmp_path / 'cache').unlink()
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage)
    with pytest.raises(ValueError, match='needs 0.000 GB more, the disk has 0.000 GB'):
        cached(lab.batch())
    assert not (tmp_path / 'cache').exists()


def test_cache_refuses_what_half_precision_cannot_hold(lab, tmp_path):
    model = build(lab, 1)
    batch = lab.batch()
    names = [sample.img_path for sample in batch['data_samples']]
    model.cache_teacher(tmp_path / 'cache', names, batch)
    assert isinstance(model._teacher.cache, TeacherCache)
    model._teacher.model.head.class_branch.bias.data += 1e6
    with pytest.raises(ValueError, match='class_logits is not finite as float16'):
        model.loss(*lab.prepared(model))
