"""What a training has left in its work directory: its config, and its best checkpoint."""

from __future__ import annotations

from pathlib import Path

from .resume import Found, find_checkpoint, read_training


def config_of(folder: Path) -> Path:
    """The config that a training has left in its work directory.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if there are several; names them.
    """
    found = sorted(folder.glob('*.py'))
    if not found:
        raise FileNotFoundError(f'{folder} holds no config (*.py): it is no work directory')
    if len(found) > 1:
        names = ', '.join(path.name for path in found)
        raise ValueError(f'{folder} holds several configs ({names}): name one, and a checkpoint')
    return found[0]


def checkpoint_of(folder: Path) -> Path:
    """The best checkpoint that a training recorded, or the newest.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if all are damaged; says how.
    """
    newest = find_checkpoint(folder.glob('*.pth'))
    if newest.path is None:
        raise _nothing(folder, newest)
    recorded = read_training(newest.path)['message_hub'].get('runtime_info', {})
    best = [Path(str(path)).name for key, path in recorded.items() if key.startswith('best_ckpt')]
    # The folder may have been moved, and a best one removed, since then.
    there = [folder / name for name in best if (folder / name).is_file()]
    return there[0] if len(there) == 1 else newest.path


def _nothing(folder: Path, found: Found) -> Exception:
    if not found.passed:
        return FileNotFoundError(f'{folder} holds no checkpoint (*.pth)')
    reasons = '\n'.join(f'  {one.path.name} {one.reason}' for one in found.passed)
    return ValueError(f'{folder} holds no checkpoint that can be used:\n{reasons}')
