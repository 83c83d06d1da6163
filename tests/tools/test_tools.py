"""The command-line tools, as a user calls them, on a small ToyScenes."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.optional import needs_gpu
from helpers.places import TOY_CONFIG as CONFIG
from helpers.tool_lab import call, data_options, free_port, make_toys
from PIL import Image

from mmmlc.engine import build_runner, load_config, load_weights
from mmmlc.engine.prepare import use_amp, use_amp_in_test
from mmmlc.evaluation.prediction_files import read_predictions

VAL_IMAGES = 25  # odd: two processes get unequal shares


@pytest.fixture(scope='module')
def toys(tmp_path_factory) -> Path:
    return make_toys(tmp_path_factory.mktemp('toys') / 'data', 48, VAL_IMAGES)


@pytest.fixture(scope='module')
def trained(toys, tmp_path_factory) -> Path:
    """Work directory of a training over one epoch."""
    work_dir = tmp_path_factory.mktemp('work')
    options = [*data_options(toys), 'train_cfg.max_epochs=1', 'param_scheduler.total_steps=2']
    call(
        sys.executable, 'tools/train.py', CONFIG, '--work-dir', work_dir, '--seed', 0,
        '--cfg-options', *options,
    )  # fmt: skip
    return work_dir


def test_training_writes_checkpoint_and_log(trained):
    checkpoint = torch.load(trained / 'epoch_1.pth', weights_only=False)
    assert checkpoint['meta']['epoch'] == 1
    assert len(checkpoint['meta']['dataset_meta']['classes']) == 20
    log = (next(trained.glob('*/vis_data/scalars.json'))).read_text()
    records = [json.loads(line) for line in log.splitlines()]
    assert any('loss' in r for r in records) and any('mAP' in r for r in records)


def test_resume_goes_on(toys, tmp_path):
    options = [*data_options(toys), 'train_cfg.max_epochs=2', 'param_scheduler.total_steps=2']
    train = (sys.executable, 'tools/train.py', CONFIG, '--work-dir', tmp_path, '--no-validate')
    keep = 'default_hooks.checkpoint.max_keep_ckpts=-1'
    call(*train, '--cfg-options', *options, keep)
    (tmp_path / 'epoch_2.pth').unlink()
    result = call(*train, '--resume', tmp_path / 'epoch_1.pth', '--cfg-options', *options, keep)
    assert 'Epoch(train) [2]' in result.stdout and 'Epoch(train) [1]' not in result.stdout
    assert torch.load(tmp_path / 'epoch_2.pth', weights_only=False)['meta']['epoch'] == 2


def test_evaluation_writes_results_and_pictures(trained, toys, tmp_path):
    checkpoint = next(trained.glob('epoch_*.pth'))
    call(
        sys.executable, 'tools/test.py', CONFIG, checkpoint, '--work-dir', tmp_path / 'work',
        '--out', tmp_path / 'out', '--show-dir', tmp_path / 'show', '--show-max', 3,
        '--cfg-options', *data_options(toys),
    )  # fmt: skip
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert 0 <= summary['mAP'] <= 100
    assert len(read_predictions(tmp_path / 'out').images) == VAL_IMAGES
    pictures = sorted((tmp_path / 'show').glob('*.jpg'))
    assert len(pictures) == 3
    assert np.asarray(Image.open(pictures[0])).std() > 10


def test_a_work_directory_is_enough(trained, tmp_path):
    """Its own config, with what was overridden, and its checkpoint; the config stays as it is."""
    (config,) = trained.glob('*.py')
    before = config.read_text()
    options = ('--cfg-options', 'test_dataloader.batch_size=7')
    call(sys.executable, 'tools/test.py', trained, '--out', tmp_path / 'out', *options)
    assert len(read_predictions(tmp_path / 'out').images) == VAL_IMAGES
    call(sys.executable, 'tools/test.py', trained, '--work-dir', trained, *options)
    assert config.read_text() == before and 'batch_size=7' not in before
    ours = [path.read_text() for path in trained.glob(f'*/{config.name}')]
    assert len(ours) == 2 and all('batch_size=7' in text for text in ours)
    with pytest.raises(AssertionError, match='test.py: .* needs a checkpoint beside it'):
        call(sys.executable, 'tools/test.py', CONFIG)


def dump_config(folder: Path, toys: Path, name: str) -> Path:
    """The toy config, which also writes every prediction to a file."""
    path = folder / f'{name}.py'
    loader = dict(dataset=dict(data_root=str(toys)), num_workers=0, persistent_workers=False)
    path.write_text(
        f"_base_ = '{CONFIG}'\n"
        f'test_dataloader = {loader!r}\n'
        "test_evaluator = [dict(type='mmmlc.MultiLabelMetric'),\n"
        f"    dict(type='mmengine.DumpResults', out_file_path='{folder / name}.pkl')]\n"
    )
    return path


def read_dump(path: Path) -> dict[str, np.ndarray]:
    with path.open('rb') as file:  # our own file
        samples = pickle.load(file)
    return {sample['img_path']: np.asarray(sample['pred_score']) for sample in samples}


def metrics_in(log: str) -> list[str]:
    line = [line for line in log.splitlines() if 'Epoch(test)' in line and ' mAP: ' in line][-1]
    return line.split(' mAP: ')[1].split('data_time')[0].split()


def test_two_processes_evaluate_as_one(trained, toys, tmp_path):
    checkpoint = next(trained.glob('epoch_*.pth'))
    one = call(
        sys.executable, 'tools/test.py', dump_config(tmp_path, toys, 'one'), checkpoint,
        '--work-dir', tmp_path / 'work1',
    )  # fmt: skip
    two = call(
        'bash', 'tools/dist_test.sh', dump_config(tmp_path, toys, 'two'), checkpoint, 2,
        '--work-dir', tmp_path / 'work2', PORT=str(free_port()), CUDA_VISIBLE_DEVICES='',
    )  # fmt: skip
    alone, together = read_dump(tmp_path / 'one.pkl'), read_dump(tmp_path / 'two.pkl')
    assert len(alone) == VAL_IMAGES and alone.keys() == together.keys()
    for path, scores in alone.items():
        np.testing.assert_allclose(together[path], scores, atol=1e-6, err_msg=path)
    assert metrics_in(two.stdout + two.stderr) == metrics_in(one.stdout + one.stderr)


def test_two_processes_share_the_batch(toys, tmp_path):
    options = [*data_options(toys), 'train_cfg.max_epochs=1', 'param_scheduler.total_steps=1']
    result = call(
        'bash', 'tools/dist_train.sh', CONFIG, 2, '--work-dir', tmp_path, '--no-validate',
        '--cfg-options', *options, PORT=str(free_port()), CUDA_VISIBLE_DEVICES='',
    )  # fmt: skip
    assert (tmp_path / 'epoch_1.pth').is_file()
    # 48 images in batches of 32 in total make 2 steps, with one process or two.
    assert 'Epoch(train) [1][2/2]' in result.stdout + result.stderr


def test_wrong_checkpoint_is_refused(toys, tmp_path):
    cfg = load_config(CONFIG, work_dir=tmp_path)
    cfg.test_dataloader.dataset.data_root = str(toys)
    runner = build_runner(cfg)
    with pytest.raises(FileNotFoundError, match='missing.pth: no such checkpoint'):
        load_weights(runner, tmp_path / 'missing.pth')
    state = runner.model.state_dict()
    state.pop('head.classifier.bias')
    torch.save(dict(state_dict=state, meta={}), tmp_path / 'partial.pth')
    with pytest.raises(ValueError, match='partial.pth does not fit the model'):
        load_weights(runner, tmp_path / 'partial.pth')


def test_other_classes_are_refused(toys, tmp_path):
    cfg = load_config(CONFIG, work_dir=tmp_path)
    cfg.test_dataloader.dataset.update(data_root=str(toys), class_order='name')
    runner = build_runner(cfg)
    classes = [f'class {i}' for i in range(20)]
    meta = dict(dataset_meta=dict(classes=classes))
    torch.save(dict(state_dict=runner.model.state_dict(), meta=meta), tmp_path / 'other.pth')
    load_weights(runner, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match="first difference is at index 0: 'class 0'"):
        runner.test()


def test_other_classes_in_validation_are_refused(toys, tmp_path):
    cfg = load_config(CONFIG, work_dir=tmp_path)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[key].dataset.update(data_root=str(toys), indices=4)
        cfg[key].update(num_workers=0, persistent_workers=False)
    cfg.val_dataloader.dataset.class_order = 'name'
    with pytest.raises(ValueError, match="0: 'bus' in training, 'airboat' in val_dataloader"):
        build_runner(cfg).train()


def test_head_of_another_size_is_refused(toys, tmp_path):
    cfg = load_config(CONFIG, dict(model=dict(head=dict(num_classes=7))), tmp_path)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[key].dataset.data_root = str(toys)
    message = 'model.head.num_classes is 7, {}_dataloader.dataset has 20 classes'
    with pytest.raises(ValueError, match=message.format('test')):
        build_runner(cfg).test()
    with pytest.raises(ValueError, match=message.format('train')):
        build_runner(cfg).train()


def test_missing_config():
    with pytest.raises(FileNotFoundError, match='configs/none.py: no such config file'):
        load_config('configs/none.py')


def test_work_dir_is_named_after_the_config():
    assert load_config(CONFIG).work_dir == 'work_dirs/plain_toy'


@pytest.mark.skipif(torch.cuda.is_available(), reason='a GPU can do mixed precision')
@pytest.mark.parametrize('switch', [use_amp, use_amp_in_test])
def test_mixed_precision_needs_a_gpu(switch):
    with pytest.raises(ValueError, match='--amp: torch sees no GPU'):
        switch(load_config(CONFIG))


@needs_gpu
def test_mixed_precision_trains_on_a_gpu(toys, tmp_path):
    options = [*data_options(toys), 'train_cfg.max_epochs=1', 'param_scheduler.total_steps=1']
    call(
        sys.executable, 'tools/train.py', CONFIG, '--amp', '--work-dir', tmp_path,
        '--cfg-options', *options,
    )  # fmt: skip
    state = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)['state_dict']
    assert all(v.isfinite().all() for v in state.values())
