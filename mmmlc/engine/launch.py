"""From a config file to a runner, as ``tools/train.py`` and ``tools/test.py`` need it."""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn

from mmmlc.dependencies import require_mmdet

from .check_config import check_overrides
from .checkpoints import load_checkpoint_file, use_strict_loaders
from .prepare import RunOptions, parts_of, prepare
from .resume import choose_start
from .run_records import end_with
from .synchronised_norms import SynchronisedNormsHook
from .takeover import TakeoverHook
from .terminal import shorten_terminal, show_end_of_epochs


def load_config(
    path: str | Path,
    options: dict | None = None,
    work_dir: str | Path | None = None,
    launcher: str = 'none',
) -> Config:
    """Read a config and apply what the command line overrides.

    Args:
        path: Config file.
        options: Dotted keys and values, of ``--cfg-options``.
        work_dir: Where logs and checkpoints go; by default the config's own ``work_dir``, else
            ``work_dirs/<config name>``.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        FileNotFoundError: if there is no such config.
        ValueError: for a key of ``options`` that nothing would read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such config file')
    cfg = Config.fromfile(path)
    if options:
        check_overrides(cfg, options)
        cfg.merge_from_dict(options)
    cfg.launcher = launcher
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / path.stem)
    return cfg


def build_runner(cfg: Config, trust: bool = False, options: RunOptions | None = None) -> Runner:
    """Build the runner, on CPU processes (gloo) as well as on GPUs.

    From here on mmengine loads checkpoints as plain data in this process, see
    :func:`mmmlc.engine.use_strict_loaders`.

    Args:
        cfg: Of :func:`load_config`; :func:`mmmlc.engine.prepare.prepare` changes it in place.
        trust: Unpickle checkpoints in full. Code hidden in them then runs.
        options: What the command line asks for.

    Raises:
        ValueError: if the training is to be resumed and the checkpoint is damaged, or all of the
            work directory are, see :func:`mmmlc.engine.resume.choose_start`.
    """
    use_strict_loaders(trust)
    # Where a training begins that finds nothing to go on from.
    begin_from = cfg.get('load_from') if options and options.resume == 'auto' else None
    # mmpretrain's ColorJitter calls mmcv rightly, and is warned in every worker all the same.
    warnings.filterwarnings('ignore', "Only use 'alpha' for pillow backend")
    prepare(cfg, options)
    if any(str(part.get('type')).startswith('mmdet.') for part in parts_of(cfg.model)):
        require_mmdet()
    processes = cfg.launcher != 'none' and not torch.cuda.is_available()
    if processes and not torch.distributed.is_initialized():
        # The runner's own initialisation calls CUDA.
        torch.distributed.init_process_group('gloo')
    runner = _runner_class(cfg, options is not None and options.test).from_cfg(cfg)
    end_with(runner)
    show_end_of_epochs(runner, cfg)
    if cfg.get('sync_bn'):
        runner.register_hook(SynchronisedNormsHook())
    if cfg.get('resume'):
        choose_start(runner, begin_from)
        runner.register_hook(TakeoverHook())
    return runner


def _runner_class(cfg: Config, test: bool) -> type[Runner]:
    """The config's runner with a short terminal; a test leaves the training's config alone."""
    found = RUNNERS.get(cfg.get('runner_type', 'mmengine.Runner'))

    def build_logger(self: Runner, *args: Any, **kwargs: Any) -> MMLogger:
        logger = found.build_logger(self, *args, **kwargs)
        shorten_terminal(logger)
        return logger

    methods = dict(build_logger=build_logger)
    if test:
        methods['dump_config'] = _dump_beside_log
    return type(found.__name__, (found,), methods)


@master_only
def _dump_beside_log(runner: Runner) -> None:
    """Write the config of a test, so that the training's in the same work directory stays."""
    runner.cfg.dump(Path(runner.log_dir, Path(runner.cfg.filename or 'config.py').name))


def leave_processes() -> None:
    """End a run of several processes together, each with exit status 0; nothing if alone.

    A process that ends as a member can abort on its way out, whereupon torchrun kills the others,
    among them the first one, which may still be writing the results. Now and then one that has
    left aborts as well, in the destructors of its libraries ("terminate called without an active
    exception"), and a finished training counts as failed: they are not run.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
        atexit._run_exitfuncs()  # workers of data loaders, temporary folders, logs
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(0)


def load_weights(runner: Runner, checkpoint: str | Path, trust: bool | None = None) -> None:
    """Load a checkpoint into the runner's model; every key must match.

    mmengine alone would go on with whatever keys are missing, that is, test a random model.

    Args:
        runner: Of :func:`build_runner`.
        checkpoint: File or address.
        trust: Unpickle in full; None leaves it as :func:`build_runner` was told.

    Raises:
        FileNotFoundError: if a local path doesn't exist.
        ValueError: if keys or shapes differ from the model's, or the file is refused, see
            :func:`mmmlc.engine.load_checkpoint_file`.
    """
    checkpoint = str(checkpoint)
    if '://' not in checkpoint and not Path(checkpoint).is_file():
        raise FileNotFoundError(f'{checkpoint}: no such checkpoint')
    if trust is not None:
        use_strict_loaders(trust)
    # EMAHook makes its copy of the model here, and wants it when a checkpoint is loaded.
    runner.call_hook('before_run')
    try:
        runner.load_checkpoint(checkpoint, strict=True)
    except RuntimeError as error:
        raise ValueError(f'{checkpoint} does not fit the model of the config: {error}') from error
    runner._has_loaded = True  # or test() would load cfg.load_from over it


def load_network(runner: Runner, checkpoint: str | Path | None) -> None:
    """Load what is below the head, backbone and neck; the head may be another one than trained.

    Args:
        runner: Of :func:`build_runner`.
        checkpoint: File or address; None takes what the config starts from (``init_cfg``,
            ``load_from``).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the checkpoint lacks a weight of backbone or neck, or has it in another
            shape, or is refused, see :func:`mmmlc.engine.load_checkpoint_file`.
    """
    if checkpoint is None:
        runner._init_model_weights()
        return runner.load_or_resume()
    load_below_head(runner.model, checkpoint)
    return None


def load_below_head(model: nn.Module, checkpoint: str | Path) -> None:
    """Load backbone and neck of a model alone; raises as :func:`load_network` does."""
    content = load_checkpoint_file(checkpoint)
    state = content.get('state_dict', content)
    wanted = model.state_dict()
    below = {key: value for key, value in wanted.items() if not key.startswith('head.')}
    wrong = [key for key in below if getattr(state.get(key), 'shape', None) != below[key].shape]
    if wrong:
        raise ValueError(
            f'{checkpoint} does not fit the model of the config: {len(wrong)} of the {len(below)} '
            f'weights below the head are missing or of another shape, the first is {wrong[0]}'
        )
    model.load_state_dict({key: state[key] for key in below}, strict=False)
