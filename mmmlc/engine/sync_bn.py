"""Batch normalisation over the images of all processes."""

from __future__ import annotations

import torch
from mmengine.config import Config


def use_sync_bn(cfg: Config) -> None:
    """Make the training of a config synchronise its batch norms.

    Raises:
        ValueError: without a GPU, or in a single process: mmengine would leave them as they are
            without a word.
    """
    if not torch.cuda.is_available():
        raise ValueError('sync_bn: torch sees no GPU, and synchronised batch norm needs one')
    if cfg.get('launcher', 'none') == 'none':
        raise ValueError(
            'sync_bn: one process has nothing to synchronise, expected --launcher pytorch, slurm '
            'or mpi (tools/dist_train.sh, tools/slurm_train.sh)'
        )
    cfg.sync_bn = cfg.get('sync_bn') or 'torch'
