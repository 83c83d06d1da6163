"""Saving: a checkpoint is whole before anything refers to it, and before an older one goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.fileio import HardDiskBackend, LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook as PlainCheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmmlc.engine.ending import TrainingEndedError, stop_together
from mmmlc.engine.records import follow_folder, training_record
from mmmlc.engine.resume import POINTER
from mmmlc.engine.tensors import describe_not_finite, not_finite, size_of
from mmmlc.registry import HOOKS
from mmmlc.whole_files import (
    FULL,
    DiskFullError,
    part_name,
    put_in_place,
    remove,
    remove_leftovers,
    write_whole,
)


@HOOKS.register_module()
class CheckpointHook(PlainCheckpointHook):
    """``mmengine.CheckpointHook``, of the same options, that never loses the last good checkpoint.

    mmengine removes the oldest checkpoint, then writes the new one in place: a kill or a full disk
    in between leaves nothing. Here a checkpoint is written under another name, brought to the disk
    and renamed; then the file ``last_checkpoint`` follows in the same way, and only then older
    ones are removed. So there must be room for one checkpoint more. The best checkpoint likewise.
    A storage that is no local folder is written as mmengine writes it, in the same order.

    A checkpoint with NaN or infinite weights is not saved: the training ends.

    Raises:
        TrainingEndedError: in all processes, if one of them cannot save.
    """

    writes = 0  # checkpoints and best checkpoints saved so far, the same in all processes

    def before_train(self, runner: Runner) -> None:
        """Find the folder, and clear what a killed run has left in it."""
        super().before_train(runner)
        self._needed: int | None = None
        self._meta: dict[str, int] = {}
        self._good: str | None = runner._load_from if runner._resume else None
        self.keep_ckpt_ids: deque[int]  # made there if max_keep_ckpts is given
        # What a killed run did not get to remove; it goes with the next best checkpoint.
        self._superseded = self._best_files() if self.save_best else []
        if dist.is_main_process():
            folders = {Path(runner.work_dir), *([Path(self.out_dir)] if self._is_local else [])}
            for folder in folders:
                for path in remove_leftovers(folder):
                    print_log(f'{path} removed: its writing was interrupted', 'current')

    def folder(self, runner: Runner) -> str:
        """Where this run's checkpoints lie, also before ``before_train`` has settled it."""
        if hasattr(self, 'file_backend') or self.out_dir is None:
            return str(self.out_dir or runner.work_dir)
        backend = get_file_backend(self.out_dir, backend_args=self.backend_args)
        if self.out_dir == runner.work_dir:
            return str(self.out_dir)
        return str(backend.join_path(self.out_dir, Path(runner.work_dir).name))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Let the records of a resumed checkpoint speak of the files that are there."""
        folder = Path(self.folder(runner))
        if runner._resume and folder.is_dir():
            source = Path(runner._load_from) if runner._load_from else None
            follow_folder(checkpoint, source, folder, self)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Look at what will be saved, after all other hooks."""
        # mmengine's FlexibleRunner counts one epoch too many when it saves after a validation.
        checkpoint['meta'].update(self._meta)
        checkpoint['meta']['mmmlc'] = training_record(runner)
        self._needed = size_of(checkpoint)
        weights = {k: checkpoint[k] for k in ('state_dict', 'ema_state_dict') if k in checkpoint}
        if names := not_finite(weights):
            raise TrainingEndedError(
                f'The weights are not finite after iteration {checkpoint["meta"]["iter"]}: '
                f'{describe_not_finite(names)}. They are not saved: {self.last_good(runner)}'
            )

    def last_good(self, runner: Runner) -> str:
        """Some words on the checkpoint to go on from."""
        if self._good is None:
            return 'no checkpoint has been saved'
        config = getattr(runner.cfg, 'filename', None) or 'CONFIG'
        command = f'python tools/train.py {config} --work-dir {runner.work_dir} --resume'
        return f'the last good checkpoint is {self._good}, to go on from it: {command}'

    @property
    def _is_local(self) -> bool:
        backend = self.file_backend
        return isinstance(getattr(backend, 'client', backend), LocalBackend | HardDiskBackend)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        name = self.name_of(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        kept: list[int] = []
        if self.max_keep_ckpts > 0:
            kept = [*(i for i in list(self.keep_ckpt_ids) if i != step), step]
            # Those to be removed included: a run that is killed before it does so removes them when
            # it is resumed.
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        self._write(
            runner,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            **self.args,
        )
        self._point(runner)
        if self.max_keep_ckpts > 0:
            for old in kept[: -self.max_keep_ckpts]:
                self._remove(self.file_backend.join_path(self.out_dir, self.name_of(old)))
            self.keep_ckpt_ids = deque(kept[-self.max_keep_ckpts :])
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        # Of those that have been trained, as in mmengine.
        step = runner.epoch if self.by_epoch else runner.iter
        better = [key for key in self.key_indicators if self._is_better(runner, key, metrics)]
        for key in better:
            self._save_best(runner, key, metrics[key], step)
        if better and self.last_ckpt is not None:
            # Again, so that it knows of the best one.
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, step, meta)

    def _is_better(self, runner: Runner, key: str, metrics: dict) -> bool:
        if key not in metrics:
            raise ValueError(
                f'default_hooks.checkpoint.save_best is {key!r}, val_evaluator gives '
                f'{", ".join(metrics)}'
            )
        rule = self.rules[self.key_indicators.index(key)]
        best = runner.message_hub.runtime_info.get(
            self.entry('best_score', key), self.init_value_map[rule]
        )
        return metrics[key] is not None and bool(self.is_better_than[key](metrics[key], best))

    def _save_best(self, runner: Runner, key: str, score: float, step: int) -> None:
        name = self.best_name(key, step)
        path = self.file_backend.join_path(self.out_dir, name)
        old = [self._best_path(key), *(p for p in self._superseded if self._is_best_of(key, p))]
        runner.message_hub.update_info(self.entry('best_score', key), score)
        runner.message_hub.update_info(self.entry('best_ckpt', key), path)
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = path
        else:
            self.best_ckpt_path_dict[key] = path
        self._write(
            runner,
            name,
            save_optimizer=False,
            save_param_scheduler=False,
            meta=dict(epoch=runner.epoch, iter=runner.iter),
            by_epoch=False,
        )
        unit = 'epoch' if self.by_epoch else 'iter'
        runner.logger.info(
            f'The best checkpoint with {score:0.4f} {key} at {step} {unit} is saved to {name}.'
        )
        for before in old:
            if before and before != path:
                self._remove(before)
        self._superseded = [p for p in self._superseded if p not in old]

    def entry(self, name: str, key: str) -> str:
        """Where the message hub keeps something on the best checkpoint."""
        return name if len(self.key_indicators) == 1 else f'{name}_{key}'

    def _best_path(self, key: str) -> str | None:
        if len(self.key_indicators) == 1:
            return self.best_ckpt_path
        return self.best_ckpt_path_dict.get(key)

    def name_of(self, step: int | str) -> str:
        """File name of a checkpoint."""
        return self.filename_tmpl.format(step)

    def best_name(self, key: str, step: int | str) -> str:
        """File name of the best checkpoint by a metric."""
        return f'best_{key}_{self.name_of(step)}'.replace('/', '_')

    def _is_best_of(self, key: str, path: str) -> bool:
        return Path(path).match(self.best_name(key, '*'))

    def _best_files(self) -> list[str]:
        if not self._is_local:
            return []
        return sorted(map(str, Path(self.out_dir).glob(f'best_*_{self.name_of("*")}')))

    def _write(self, runner: Runner, name: str, **options: Any) -> None:
        """Save in all processes; those that have nothing to write wait for those that have."""
        part = part_name(name) if self._is_local else name
        args = (self.out_dir, part, self.file_client_args)
        options['backend_args'] = self.backend_args
        self._meta = dict(options['meta'])
        self._together(runner, name, lambda: runner.save_checkpoint(*args, **options))
        if self._is_local:
            folder = Path(self.out_dir)
            self._first(runner, name, lambda: put_in_place(folder / part, folder / name))
        self.writes += 1

    def _point(self, runner: Runner) -> None:
        pointer = Path(runner.work_dir, POINTER)
        self._first(runner, POINTER, lambda: write_whole(pointer, str(self.last_ckpt).encode()))
        self._good = self.last_ckpt

    def _first(self, runner: Runner, name: str, action: Callable[[], None]) -> None:
        """Only the first process acts."""
        self._together(runner, name, action if dist.is_main_process() else lambda: None)

    def _together(self, runner: Runner, name: str, action: Callable[[], None]) -> None:
        error: Exception | None = None
        try:
            action()
        except Exception as caught:  # whatever it is, the other processes must not wait for this
            error = caught
        if error is not None and self._is_local and dist.is_main_process():
            remove(Path(self.out_dir, part_name(name)))  # first: it takes up what is free
        if isinstance(error, OSError) and error.errno in FULL:
            if not isinstance(error, DiskFullError):
                error = DiskFullError(error, Path(self.out_dir, name), self._needed)
            error = TrainingEndedError(f'{error}; {self.last_good(runner)}')
        stop_together(error)

    def _remove(self, path: str) -> None:
        if not dist.is_main_process():
            return
        if self._is_local:
            remove(Path(path))
        elif self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):
            self.file_backend.rmtree(path)
