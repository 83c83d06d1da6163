"""One training step and one test of a config, small and without chance, in one of n processes.

What a run finds is written to a file, so that runs of one and of several processes can be compared.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from torch import nn

from mmmlc.engine import RunOptions, build_runner, load_config
from mmmlc.engine.prepare import parts_of, without_pretrained
from mmmlc.proposals.store import ImageProposals, encode, write_store
from mmmlc.registry import MODELS
from mmmlc.toy_scenes.shapes import CLASSES

from .places import ROOT

IMAGES, TEST_IMAGES, BOXES = 12, 5, 12
CHANCE = ('Random', 'Rand', 'Cutout')
PARTS = 6


@HOOKS.register_module()
class OneStep(Hook):
    """Norms in evaluation mode, no dropout, the same start for all; keeps gradients and weights.

    Args:
        start: File of the weights to start from; written where there is none.
        result: File for ``gradients`` and ``weights`` by name.
    """

    priority = 'LOWEST'

    def __init__(self, start: str, result: str):
        self.start, self.result = Path(start), result

    def before_train_iter(self, runner, *args, **kwargs) -> None:
        model = _inner(runner.model)
        if not self.start.exists():
            torch.save(model.state_dict(), self.start)
        model.load_state_dict(torch.load(self.start))
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            if isinstance(module, nn.MultiheadAttention):  # its own has no module
                module.dropout = 0.0
        optimizer = runner.optim_wrapper.optimizer
        optimizer.register_step_pre_hook(lambda *_: self._keep_gradients(model))

    def _keep_gradients(self, model: nn.Module) -> None:
        named = model.named_parameters()
        self.gradients = {n: p.grad.clone() for n, p in named if p.grad is not None}

    def after_train_iter(self, runner, *args, **kwargs) -> None:
        state = _inner(runner.model).state_dict()
        weights = {name: value.clone() for name, value in state.items()}
        torch.save(dict(gradients=self.gradients, weights=weights), self.result)


def _inner(model: nn.Module) -> nn.Module:
    return model.module if is_model_wrapper(model) else model


def write_proposals(data: Path, split: str, names: list[str]) -> None:
    """A file with random boxes for images of 96 x 96."""
    rng = np.random.default_rng(0)
    images = [ImageProposals(name, 96, 96, BOXES) for name in names]
    boxes = []
    for _ in names:
        corner = rng.uniform(0, 0.6, (BOXES, 2))
        size = rng.uniform(0.2, 0.4, (BOXES, 2))
        boxes.append(encode(np.concatenate([corner, corner + size], 1), np.arange(float(BOXES))))
    write_store(data / f'proposals_{split}.prop', split, images, boxes, {})


def small_config(name: str, folder: Path, processes: int, rank: int = 0) -> Config:
    """A config of ``configs``, on the data in ``folder``, for one step over all its images.

    Args:
        name: Of the file, below ``configs``.
        folder: With ``data`` of ``tools/make_toy_scenes.py``; start and results go there.
        processes: How many share the images.
        rank: Of this one.
    """
    toy = Config.fromfile(ROOT / 'configs/_base_/datasets/toy_scenes_bs32.py')
    cfg = load_config(ROOT / 'configs' / name, work_dir=folder / f'work_{processes}')
    stem = Path(name).stem
    # It takes longer than the training, as does packing the data.
    object.__setattr__(cfg, '_format_python_code', False)
    cfg.launcher = 'none' if processes == 1 else 'pytorch'
    cfg.randomness = dict(seed=0)
    cfg.load_from = None
    without_pretrained(cfg.model)
    for part in parts_of(cfg.model):
        if 'num_classes' in part:
            part['num_classes'] = len(CLASSES)
        if part.get('type') == 'mmpretrain.ResNet':
            part['zero_init_residual'] = False  # half of the weights would have no gradient
        if 'scales' in part and 'Scale' in str(part.get('type')):
            part['scales'] = part['scales'][:1]
    for key, split in (('train', 'train'), ('test', 'val')):
        loader = cfg[f'{key}_dataloader']
        loader.update(num_workers=0, persistent_workers=False, batch_size=IMAGES)
        loader.dataset.update(toy[f'{split}_dataloader'].dataset | dict(
            pipeline=_without_chance(loader.dataset.pipeline, folder),
            data_root=str(folder / 'data'), serialize_data=False,
        ))  # fmt: skip
    cfg.train_dataloader.batch_sampler = dict(type='mmmlc.TotalBatchSampler')
    cfg.test_dataloader.batch_size = 2
    evaluators = cfg.val_evaluator or cfg.test_evaluator
    evaluators = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]
    files = dict(type='mmmlc.VOCServerFiles', out_dir=str(folder / f'voc_{processes}_{rank}'))
    cfg.test_evaluator = [*evaluators, files]
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = cfg.param_scheduler = None
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
    cfg.default_hooks.checkpoint = None
    _suit_system(cfg, folder, processes)
    step = dict(
        type='OneStep',
        start=str(folder / f'{stem}_start.pth'),
        result=str(folder / f'{stem}_{processes}_{rank}.pth'),
    )
    cfg.custom_hooks = [*cfg.custom_hooks, step]
    return cfg


def _without_chance(pipeline: list[dict], folder: Path) -> list[dict]:
    steps = [s for s in pipeline if not s.type.split('.')[-1].startswith(CHANCE)]
    for step in steps:
        if step.type == 'mmmlc.LoadProposals':
            step.file = str(folder / 'data' / Path(step.file).name)
    return steps


def _suit_system(cfg: Config, folder: Path, processes: int) -> None:
    for hook in cfg.custom_hooks:
        if hook.type == 'mmmlc.TeacherHook':
            hook.checkpoint = str(folder / 'teacher.pth')
        if hook.type == 'mmmlc.PartMiningHook':
            hook.update(clusters=(PARTS, PARTS), min_size=1, pictures=False, classifier_steps=2)
    if cfg.model.get('head', {}).get('type') == 'mmmlc.MsDPDHead':
        # Each process looks for the best locations of a detector among its own images.
        cfg.model.head.update(num_parts=(PARTS, PARTS), j3_weight=0.0)


def write_teacher(folder: Path) -> None:
    """The checkpoint of KD-WSD's teacher."""
    cfg = load_config(ROOT / 'configs/kd_wsd/teacher_r18_toy.py')
    without_pretrained(cfg.model)
    torch.manual_seed(0)
    teacher = MODELS.build(cfg.model)
    teacher.init_weights()
    meta = dict(dataset_meta=dict(classes=[c.name for c in CLASSES]))
    torch.save(dict(state_dict=teacher.state_dict(), meta=meta), folder / 'teacher.pth')


def run_all(names: list[str], folder: Path, processes: int, rank: int = 0) -> None:
    """Train one step and test each config; ``<config>_<processes>_<rank>.pth`` holds the results.

    The weights that are tested are those of the run with one process, which comes first.
    """
    torch.set_num_threads(1)
    with _fixed_sampling(), contextlib.chdir(ROOT):
        for name in names:
            cfg = small_config(name, folder, processes, rank)
            result = Path(cfg.custom_hooks[-1].result)
            runner = build_runner(cfg, options=RunOptions())
            runner.train()
            alone = torch.load(folder / f'{Path(name).stem}_1_0.pth', weights_only=False)
            _inner(runner.model).load_state_dict(alone['weights'])
            metrics = runner.test()
            torch.save(torch.load(result) | dict(metrics=metrics), result)


@contextlib.contextmanager
def _fixed_sampling():
    """mmdet's sampler takes the first of its candidates instead of random ones."""
    try:
        from mmdet.models.task_modules.samplers import RandomSampler
    except ImportError:  # those who need it are skipped
        yield
        return
    with mock.patch.object(RandomSampler, 'random_choice', lambda self, rows, n: rows[:n]):
        yield


def in_process(rank: int, names: list[str], folder: str, processes: int) -> None:
    """:func:`run_all` as one of several processes, for ``torch.multiprocessing.spawn``."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes))
    store = f'file://{folder}/store_{processes}'
    torch.distributed.init_process_group('gloo', store, rank=rank, world_size=processes)
    run_all(names, Path(folder), processes, rank)
    torch.distributed.destroy_process_group()
