"""Which checkpoint a training goes on from: the newest that reads whole."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mmengine import dist
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.logging import print_log
from mmengine.runner import Runner

from .checkpoints import load_checkpoint_file
from .records import saved_at
from .tensors import describe_not_finite, not_finite
from .zip_checks import check_zip

POINTER = 'last_checkpoint'


class UnusableError(ValueError):
    """A checkpoint that a training cannot go on from; the text says why, without the path."""


class NoTrainingError(UnusableError):
    """It is whole, but has no training state, as best checkpoints and exported students."""


class Passed(NamedTuple):
    """A checkpoint that was not taken, and why; ``damaged`` if it should have counted."""

    path: Path
    reason: str
    damaged: bool


class Found(NamedTuple):
    """What a folder holds: the newest whole checkpoint, if any, and what was passed over."""

    path: Path | None
    passed: list[Passed]


def read_training(path: Path) -> dict:
    """A training checkpoint, read as far as its parts; tensors stay on the disk until used.

    Raises:
        UnusableError: if it is damaged or lacks a part.
    """
    if path.is_dir():
        raise UnusableError('is a folder')
    if not path.is_file():  # a named pipe could be read for ever
        raise UnusableError('is no regular file')
    try:
        content = load_checkpoint_file(path, mmap=zipfile.is_zipfile(path))
    except (ValueError, OSError) as error:
        raise UnusableError(str(error).removeprefix(f'{path} ')) from error
    meta = content.get('meta') or {}
    missing = [f'meta.{key}' for key in ('epoch', 'iter') if not isinstance(meta.get(key), int)]
    missing += [key for key in ('state_dict', 'message_hub') if key not in content]
    if missing:
        raise NoTrainingError(f'is no checkpoint of a training: it has no {", ".join(missing)}')
    if 'optimizer' not in content:
        raise NoTrainingError('has no optimiser state: it is for tests')
    return content


def check_whole(path: Path, content: dict) -> None:
    """Read all of a file.

    Args:
        path: The checkpoint.
        content: Of :func:`read_training`.

    Raises:
        UnusableError: if the checksum of a part is wrong, or weights are not finite.
    """
    try:
        check_zip(str(path), str(path))
    except (ValueError, OSError) as error:
        raise UnusableError(str(error).removeprefix(f'{path} ')) from error
    weights = {key: content[key] for key in ('state_dict', 'ema_state_dict') if key in content}
    if names := not_finite(weights):
        raise UnusableError(f'is of a diverged training: {describe_not_finite(names)}')


def find_checkpoint(paths: Iterable[Path]) -> Found:
    """The newest of some checkpoints that reads whole, by the time when they were saved.

    Not by their iterations: who went back to an earlier checkpoint goes on from there.
    """
    heads: list[tuple[tuple[float, int], Path]] = []
    passed: list[Passed] = []
    for path in sorted(paths):
        try:
            meta = read_training(path)['meta']
        except UnusableError as error:
            damaged = not isinstance(error, NoTrainingError)
            passed.append(Passed(path, str(error), damaged))
        else:
            heads.append(((saved_at(meta, path), meta['iter']), path))
    for _, path in sorted(heads, reverse=True):
        try:
            check_whole(path, read_training(path))
        except UnusableError as error:
            passed.append(Passed(path, str(error), damaged=True))
        else:
            return Found(path, passed)
    return Found(None, passed)


def choose_start(runner: Runner, begin_from: str | None) -> None:
    """Tell a runner which checkpoint to go on from; the first process chooses for all.

    Args:
        runner: With ``resume=True``. Where it names a checkpoint, that one is checked; otherwise
            the newest in its folder is taken, and without any the training begins.
        begin_from: Checkpoint that the training begins from, None for none.

    Raises:
        ValueError: if the named checkpoint is damaged, or all of the folder are.
    """
    answer: list[Any] = [None, None]
    if dist.is_main_process():
        try:
            answer[0] = _choose(runner)
        except (ValueError, OSError) as error:
            answer[1] = str(error)
    dist.broadcast_object_list(answer)
    path, wrong = answer
    if wrong is not None:
        raise ValueError(wrong)
    runner._resume = path is not None
    runner._load_from = begin_from if path is None else path


def _choose(runner: Runner) -> str | None:
    if runner._load_from is not None:
        return _checked(str(runner._load_from))
    place = _checkpoint_place(runner)
    if not isinstance(get_file_backend(place), LocalBackend):
        return _follow_pointer(Path(runner.work_dir))
    folder = Path(place)
    paths = [path for path in folder.glob('*.pth') if not path.name.startswith('.')]
    found = find_checkpoint(paths)
    if not paths:
        print_log(f'--resume: {folder} holds no checkpoint, the training begins', 'current')
        return None
    if found.path is None:
        reasons = '\n'.join(f'- {path.name} {reason}' for path, reason, _ in found.passed)
        raise ValueError(
            f'--resume: {folder} holds no checkpoint to go on from:\n{reasons}\nTo begin anew, '
            'remove them, leave --resume away, or take another --work-dir.'
        )
    _report(found, folder, Path(runner.work_dir, POINTER))
    return str(found.path)


def _checkpoint_place(runner: Runner) -> str:
    folders = [hook.folder(runner) for hook in runner.hooks if hasattr(hook, 'folder')]
    return str(folders[0] if folders else runner.work_dir)


def _follow_pointer(work_dir: Path) -> str | None:
    """Of a storage that is no local folder only what the last run has noted."""
    pointer = work_dir / POINTER
    path = pointer.read_text().strip() if pointer.is_file() else ''
    if not path:
        print_log(f'--resume: {pointer} names no checkpoint, the training begins', 'current')
    return path or None


def _report(found: Found, folder: Path, pointer: Path) -> None:
    for path, reason, damaged in found.passed:
        if damaged:  # best checkpoints and exported students are never meant
            print_log(f'--resume: {path.name} is passed over: it {reason}', 'current')
    assert found.path is not None
    named = pointer.read_text(errors='replace').strip() if pointer.is_file() else ''
    name = Path(named).name
    if name != found.path.name:
        what = f'names {named[:200]!r}' if name else 'is empty or missing'
        print_log(f'--resume: {pointer} {what}; taken is the newest whole checkpoint', 'current')
    print_log(f'--resume: going on from {found.path}', 'current')


def _checked(path: str) -> str:
    if '://' in path:
        return path
    try:
        check_whole(Path(path), read_training(Path(path)))
    except NoTrainingError as error:
        raise ValueError(
            f'--resume {path} {error}. To begin a training from its weights: '
            f'--cfg-options load_from={path}'
        ) from error
    except UnusableError as error:
        others = [other for other in Path(path).parent.glob('*.pth') if other != Path(path)]
        good = find_checkpoint(others).path
        advice = 'no other one in its folder is good' if good is None else f'take --resume {good}'
        raise ValueError(f'--resume {path} {error}; {advice}') from error
    return path
