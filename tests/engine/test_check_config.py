"""Keys that nothing reads and wrong arguments of configs, and all configs that are right."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import HOOKS

from mmmlc.engine.check_config import KNOWN, check_config
from mmmlc.engine.launch import load_config
from mmmlc.engine.signatures import fits, parameters
from mmmlc.models import TIMMFeatureMap
from mmmlc.systems.mcar import MCAR

MCAR_TOY = 'configs/mcar/mcar_r18_toy.py'


def _changed(root, text: str, tmp_path, base: str = MCAR_TOY) -> Config:
    path = tmp_path / 'changed.py'
    path.write_text(f'_base_ = [{str(root / base)!r}]\n{text}\n')
    return load_config(path)


def test_our_configs_are_right(root):
    paths = sorted(root.glob('configs/[!_]*/*.py'))
    assert len(paths) > 100
    for path in paths:
        check_config(load_config(path))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('train_dataloder = dict(batch_size=3)', r"train_dataloder: nothing .*'train_dataloader'"),
        ('optim_wraper = dict(clip_grad=None)', "optim_wraper: .*'optim_wrapper'"),
        ('default_hook = dict()', "default_hook: .*'default_hooks'"),
        ("custom_hook = [dict(type='mmengine.EMAHook')]", "custom_hook: .*'custom_hooks'"),
        ("load_form = 'a.pth'", "load_form: .*did you mean 'load_from'"),
        ('param_schedular = []', "param_schedular: .*'param_scheduler'"),
        ('val_evalutor = dict()', "val_evalutor: .*'val_evaluator'"),
        ('randomnes = dict(seed=1)', "randomnes: .*'randomness'"),
        ('my_hooks = dict(a=1)', 'my_hooks: nothing reads it at the top of a config'),
        ("optimizer = dict(type='LARS')", r'optimizer: .*optim_wrapper=dict\(optimizer='),
        ("resume_from = 'epoch_3.pth'", 'resume_from: .*expected resume=True and load_from'),
        ('workflow = [("train", 1)]', 'workflow: .*expected train_cfg'),
        ("default_hooks = dict(checkpoint=dict(save_bset='mAP'))", 'save_bset'),
        ("resume_from = dict(a='b')", 'resume_from: .*expected resume=True and load_from'),
        ('train_dataloader = dict(batchsize=3)', r"train_dataloader.batchsize: .*'batch_size'"),
        ('val_dataloader = dict(num_worker=3)', r"val_dataloader.num_worker: .*'num_workers'"),
        ('train_cfg = dict(max_epoch=3)', "train_cfg.max_epoch: EpochBased.*'max_epochs'"),
        ('test_cfg = dict(fp61=True)', "test_cfg.fp61: TestLoop takes no such .*'fp16'"),
        ('optim_wrapper = dict(clip_grads=None)', "optim_wrapper.clip_grads: .*'clip_grad'"),
        ('optim_wrapper = dict(optimizer=dict(lrr=1))', "optimizer.lrr: .*'lr'"),
        ('default_hooks = dict(chekpoint=dict(interval=2))', "chekpoint: .*'checkpoint'"),
        (
            'default_hooks = dict(logger=dict(intervall=2))',
            "logger.intervall: .*'interval'",
        ),
        ('randomness = dict(sed=1)', "randomness.sed: nothing reads it, did you mean 'seed'"),
        ('env_cfg = dict(cudnn=True)', "env_cfg.cudnn: .*'cudnn_benchmark'"),
        ('auto_scale_lr = dict(base_batch=1)', "auto_scale_lr.base_batch: .*'base_batch_size'"),
        ('log_processor = dict(windowsize=1)', "log_processor.windowsize: .*'window_size'"),
        ('model = dict(tua=0.3)', "model.tua: MCAR takes no such argument, did you mean 'tau'"),
        ("model = dict(tau='half')", r"model.tau is 'half', expected float \(MCAR\)"),
        ('model = dict(topn=4.0)', r'model.topn is 4.0, expected int \(MCAR\)'),
        ('model = dict(topn=True)', r'model.topn is True, expected int'),
        ('model = dict(topn=None)', r'model.topn is None, expected int'),
        ("model = dict(tau=float('nan'))", r'model.tau is nan, expected float'),
        ('model = dict(head=dict(poolings=1))', "model.head.poolings: .*'pooling'"),
        (
            "model = dict(head=dict(num_classes='3'))",
            r"model.head.num_classes is '3', expected int",
        ),
        (
            "model = dict(head=dict(loss=dict(type='mmmlc.AsymmetricLoss', gama_neg=1)))",
            "model.head.loss.gama_neg: .*'gamma_neg'",
        ),
        (
            "loss = dict(type='mmmlc.MultiLabelBCELoss', pos_weight=[1, 'x'])\n"
            'model = dict(head=dict(loss=loss))\ndel loss',
            r"model.head.loss.pos_weight is \[1, 'x'\], expected Sequence\[float\] \| None",
        ),
        (
            "model = dict(head=dict(type='mmmlc.MultiLabelConvHaed'))",
            "model.head.type is 'mmmlc.MultiLabelConvHaed', .*'mmmlc.MultiLabelConvHead'",
        ),
        ('model = dict(backbone=dict(dept=18))', "model.backbone.dept: ResNet takes .*'depth'"),
        ('train_dataloader = dict(dataset=dict(with_box=1))', "dataset.with_box: .*'with_boxes'"),
        (
            'train_dataloader = dict(dataset=dict(keep_unlabelled=1))',
            'keep_unlabelled is 1, expected bool',
        ),
        ("val_evaluator = dict(topk='3')", r"val_evaluator.*topk is '3', expected int"),
        (
            "custom_hooks = [dict(type='mmmlc.ClassWeightHook', powr=1)]",
            r"custom_hooks.0.powr: .*'power'",
        ),
        (
            'train_dataloader = dict(dataset=dict(pipeline=['
            "dict(type='mmmlc.LoadImage', to_float=1)]))",
            r"dataset.pipeline.0.to_float: .*'to_float32'",
        ),
        (
            "train_dataloader = dict(dataset=dict(_delete_=True, type='mmengine.RepeatDataset', "
            'times=2,'
            "dataset=dict(type='mmmlc.OwnLabels', ann_file='a.csv', sperator=',', pipeline=["
            "dict(type='mmmlc.LoadImage', colortype=1)])))",
            r"dataset.dataset.sperator: .*'separator'(.|\n)*dataset.dataset.pipeline.0.colortype",
        ),
    ],
)
def test_wrong_keys_and_values(root, tmp_path, text, message):
    cfg = _changed(root, text, tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        check_config(cfg)
    assert 'changed.py:' in str(caught.value)


@pytest.mark.parametrize(
    'text',
    [
        "max_epochs = 3\nlr = 0.1\nclasses = ['a']\nmodels = 'x'.upper() and 3\ndel models",
        "my_norm = dict(type='BN', requires_grad=True)\nbackbone = dict(type='mmpretrain.ResNet')",
        "norm_cfg = dict(type='BN')\nmodel = dict(backbone=dict(norm_cfg=norm_cfg))",
        "train_pipeline2 = [dict(type='mmmlc.LoadImage')]",
        "test_pipeline = [dict(type='mmmlc.LoadImage', to_float32=True)]",
        'base_cfg = dict(num_stages=3)\nmodel = dict(backbone=dict(base_cfg))',
        "optimizer = dict(type='mmengine.SGD', lr=1)\noptim_wrapper = dict(optimizer=optimizer)",
        'train_cfg = dict(_delete_=True, by_epoch=False, max_iters=10)',
        "custom_hooks = [dict(type='mmengine.EMAHook', priority=49, momentum=1e-3)]",
        'model = dict(head=dict(num_classes=None, threshold=1))',
        "model = dict(backbone=dict(_delete_=True, type='mmmlc.TIMMFeatureMap',"
        " model_name='resnet18', features_only=False))",
        "model = dict(type='mmmlc.TenViews', classifier='mmmlc.MCAR', mode='images')",
        'auto_scale_lr = dict(base_batch_size=8, enable=True)\nsync_bn = None',
    ],
)
def test_variables_and_rare_keys_are_legal(root, tmp_path, text):
    check_config(_changed(root, text, tmp_path))


def test_all_mistakes_are_named_at_once(root, tmp_path):
    text = '\n'.join(f'train_cfg{i} = dict(x={i + 1000})' for i in range(12)) + '\nlaod_from = 1'
    with pytest.raises(ValueError, match='and 3 more') as caught:
        check_config(_changed(root, text, tmp_path))
    assert len(str(caught.value).split('\n')) == 12


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'data_root': 'x'},
            r"nothing reads 'data_root' .*train_dataloader.dataset.data_root, val_",
        ),
        ({'ann_file': 'x'}, r'it is at train_dataloader.dataset.ann_file'),
        ({'num_classes': 3}, r'it is at model.head.num_classes'),
        ({'batch_size': 3}, r'it is at train_dataloader.batch_size'),
        ({'optim_wraper.clip_grad': 3}, "did you mean 'optim_wrapper'"),
        ({'train_pipeline.0.type': 'x'}, "nothing reads 'train_pipeline' at the top"),
    ],
)
def test_overrides_that_nothing_reads(root, options, message):
    with pytest.raises(ValueError, match=f'--cfg-options {next(iter(options))}: .*{message}'):
        load_config(root / MCAR_TOY, options)


def test_overrides_that_are_read(root):
    options = {'model.head.num_classes': 3, 'load_from': 'a', 'sync_bn': 'torch', 'compile': True}
    assert load_config(root / MCAR_TOY, options).load_from == 'a'


def test_misspelt_overrides_are_found_below_the_top(root):
    cfg = load_config(
        root / MCAR_TOY, {'model.hed.num_classes': 3, 'train_dataloader.batchsize': 1}
    )
    with pytest.raises(ValueError, match=r"model.hed: .*'head'(.|\n)*batchsize: .*'batch_size'"):
        check_config(cfg)


class _Closed:
    def __init__(self, a: int = 1, **kwargs):
        self.a = a


@HOOKS.register_module(name='ValuesTestHook')
class _Hook(_Closed):
    priority = 50


def test_names_are_let_through_where_it_is_not_known_who_reads_them(root, tmp_path):
    assert parameters(_Hook) is None and parameters(TIMMFeatureMap) is None
    hook = "custom_hooks = [dict(type='ValuesTestHook', anything=1, a='x')]"
    check_config(_changed(root, hook, tmp_path))


def test_parameters_of_parents():
    from mmmlc.datasets import OwnLabels

    names = set(parameters(OwnLabels))
    assert {'separator', 'max_refetch', 'data_root', 'pipeline', 'test_mode'} <= names
    assert parameters(MCAR)['tau'] == ('float', float)
    assert 'model' in KNOWN and 'self' not in KNOWN and 'cfg' in KNOWN


@pytest.mark.parametrize(
    ('value', 'hint', 'right'),
    [
        (1, float, True),
        (True, float, False),
        (float('inf'), float, True),
        (float('nan'), float, False),
        ('1', float, False),
        (1.0, int, False),
        (0, bool, False),
        (None, int | None, True),
        ('a', int | None, False),
        ('a', str | Sequence[int], True),
        ([1], Sequence[int], True),
        (['a'], Sequence[int], False),
        ('ab', Sequence[str], False),
        ([1, 2], tuple[int, int], True),
        ([1], tuple[int, int], False),
        ((1, 2, 3), tuple[int, ...], True),
        ({}, dict, True),
        ([], dict, False),
        (object(), torch.Tensor, True),
        ({'a': 1}, dict[str, dict], True),
    ],
)
def test_fits(value, hint, right):
    assert fits(value, hint) is right
