"""Bring the teacher to a distillation, and export the plain student."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmmlc.engine.checkpoints import load_checkpoint_file, save_checkpoint_file
from mmmlc.engine.launch import load_config
from mmmlc.registry import HOOKS, MODELS

PREFIX = 'student.'
SAVED = re.compile(r'(best_.+_)?(epoch|iter)_\d+\.pth')


@HOOKS.register_module()
class TeacherHook(Hook):
    """Give a :class:`Distiller` its teacher, and export the student at every save.

    Beside each checkpoint ``epoch_N.pth`` (``best_..._epoch_N.pth``) lies ``student_epoch_N.pth``:
    an ordinary checkpoint of the student's own config. It goes when the checkpoint goes. A test
    needs no teacher and loads none.

    Args:
        config: Config file of the teacher.
        checkpoint: Its weights, file or address; every key must match.
        options: Dotted keys and values that override its config, as ``--cfg-options`` do.
        cache: File that keeps the teacher's answers: kept proposals with their objectness, and
            logits where losses use them. For pipelines that only mirror. None for no file.
        cache_maps: Keep its maps, too, so that it need not run at all. They are large.
        cache_type: ``'float16'`` or ``'float32'``: how logits and maps are kept.

    Raises:
        TypeError, ValueError, FileNotFoundError: before training, where model, teacher and data
            don't fit together.
    """

    # After CheckpointHook has written and removed files.
    priority = 'LOWEST'

    def __init__(
        self,
        config: str,
        checkpoint: str,
        options: dict | None = None,
        cache: str | None = None,
        cache_maps: bool = False,
        cache_type: str = 'float16',
    ):
        if cache_maps and cache is None:
            raise ValueError('TeacherHook: cache_maps=True needs cache, the path of a file')
        self.config = config
        self.checkpoint = checkpoint
        self.options = options
        self.cache = cache
        self.cache_maps = cache_maps
        self.cache_type = cache_type
        self._saved = False

    def before_train(self, runner: Runner) -> None:
        """Build, load, check and hand over the teacher."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not hasattr(model, 'set_teacher'):
            raise TypeError(f'TeacherHook: the model is {type(model).__name__}, not a Distiller')
        loader = runner.train_dataloader
        teacher = self._load(tuple(loader.dataset.metainfo.get('classes') or ()))
        model.set_teacher(teacher)
        batch = loader.collate_fn([loader.dataset[0]])
        model.check_teacher(batch)
        if self.cache is not None:
            infos = map(loader.dataset.get_data_info, range(len(loader.dataset)))
            names = [info['img_path'] for info in infos]
            model.cache_teacher(self.cache, names, batch, self.cache_maps, self.cache_type)
        self._export(runner)  # what a killed run has saved last

    def _load(self, classes: tuple[str, ...]) -> nn.Module:
        cfg = load_config(self.config, self.options)
        teacher = MODELS.build(cfg.model)
        if '://' not in self.checkpoint and not Path(self.checkpoint).is_file():
            raise FileNotFoundError(f'TeacherHook: checkpoint={self.checkpoint!r}, no such file')
        content = load_checkpoint_file(self.checkpoint)
        try:
            teacher.load_state_dict(content.get('state_dict', content))
        except RuntimeError as error:
            raise ValueError(
                f'TeacherHook: {self.checkpoint} does not fit {self.config}: {error}'
            ) from error
        _check_classes(self.checkpoint, content.get('meta') or {}, classes)
        print_log(f'teacher: {self.config}, weights of {self.checkpoint}', 'current')
        return teacher

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note that there will be something to export."""
        self._saved = True

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Export the student of a checkpoint saved by iteration."""
        self._export_saved(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Export the student of a checkpoint saved by epoch."""
        self._export_saved(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Export the student of the best checkpoint."""
        self._export_saved(runner)

    def _export_saved(self, runner: Runner) -> None:
        if self._saved:
            self._saved = False
            self._export(runner)

    def _export(self, runner: Runner) -> None:
        savers = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
        if savers and dist.is_main_process():
            export_students(Path(savers[0].out_dir))


def _check_classes(path: str, meta: dict, expected: tuple[str, ...]) -> None:
    found = tuple((meta.get('dataset_meta') or {}).get('classes') or ())
    if not found or not expected or found == expected:
        return
    pairs = zip(found, expected, strict=False)
    index, pair = next(
        ((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1]),
        (min(len(found), len(expected)), ('nothing', 'nothing')),
    )
    raise ValueError(
        f'TeacherHook: {path} was trained on {len(found)} classes, train_dataloader.dataset has '
        f'{len(expected)}; the first difference is at index {index}: {pair[0]!r} and {pair[1]!r}'
    )


def export_students(folder: Path) -> None:
    """Write ``student_X.pth`` beside each checkpoint ``X.pth`` of a Distiller in a folder.

    Those that are up to date stay, those whose checkpoint is gone are removed.
    """
    for path in sorted(folder.glob('*.pth')):
        name = path.name.removeprefix('student_')
        if not SAVED.fullmatch(name):
            continue
        if name != path.name:
            if not (folder / name).exists():
                path.unlink()
            continue
        student = folder / f'student_{name}'
        if not student.exists() or student.stat().st_mtime_ns < path.stat().st_mtime_ns:
            export_student(path, student)


def export_student(path: Path, out: Path) -> None:
    """Write the plain student of a Distiller's checkpoint; ValueError if it holds none."""
    checkpoint = load_checkpoint_file(path)
    weights = {
        key.removeprefix(PREFIX): value
        for key, value in checkpoint['state_dict'].items()
        if key.startswith(PREFIX)
    }
    if not weights:
        raise ValueError(f'{path} holds no student: is it of another training than a Distiller?')
    meta = checkpoint['meta']
    kept = ('dataset_meta', 'epoch', 'iter', 'mmengine_version', 'time')
    meta = {key: meta[key] for key in kept if key in meta}
    save_checkpoint_file(dict(meta=meta, state_dict=weights), out)
