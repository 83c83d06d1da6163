"""The model of a training: from its work directory, or a config and a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from torch import Tensor

from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.launch import load_config
from mmmlc.engine.resume import Found, find_checkpoint, read_training

from .folder import without_weights


class Trained(NamedTuple):
    """What a model is built from."""

    cfg: Config
    state: dict[str, Tensor]
    classes: Sequence[str]
    where: str  # named in errors


def read_trained(place: str | Path, checkpoint: str | Path | None = None) -> Trained:
    """Read a training's config and weights.

    The config is Python and is run; the checkpoint is read as plain data.

    Args:
        place: The work directory of a training, or a config file.
        checkpoint: A file; of a work directory by default the best one that its training recorded,
            or else the newest. A config file needs it.

    Raises:
        FileNotFoundError: if there is no such config or checkpoint.
        ValueError: if the work directory holds several configs, or the checkpoint is damaged or
            does not say its classes.
    """
    place = Path(place)
    config = place
    if place.is_dir():
        config = config_of(place)
        checkpoint = checkpoint or checkpoint_of(place)
    if checkpoint is None:
        raise ValueError(f'{place}: a config file needs a checkpoint beside it')
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f'{checkpoint}: no such checkpoint')
    content = load_checkpoint_file(checkpoint)
    classes = (content.get('meta', {}).get('dataset_meta') or {}).get('classes')
    if 'state_dict' not in content or not classes:
        raise ValueError(
            f'{checkpoint} does not say its classes (meta.dataset_meta.classes): it is no '
            'checkpoint of a training by mmmlc'
        )
    cfg = load_config(config)
    head = cfg.model.get('head')
    if isinstance(head, dict) and head.get('num_classes', 0) is None:  # counted in the data
        head['num_classes'] = len(classes)
    without_weights(cfg.model)
    return Trained(cfg, content['state_dict'], classes, str(checkpoint))


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
