"""Fully sharded training (FSDP) by mmengine's ``FlexibleRunner``."""

from __future__ import annotations

from typing import Any

import torch
from mmengine._strategy import FSDPStrategy as EngineFSDPStrategy
from mmengine.device import get_device
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmmlc.registry import STRATEGIES


@STRATEGIES.register_module()
class FSDPStrategy(EngineFSDPStrategy):
    """``mmengine.FSDPStrategy`` that writes whole checkpoints, resumes, and runs on CPUs too.

    mmengine 0.10 takes the process's number on the machine for that of a GPU, saves in a way that
    crashes on a CPU, and hands the state of the optimiser to torch in an order of arguments that
    torch gave up with version 2.1, so that nothing can be resumed.

    Args:
        state_dict_cfg: ``'full'``, checkpoints as any other training writes them, or ``'local'``,
            a folder with a file of each process.
        **kwargs: Of ``mmengine.FSDPStrategy``.

    Raises:
        ValueError: before training, for ``optim_wrapper.clip_grad``: the norm that mmengine clips
            would be that of the process's own shards.
    """

    model_wrapper: dict | None

    def __init__(self, *, state_dict_cfg: str | dict = 'full', **kwargs: Any) -> None:
        super().__init__(state_dict_cfg=state_dict_cfg, **kwargs)
        if get_device() != 'cpu':
            return
        # There torch would free the very weights that it is about to save.
        for config in (self.state_dict_config, self.optim_state_dict_config):
            config.offload_to_cpu = False

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        if get_device() == 'cpu':
            wrapper = dict(self.model_wrapper or {})
            wrapper.setdefault('type', 'mmengine.MMFullyShardedDataParallel')
            self.model_wrapper = wrapper | dict(device_id=torch.device('cpu'))
        return super()._wrap_model(model)

    def build_optim_wrapper(self, optim_wrapper: Any, model: nn.Module | None = None) -> Any:
        """As mmengine's; ValueError for ``clip_grad``."""
        built = super().build_optim_wrapper(optim_wrapper, model)
        if getattr(built, 'clip_grad_kwargs', None):
            raise ValueError(
                f'optim_wrapper.clip_grad is {built.clip_grad_kwargs}, expected None: with '
                'mmmlc.FSDPStrategy each process would clip its shards by their own norm'
            )
        return built

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load what :meth:`save_checkpoint` has written as ``optimizer``."""
        optimizer = self.optim_wrapper.optimizer
        state = FullyShardedDataParallel.optim_state_dict_to_load(self.model, optimizer, state_dict)
        self.optim_wrapper.load_state_dict(state)
