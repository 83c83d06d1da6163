"""What a command line changes in a config before a run: one ordered function, :func:`prepare`.

A config file says what a model and its training are. Everything that is changed afterwards, be it
asked for by an option of a tool or due to the machine, is changed here and nowhere else, in the
order of the steps, each of which says why it is where it is.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import DATASETS, METRICS

from .check_config import HOOK_NAMES, check_config
from .scale_lr import check_lr_factors, scale_lr, world_size

VIEWS = ('features', 'images')


@dataclass(frozen=True)
class RunOptions:
    """What a command line asks of a run, beyond ``--cfg-options``; the defaults ask for nothing.

    Attributes:
        test: The weights come from a checkpoint of the command line alone.
        train: The weights are trained; else learning rates and batch norms stay as they are.
        amp: Automatic mixed precision.
        resume: ``'auto'`` or a checkpoint to go on from.
        validate: Whether a training evaluates.
        seed: Of everything random.
        scale_rates: Scale the learning rates to the images per update.
        sync_bn: Batch norms over all processes.
        views: Test on ten views, ``'features'`` or ``'images'``, see
            :class:`mmmlc.models.TenViews`.
        out_dir: Folder for the files of the metrics.
        show_dir: Folder for pictures.
        show_proposals: File of proposals to draw beside them.
        show_max: Pictures per process; None for all.
    """

    test: bool = False
    train: bool = True
    amp: bool = False
    resume: str | None = None
    validate: bool = True
    seed: int | None = None
    scale_rates: bool = False
    sync_bn: bool = False
    views: str | None = None
    out_dir: str | Path | None = None
    show_dir: str | Path | None = None
    show_proposals: str | None = None
    show_max: int | None = None


def prepare(cfg: Config, options: RunOptions | None = None) -> None:
    """Change a config, in place, to what a run needs; a second time changes nothing more.

    Args:
        cfg: Of :func:`mmmlc.engine.load_config`, which has merged ``--cfg-options`` into it.
        options: What the command line asks for; None for what every run needs.

    Raises:
        ValueError: for an option that the config or the machine does not suit, and for keys and
            values that nothing takes, see :func:`mmmlc.engine.check_config.check_config`.
        FileNotFoundError: for a checkpoint to resume from that is not there.
    """
    options = options or RunOptions()
    # Before all else: what is wrong is said in the words of the config as it was written.
    check_config(cfg)
    # The start: it is what the rest is about.
    _choose_start(cfg, options)
    if not options.test:
        save_whole(cfg)
    if options.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=options.seed)
    if not options.validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if options.amp:
        use_amp_in_test(cfg) if options.test else use_amp(cfg)
    if options.train and not options.test and cfg.get('optim_wrapper'):
        # Before the check, which is about the rates that the run will have.
        if options.scale_rates or (cfg.get('auto_scale_lr') or {}).get('enable'):
            scale_lr(cfg, world_size(cfg.get('launcher', 'none')))
        check_lr_factors(cfg)
        if options.sync_bn or cfg.get('sync_bn'):
            use_sync_bn(cfg)
    if options.out_dir:
        write_results_to(cfg, options.out_dir)
    if options.views:
        use_ten_views(cfg, options.views)
    if options.show_dir:
        _draw_pictures(cfg, options)
    _leave_out_hooks(cfg)
    # Last: it reads the data that all options may have changed.
    fill_num_classes(cfg)
    if cfg.get('launcher', 'none') != 'none' and not torch.cuda.is_available():
        _use_gloo(cfg)


def _leave_out_hooks(cfg: Config) -> None:
    """``default_hooks.divergence=None`` leaves it out, as mmengine does with its own six."""
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None and name not in HOOK_NAMES]:
        del hooks[name]


def _choose_start(cfg: Config, options: RunOptions) -> None:
    if options.test:
        cfg.load_from, cfg.resume = None, False
        without_pretrained(cfg.model)
    elif options.resume:
        cfg.resume = True
        cfg.load_from = None if options.resume == 'auto' else options.resume
        if cfg.load_from and not os.path.isfile(cfg.load_from):
            raise FileNotFoundError(f'--resume {cfg.load_from}: no such checkpoint')


def save_whole(cfg: Config) -> None:
    """Let ``mmmlc.CheckpointHook`` save where mmengine's would, which can lose everything.

    Another hook of that name in ``default_hooks`` is left alone.
    """
    hooks = cfg.get('default_hooks') or {}
    hook = hooks.get('checkpoint', dict(type='CheckpointHook', interval=1))  # mmengine's default
    if isinstance(hook, dict) and hook.get('type') in ('CheckpointHook', 'mmengine.CheckpointHook'):
        cfg.default_hooks = dict(hooks, checkpoint=dict(hook, type='mmmlc.CheckpointHook'))
        print_log(
            'default_hooks.checkpoint.type=mmmlc.CheckpointHook, of the same options', 'current'
        )


def without_pretrained(model: dict) -> None:
    """Take ``init_cfg=dict(type='Pretrained')`` out of a model's config, at any depth.

    A checkpoint replaces those weights; fetching them first would need network or files.
    """
    for part in parts_of(model):
        init_cfg = part.get('init_cfg')
        if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
            part['init_cfg'] = None


def parts_of(config: dict) -> Iterator[dict]:
    """All dicts of a config, itself first, at any depth."""
    yield config
    for value in [*config.values()]:
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, dict):
                yield from parts_of(part)


def use_amp(cfg: Config) -> None:
    """Switch the training of a config to automatic mixed precision.

    Raises:
        ValueError: without a GPU, or if the config's optimiser wrapper is of another kind.
    """
    _require_gpu('--amp', 'mixed precision')
    wrapper = cfg.optim_wrapper
    kind = wrapper.get('type', 'OptimWrapper').split('.')[-1]
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(f'--amp: optim_wrapper.type is {kind}, expected mmengine.OptimWrapper')
    wrapper.type = 'mmengine.AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')


def use_amp_in_test(cfg: Config) -> None:
    """Switch the test of a config to automatic mixed precision; ValueError without a GPU."""
    _require_gpu('--amp', 'mixed precision')
    cfg.test_cfg.fp16 = True


def _require_gpu(option: str, what: str) -> None:
    if not torch.cuda.is_available():
        raise ValueError(f'{option}: torch sees no GPU, and {what} needs one')


def use_sync_bn(cfg: Config) -> None:
    """Make the training of a config synchronise its batch norms over all processes.

    Raises:
        ValueError: without a GPU, or in a single process: mmengine would leave them as they are
            without a word.
    """
    _require_gpu('sync_bn', 'synchronised batch norm')
    if cfg.get('launcher', 'none') == 'none':
        raise ValueError(
            'sync_bn: one process has nothing to synchronise, expected --launcher pytorch, slurm '
            'or mpi (tools/dist_train.sh, tools/slurm_train.sh)'
        )
    cfg.sync_bn = cfg.get('sync_bn') or 'torch'


def write_results_to(cfg: Config, folder: str | Path) -> None:
    """Let the metrics of the test write their files: the first to a folder, others to subfolders.

    Raises:
        ValueError: if none of the metrics writes files.
    """
    evaluators = cfg.get('test_evaluator') or []
    evaluators = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]
    writers = [e for e in evaluators if _writes_files(e)]
    if not writers:
        kinds = ', '.join(e.type for e in evaluators) or None
        raise ValueError(
            f'--out: test_evaluator is {kinds}, expected one that writes files, with an out_dir, '
            'as mmmlc.MultiLabelMetric'
        )
    for number, evaluator in enumerate(writers):
        name = evaluator.type.removeprefix('mmmlc.') if number else ''
        evaluator.out_dir = str(Path(folder) / name)


def _writes_files(evaluator: dict) -> bool:
    kind = METRICS.get(evaluator['type'])
    return kind is not None and 'out_dir' in inspect.signature(kind).parameters


def use_ten_views(cfg: Config, mode: str) -> None:
    """Test the classifier of a config on ten views.

    Args:
        cfg: Changed in place; where its model is ``mmmlc.TenViews`` already, only the mode is set.
        mode: One of ``VIEWS``, see :class:`mmmlc.models.TenViews`.
    """
    if cfg.model.type != 'mmmlc.TenViews':
        cfg.model.classifier = cfg.model.type
        cfg.model.type = 'mmmlc.TenViews'
    cfg.model.mode = mode


def _draw_pictures(cfg: Config, options: RunOptions) -> None:
    hook = dict(
        type='mmmlc.RegionPictureHook',
        out_dir=str(options.show_dir),
        max_images=options.show_max,
        proposals=options.show_proposals,
    )
    hooks = cfg.get('custom_hooks') or []
    cfg.custom_hooks = hooks if hook in hooks else [*hooks, hook]


def fill_num_classes(cfg: Config) -> None:
    """Replace ``model.head.num_classes=None`` by the number of classes of the training data.

    Reads the labels once more than training does; for a million CSV rows that is some seconds.

    Raises:
        ValueError: if the training data is missing or names no classes.
    """
    head = (cfg.get('model') or {}).get('head')
    if not isinstance(head, dict) or head.get('num_classes', 0) is not None:
        return
    key = 'train_dataloader' if cfg.get('train_dataloader') else 'test_dataloader'
    if not cfg.get(key):
        raise ValueError('model.head.num_classes is None and train_dataloader too: set either')
    classes = DATASETS.build(cfg[key].dataset).metainfo.get('classes')
    if not classes:
        raise ValueError(f'model.head.num_classes is None, and {key}.dataset names no classes')
    head['num_classes'] = len(classes)
    print_log(f'model.head.num_classes={len(classes)}, from {key}.dataset', logger='current')


def _use_gloo(cfg: Config) -> None:
    """mmengine's runners in several processes without a GPU; the group is made by build_runner.

    By default their wrappers take the process's number on the machine for that of a GPU.
    """
    if 'RANK' not in os.environ:
        raise ValueError(
            f'--launcher {cfg.launcher} without a GPU expects torchrun (tools/dist_train.sh): '
            'the environment has no RANK'
        )
    wrapper = dict(type='mmengine.MMDistributedDataParallel', broadcast_buffers=False)
    if cfg.get('runner_type') != 'FlexibleRunner':
        # mmengine reads it only where there is no config of a wrapper.
        wrapper['find_unused_parameters'] = cfg.get('find_unused_parameters', False)
        cfg.model_wrapper_cfg = wrapper | (cfg.get('model_wrapper_cfg') or {})
        cfg.model_wrapper_cfg.device_ids = None
        return
    strategy = cfg.get('strategy') or ConfigDict(type='mmengine.DDPStrategy')
    kind = strategy.type.split('.')[-1]
    if kind == 'DDPStrategy':
        strategy.model_wrapper = wrapper | (strategy.get('model_wrapper') or {})
        strategy.model_wrapper.device_ids = None
    elif strategy.type != 'mmmlc.FSDPStrategy':
        raise ValueError(
            f'strategy.type is {strategy.type}, which needs GPUs; expected mmengine.DDPStrategy or '
            'mmmlc.FSDPStrategy'
        )
    cfg.strategy = strategy
