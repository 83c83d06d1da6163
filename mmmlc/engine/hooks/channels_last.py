"""The channels-last memory format."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmlc.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep convolution weights, and so all feature maps, in the channels-last memory format.

    The numbers stay the same up to rounding; convolutional networks tend to get faster. A
    ResNet-18 of half width took about three quarters of the time on one CPU core.
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the model in place, before training or test."""
        runner.model.to(memory_format=torch.channels_last)
