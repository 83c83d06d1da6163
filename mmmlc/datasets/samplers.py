"""Batches whose size does not depend on the number of processes."""

from __future__ import annotations

from collections.abc import Iterable

from mmengine.dist import get_world_size
from torch.utils.data import BatchSampler, Sampler

from mmmlc.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class TotalBatchSampler(BatchSampler):
    """Batch sampler whose ``batch_size`` is the total over all processes.

    ``train_dataloader=dict(batch_size=16, batch_sampler=dict(type='mmmlc.TotalBatchSampler'),
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True), ...)`` gives 16 images to one GPU
    and 2 to each of 8, so that a published learning rate holds for any number of GPUs. Do not
    combine it with mmengine's own ``auto_scale_lr`` (``tools/train.py --auto-scale-lr`` is right)
    or ``num_batch_per_epoch``: both take the ``batch_size`` of the config for that of one process.

    Args:
        sampler: gives the indices of this process (mmengine passes it).
        batch_size: images per step, all processes together (mmengine passes it).
        drop_last: leave out the last, smaller batch.
    """

    def __init__(
        self, sampler: Sampler | Iterable[int], batch_size: int, drop_last: bool = False
    ) -> None:
        world_size = get_world_size()
        if batch_size % world_size:
            raise ValueError(
                f'dataloader batch_size={batch_size} is the total over all processes and cannot be '
                f'divided by world size {world_size}: take a multiple of {world_size}, or another '
                'number of GPUs'
            )
        super().__init__(sampler, batch_size // world_size, drop_last)
