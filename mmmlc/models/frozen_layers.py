"""Layers of a timm model that a training leaves as they are."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmmlc.ops.checks import is_integer


def freeze_stages(model: Any, name: str, frozen_stages: int) -> list[str]:
    """Take the stem and the first stages of a timm model out of a training.

    The stages are the groups of layers that timm names for the model (``group_matcher``): the
    four of a ResNet, the blocks of a ViT. Nothing below the lowest trained layer needs a gradient,
    so none is computed.

    Args:
        model: Of timm.
        name: Of the model, for errors.
        frozen_stages: -1 is nothing, 0 the stem, n the stem and n stages.

    Returns:
        Names of the modules that have to stay in evaluation mode: what is frozen in full.

    Raises:
        ValueError: for another number, or one above the number of stages.
    """
    if frozen_stages == -1:
        return []
    from timm.models import group_parameters

    stage_of = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    last = max(stage_of.values())
    if not is_integer(frozen_stages) or not -1 <= frozen_stages <= last:
        raise ValueError(
            f'model.backbone.frozen_stages is {frozen_stages!r}, expected an integer from -1 to '
            f'{last}, the stages of {name}'
        )
    for key, parameter in model.named_parameters():
        if stage_of[key] <= frozen_stages:
            parameter.requires_grad_(False)
    return [key for key, module in model.named_modules() if _is_frozen(module)]


def _is_frozen(module: nn.Module) -> bool:
    parameters = [*module.parameters()]
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def batch_norms(model: nn.Module, wanted: bool = True) -> list[nn.Module]:
    """The batch norms of a model, synchronised ones included; none if they are not ``wanted``."""
    return [module for module in model.modules() if wanted and isinstance(module, _BatchNorm)]
