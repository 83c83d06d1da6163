"""Data, teacher and configs of small distillations."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from types import SimpleNamespace

import torch
from helpers.small_data import write_coco, write_proposals
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmmlc.engine.launch import build_runner
from mmmlc.registry import HOOKS, MODELS

IMAGES, R, T, C = 6, 5, 4, 4
CLASSES = [f'class {i}' for i in range(C)]
PREPROCESSOR = dict(
    type='mmpretrain.ClsDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True
)


def backbone(width: int) -> dict:
    return dict(
        type='mmpretrain.ResNet',
        depth=18,
        stem_channels=4,
        base_channels=width,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=(1,),
        zero_init_residual=False,  # it would leave half of the weights without gradient
    )


STUDENT = dict(
    type='mmpretrain.ImageClassifier',
    backbone=backbone(4),
    head=dict(type='mmmlc.MultiLabelConvHead', num_classes=C, in_channels=8),
    data_preprocessor=PREPROCESSOR,
)
TEACHER = dict(
    type='mmmlc.WSDDN',
    backbone=backbone(6),
    head=dict(type='mmmlc.WSDDNHead', num_classes=C, in_channels=12, width=None),
    data_preprocessor=PREPROCESSOR,
)
FEATURES = dict(
    type='mmmlc.RoIFeatureLoss', student_channels=8, teacher_channels=12, pool_size=2, weight=2.0
)
PREDICTIONS = dict(type='mmmlc.ClassAwareLoss', num_classes=C, num_proposals=R)
STAGES = [
    dict(losses=dict(features=FEATURES), update='backbone', label_weight=0.0),
    dict(losses=dict(predictions=PREDICTIONS)),
]


def distiller(stage: int = 1, **options) -> dict:
    model = dict(type='mmmlc.Distiller', student=STUDENT, student_size=32, top=T)
    return copy.deepcopy(model | STAGES[stage] | options)


class Lab:
    """A folder with data, a teacher's config and checkpoint, and configs that use them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.dataset = dict(
            type='mmmlc.CocoMultiLabel',
            data_root=str(folder / 'data'),
            ann_file='annotations.json',
            data_prefix=dict(img_path='images'),
        )
        write_coco(folder / 'data', Config(self.dataset), CLASSES, IMAGES)
        names = [f'{i:06d}.png' for i in range(IMAGES)]
        proposals = write_proposals(folder / 'proposals', 'images', names)
        self.proposals = dict(type='mmmlc.LoadProposals', file=str(proposals), topk=R)
        self.teacher = MODELS.build(copy.deepcopy(TEACHER))
        for layer in (self.teacher.head.class_branch, self.teacher.head.detection_branch):
            nn.init.normal_(layer.weight)
        meta = dict(dataset_meta=dict(classes=CLASSES))
        torch.save(dict(state_dict=self.teacher.state_dict(), meta=meta), folder / 'teacher.pth')
        Config(dict(model=TEACHER)).dump(folder / 'teacher.py')
        self.hook = dict(
            type='mmmlc.TeacherHook',
            config=str(folder / 'teacher.py'),
            checkpoint=str(folder / 'teacher.pth'),
        )

    def loader(self, steps: list[dict], shuffle: bool = False, **options) -> dict:
        pipeline = [dict(type='mmmlc.LoadImage'), *steps, dict(type='mmmlc.PackInputs')]
        return dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='mmengine.DefaultSampler', shuffle=shuffle),
            dataset=self.dataset | dict(pipeline=pipeline) | options,
        )

    def config(self, work: str, model: dict, epochs: int = 1, **hook) -> Config:
        """A training without chance, validated on the training images."""
        resize = dict(type='mmpretrain.Resize', scale=(32, 32))
        large = dict(type='mmpretrain.Resize', scale=(64, 64))
        test = self.loader([resize], test_mode=True)
        return Config(
            dict(
                default_scope='mmpretrain',
                model=model,
                train_dataloader=self.loader([self.proposals, large], shuffle=True),
                val_dataloader=test,
                test_dataloader=test,
                val_evaluator=dict(type='mmmlc.MultiLabelMetric'),
                test_evaluator=dict(type='mmmlc.MultiLabelMetric'),
                optim_wrapper=dict(optimizer=dict(type='mmengine.SGD', lr=0.05, momentum=0.9)),
                train_cfg=dict(by_epoch=True, max_epochs=epochs),
                val_cfg=dict(),
                test_cfg=dict(),
                default_hooks=dict(
                    checkpoint=dict(type='mmengine.CheckpointHook', interval=1, save_best='mAP')
                ),
                custom_hooks=[dict(type='mmmlc.VocabularyHook'), self.hook | hook],
                work_dir=str(self.folder / work),
                launcher='none',
                randomness=dict(seed=0),
                experiment_name=work,
            ),
            format_python_code=False,  # which takes longer than the training
        )

    def give(self, model: nn.Module, **hook) -> None:
        """What the hook does before a training."""
        runner = SimpleNamespace(model=model, train_dataloader=self.train_loader, hooks=[])
        HOOKS.build(self.hook | hook).before_train(runner)

    @functools.cached_property
    def train_loader(self) -> DataLoader:
        return Runner.build_dataloader(self.config('none', {}).train_dataloader)

    def batch(self, size: int = 64, flip: float = 0.0) -> dict:
        """All images, as a pipeline gives them."""
        return copy.deepcopy(self._batch(size, flip))

    @functools.cache  # noqa: B019 (lives as long as the tests)
    def _batch(self, size: int, flip: float) -> dict:
        steps = [
            self.proposals,
            dict(type='mmpretrain.Resize', scale=(size, size)),
            dict(type='mmmlc.RandomFlip', prob=flip),
        ]
        dataset = DATASETS.build(self.loader(steps)['dataset'])
        return pseudo_collate([dataset[i] for i in range(IMAGES)])

    def prepared(self, model: nn.Module, **options) -> tuple[torch.Tensor, list]:
        data = model.data_preprocessor(self.batch(**options), False)
        return data['inputs'], data['data_samples']


def build(lab: Lab, stage: int = 1, **options) -> nn.Module:
    model = MODELS.build(distiller(stage, **options))
    model.init_weights()
    model.set_teacher(copy.deepcopy(lab.teacher))
    return model


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def changed(before: dict, after: dict) -> set[str]:
    return {key for key in before if not torch.equal(before[key], after[key])}


def run(cfg: Config) -> tuple[Runner, dict[str, torch.Tensor]]:
    """Train; the runner, and the state before."""
    runner = build_runner(cfg)
    runner.model.init_weights()
    before = state(runner.model)
    runner.train()
    return runner, before
