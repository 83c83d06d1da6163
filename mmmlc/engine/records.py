"""What a training checkpoint says of its training and of the files beside it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.logging import print_log
from mmengine.runner import Runner

from .checkpoints import load_checkpoint_file
from .scale_lr import images_per_update


def training_record(runner: Runner) -> dict[str, Any]:
    """Plain values for ``meta['mmmlc']`` of a checkpoint: what its config's text does not say."""
    processes = dist.get_world_size()
    return dict(
        saved=time.time(),  # of copied files, the time of the file is another
        processes=processes,
        images_per_update=images_or_none(runner.cfg, processes),
        images=len(runner.train_dataloader.dataset),
    )


def images_or_none(cfg: Any, processes: int) -> int | None:
    """Images per update, None for configs that do not have the keys for it."""
    try:
        return images_per_update(cfg, processes)
    except (AttributeError, KeyError, TypeError):
        return None


def saved_at(meta: dict, path: Path) -> float:
    """When a checkpoint was saved, in seconds since 1970: as it says itself, else as its file."""
    record = meta.get('mmmlc')
    if isinstance(record, dict) and isinstance(record.get('saved'), int | float):
        return float(record['saved'])
    try:
        return time.mktime(time.strptime(str(meta.get('time')), '%Y%m%d_%H%M%S'))
    except ValueError:
        return path.stat().st_mtime


def follow_folder(checkpoint: dict, source: Path | None, folder: Path, hook: Any) -> None:
    """Let a checkpoint's records of other files speak of those in a folder.

    A checkpoint keeps absolute paths, and what was true when it was written. Since then the folder
    may have been moved, files removed, and a best checkpoint written.

    Args:
        checkpoint: Of a training; its message hub is changed.
        source: Its own path.
        folder: Of the checkpoints of the run that is resumed.
        hook: :class:`mmmlc.engine.hooks.CheckpointHook`.
    """
    info = checkpoint['message_hub']['runtime_info']
    if source is not None:
        info['last_ckpt'] = str(source)
    at_home = source is not None and source.absolute().parent == folder.absolute()
    kept = info.get('keep_ckpt_ids', [])
    # Of another folder's training, equal names here are other files, not to be removed.
    info['keep_ckpt_ids'] = [i for i in kept if at_home and (folder / hook.name_of(i)).exists()]
    for key in hook.key_indicators if hook.save_best else ():
        _follow_best(info, folder, hook, key)


def _follow_best(info: dict, folder: Path, hook: Any, key: str) -> None:
    score, place = hook.entry('best_score', key), hook.entry('best_ckpt', key)
    known = Path(str(info.get(place))).name
    newest = _newest_best(folder, hook, key, score)
    if newest is None:
        if info.pop(place, None) is not None:
            info.pop(score, None)
            print_log(f'{known}, the best checkpoint, is gone: the next one is the best', 'current')
        return
    path, value = newest
    info[place], info[score] = str(path), value
    if path.name != known:
        print_log(f'the best checkpoint is {path.name}, {value:.4f}', 'current')


def _newest_best(folder: Path, hook: Any, key: str, entry: str) -> tuple[Path, float] | None:
    """The last best checkpoint that is whole, and its score."""
    found = []
    for path in folder.glob(hook.best_name('*' if key == 'auto' else key, '*')):
        try:
            content = load_checkpoint_file(path)
            value = content['message_hub']['runtime_info'][entry]
        except (ValueError, KeyError, TypeError):
            continue  # damaged, or not written by a training
        found.append((saved_at(content['meta'], path), path, float(value)))
    return max(found)[1:] if found else None
