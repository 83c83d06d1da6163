"""Norms that lose something when they are synchronised over processes."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn


class SynchronisedNormsHook(Hook):
    """Refuse a training whose converted norms would leave something out; added by ``build_runner``.

    timm's ``BatchNormAct2d`` holds the activation that follows it. The converters of torch and
    mmengine make a plain ``SyncBatchNorm`` of it, which keeps the activation and never calls it.

    Raises:
        ValueError: names the first such norm.
    """

    def before_train(self, runner: Runner) -> None:
        """Look at the model as it will be trained."""
        check_synchronised(runner.model)


def check_synchronised(model: nn.Module) -> None:
    """Raise ValueError if a synchronised norm of a model has parts that it does not call."""
    for name, module in model.named_modules():
        parts = [type(child).__name__ for child in module.children()]
        if type(module).__name__ == 'SyncBatchNorm' and parts:
            raise ValueError(
                f'sync_bn: {name} would leave out its {", ".join(parts)}, expected norms without '
                'activations inside. Models of timm have such ones: train them without --sync-bn '
                '(model.backbone.norm_eval=True needs no batch statistics), or take a backbone of '
                'mmpretrain'
            )
