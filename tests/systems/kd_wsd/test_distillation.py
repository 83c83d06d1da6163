"""The hook that brings the teacher and exports the student (mmmlc/hooks/distillation.py)."""

from __future__ import annotations

import copy
import os
import runpy
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from distillation_lab import CLASSES, PREDICTIONS, STUDENT, Lab, changed, distiller, run
from helpers.places import ROOT
from mmengine.runner import Runner

from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.launch import build_runner, load_weights
from mmmlc.registry import MODELS
from mmmlc.systems.kd_wsd.teacher_hook import export_students


@pytest.fixture(scope='module')
def lab(tmp_path_factory) -> Lab:
    return Lab(tmp_path_factory.mktemp('lab'))


@pytest.fixture(scope='module')
def trained(lab) -> list[tuple[Runner, dict[str, torch.Tensor]]]:
    """Stages 1 and 2, each from scratch, two epochs."""
    return [run(lab.config(f'stage{i + 1}', distiller(i), epochs=2)) for i in range(2)]


def plain_config(lab: Lab, dump: Path) -> Path:
    """The student's own config, which also writes its predictions."""
    cfg = lab.config('plain', STUDENT)
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
        cfg.pop(key)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.custom_hooks = [dict(type='mmmlc.VocabularyHook')]
    results = dict(type='mmengine.DumpResults', out_file_path=str(dump))
    cfg.test_evaluator = [cfg.test_evaluator, results]
    cfg.dump(lab.folder / 'plain.py')
    return lab.folder / 'plain.py'


def test_exported_student_is_the_plain_classifier(lab, trained, monkeypatch):
    model = trained[1][0].model.eval()
    path = lab.folder / 'stage2/student_epoch_2.pth'
    checkpoint = load_checkpoint_file(path)
    assert set(checkpoint) == {'meta', 'state_dict'} and 'cfg' not in checkpoint['meta']
    assert tuple(checkpoint['meta']['dataset_meta']['classes']) == tuple(CLASSES)
    student = MODELS.build(copy.deepcopy(STUDENT))
    assert list(checkpoint['state_dict']) == list(student.state_dict())
    student.load_state_dict(checkpoint['state_dict'])
    inputs, samples = lab.prepared(model, size=32)
    expected = [s.pred_score for s in student.eval().predict(inputs, copy.deepcopy(samples))]
    found = [s.pred_score for s in model(inputs, copy.deepcopy(samples), 'predict')]
    assert all(map(torch.equal, expected, found))
    assert torch.equal(student(inputs), model(inputs))

    dump = lab.folder / 'dump.pkl'
    monkeypatch.setattr(sys, 'argv', ['test.py', str(plain_config(lab, dump)), str(path)])
    runpy.run_path(str(ROOT / 'tools/test.py'), run_name='__main__')
    results = np.load(dump, allow_pickle=True)  # our own file
    torch.testing.assert_close(torch.stack([r['pred_score'] for r in results]), torch.stack(found))


def test_stage_2_starts_from_stage_1(lab, trained):
    path = lab.folder / 'stage1/student_epoch_2.pth'
    student = STUDENT | dict(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    model = MODELS.build(distiller(student=student))
    model.init_weights()
    assert not changed(load_checkpoint_file(path)['state_dict'], model.student.state_dict())


def test_a_test_needs_no_teacher(lab, trained):
    runner = build_runner(lab.config('test', distiller(), checkpoint='gone.pth'))
    load_weights(runner, lab.folder / 'stage2/epoch_2.pth')
    validated = trained[1][0].message_hub.get_scalar('val/mAP').current()
    assert runner.test()['mAP'] == pytest.approx(validated)


def test_resumed_training_is_the_same(lab, trained):
    """And exports what a kill between checkpoint and export has left."""
    work = lab.folder / 'resumed'
    work.mkdir()
    shutil.copy(lab.folder / 'stage2/epoch_1.pth', work)
    cfg = lab.config('resumed', distiller(), epochs=2)
    del cfg.default_hooks.checkpoint.save_best  # it would remove the other folder's
    cfg.resume, cfg.load_from = True, str(work / 'epoch_1.pth')
    runner = build_runner(cfg)
    runner.train()
    torch.testing.assert_close(runner.model.state_dict(), trained[1][0].model.state_dict())
    names = {path.name for path in work.glob('*.pth')}
    assert names == {f'{kind}epoch_{i}.pth' for kind in ('', 'student_') for i in (1, 2)}


def test_exports_follow_the_checkpoints(lab, trained, tmp_path):
    """They hold the same weights, and go when the checkpoint goes."""
    work = lab.folder / 'stage2'
    names = {path.name for path in work.glob('*.pth')}
    saved = {name for name in names if not name.startswith('student_')}
    assert {'epoch_1.pth', 'epoch_2.pth'} < saved
    assert len(saved) == 3 and names == saved | {f'student_{name}' for name in saved}
    for name in saved:
        whole = load_checkpoint_file(work / name)['state_dict']
        student = load_checkpoint_file(work / f'student_{name}')['state_dict']
        assert all(torch.equal(value, whole[f'student.{key}']) for key, value in student.items())

    shutil.copy(work / 'epoch_1.pth', tmp_path)
    for other in ('student_epoch_9.pth', 'student_mine.pth', 'mine.pth'):
        (tmp_path / other).write_bytes(b'')
    export_students(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {'epoch_1.pth', 'student_epoch_1.pth', 'student_mine.pth', 'mine.pth'}
    torch.save(dict(meta={}, state_dict=dict(weight=torch.ones(1))), tmp_path / 'epoch_2.pth')
    with pytest.raises(ValueError, match='epoch_2.pth holds no student'):
        export_students(tmp_path)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c['state_dict'].pop('head.class_branch.bias'), 'teacher.pth does not fit'),
        (
            lambda c: c['meta']['dataset_meta'].update(classes=CLASSES[::-1]),
            "first difference is at index 0: 'class 3' and 'class 0'",
        ),
    ],
)
def test_wrong_checkpoint_of_the_teacher(lab, tmp_path, change, message):
    checkpoint = torch.load(lab.folder / 'teacher.pth')
    change(checkpoint)
    torch.save(checkpoint, tmp_path / 'teacher.pth')
    with pytest.raises(ValueError, match=message):
        lab.give(MODELS.build(distiller()), checkpoint=str(tmp_path / 'teacher.pth'))


def test_more_that_does_not_fit(lab):
    model = MODELS.build(distiller())
    with pytest.raises(RuntimeError, match=r'no teacher: custom_hooks needs mmmlc.TeacherHook'):
        model.loss(torch.zeros(1, 3, 8, 8), [])
    with pytest.raises(FileNotFoundError, match="checkpoint='none.pth', no such file"):
        lab.give(model, checkpoint='none.pth')
    with pytest.raises(FileNotFoundError, match='none.py: no such config'):
        lab.give(model, config='none.py')
    options = {'model.data_preprocessor.to_rgb': False}
    with pytest.raises(ValueError, match='to_rgb=True in the student and False in the teacher'):
        lab.give(model, options=options)
    with pytest.raises(ValueError, match='cache_maps=True needs cache'):
        lab.give(model, cache_maps=True)
    with pytest.raises(TypeError, match='the model is ImageClassifier, not a Distiller'):
        lab.give(MODELS.build(copy.deepcopy(STUDENT)))
    with pytest.raises(ValueError, match='num_proposals=7'):
        lab.give(MODELS.build(distiller(losses=dict(p=PREDICTIONS | dict(num_proposals=7)))))
    with pytest.raises(TypeError, match=r'the teacher is a ImageClassifier without regions\(\)'):
        model.set_teacher(MODELS.build(copy.deepcopy(STUDENT)))
    teacher = copy.deepcopy(lab.teacher)
    teacher.head.num_classes = 7
    with pytest.raises(ValueError, match='the student has 4 classes, the teacher 7'):
        model.set_teacher(teacher)


@pytest.mark.slow
def test_two_processes_train_and_export(lab):
    cfg = lab.config('two', distiller())
    cfg.train_dataloader.batch_sampler = dict(type='mmmlc.TotalBatchSampler')
    cfg.custom_hooks[-1].cache = str(lab.folder / 'two/cache')
    cfg.dump(lab.folder / 'two.py')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = dict(
        PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
        PYTHONPATH=str(ROOT),
        PORT=str(port),
        CUDA_VISIBLE_DEVICES='',
    )
    result = subprocess.run(
        ['bash', 'tools/dist_train.sh', str(lab.folder / 'two.py'), '2'],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    whole = load_checkpoint_file(lab.folder / 'two/epoch_1.pth')['state_dict']
    assert whole['losses.predictions.log_class_temperature'].abs().sum() > 0
    exported = load_checkpoint_file(lab.folder / 'two/student_epoch_1.pth')['state_dict']
    assert all(torch.equal(value, whole[f'student.{key}']) for key, value in exported.items())
