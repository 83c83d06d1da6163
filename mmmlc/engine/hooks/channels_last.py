"""The channels-last memory format."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.parallel import DataParallel, DistributedDataParallel

from mmmlc.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep convolution weights, and so all feature maps, in the channels-last memory format.

    The numbers stay the same up to rounding; convolutional networks tend to get faster. A
    ResNet-18 of half width took about three quarters of the time on one CPU core.

    A runner wraps its model before any hook sees it, and ``DistributedDataParallel`` (DDP) lays out
    its buffers for gradients by the strides that the weights have then. So the hook makes every
    DDP in the model lay them out anew; with the old ones most gradients would be wrong.

    Raises:
        ValueError: before a run, if the model is wrapped by something else than DDP (FSDP,
            DeepSpeed), or by a DDP that cannot be laid out anew.
    """

    # Before EMAHook copies the model: the copy gets the same format.
    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Convert the model in place, before training or test."""
        use_channels_last(runner.model)


def use_channels_last(model: nn.Module) -> None:
    """Convert a model in place, wrapped by DDP or not, as :class:`ChannelsLastHook` does."""
    _check_wrapper(model)
    parallel = _parallel_modules(model)
    for module in parallel:
        _check_parallel(module)
    before = _strides(model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch leaves it out
    if _strides(model) == before:
        return
    for module in parallel:
        # What unpickling does: a new reducer, for the strides of now; the old one takes its hooks
        # off the weights when it goes.
        module.__setstate__(module.__getstate__())


def _strides(model: nn.Module) -> list[tuple[int, ...]]:
    return [parameter.stride() for parameter in model.parameters()]


def _parallel_modules(model: nn.Module) -> list[DistributedDataParallel]:
    """The DDPs in a model; mmengine's MMSeparateDistributedDataParallel only looks like one."""
    found = [m for m in model.modules() if isinstance(m, DistributedDataParallel)]
    return [module for module in found if hasattr(module, 'process_group')]


def _check_wrapper(model: nn.Module) -> None:
    parts = model.modules() if isinstance(model, nn.Module) else [model]
    for part in parts:
        sharded = isinstance(part, FullyShardedDataParallel)
        known = isinstance(part, (DataParallel, DistributedDataParallel))
        if sharded or (is_model_wrapper(part) and not known):
            raise ValueError(
                f'mmmlc.ChannelsLastHook: the model is wrapped by {type(part).__name__}, which has '
                'laid out the weights already, expected DistributedDataParallel or no wrapper: '
                'take the hook out of custom_hooks'
            )


def _check_parallel(module: DistributedDataParallel) -> None:
    """ValueError for what DDP's own pickling does not bring back."""
    lost = {
        'a process group of its own': module.process_group != torch.distributed.group.WORLD,
        'mixed_precision': module.mixed_precision is not None,
        'delay_all_reduce_named_params': bool(module._delay_all_reduce_params),
        'a communication hook': bool(getattr(module, '_comm_hooks', ())),
    }
    if found := [name for name, there in lost.items() if there]:
        raise ValueError(
            f'mmmlc.ChannelsLastHook: the DistributedDataParallel has {" and ".join(found)}, and '
            'cannot be laid out anew: take the hook out of custom_hooks'
        )
