"""The model of a training: from its work directory, or a config and a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from torch import Tensor

from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.launch import load_config
from mmmlc.engine.work_dirs import checkpoint_of, config_of

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
