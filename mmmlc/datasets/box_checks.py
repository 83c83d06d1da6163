"""Whether the boxes and proposals of a sample stay right along a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import mmcv.transforms as mmcv_t
import mmengine.dataset as mmengine_d
import mmpretrain.datasets.transforms as mmpretrain_t
import torchvision.transforms as torchvision_t
from mmpretrain.datasets.transforms.processing import TorchVisonTransformWrapper

from .transforms import LoadImage, PackInputs


def _types(module: object, names: str) -> set[type]:
    return {getattr(module, name) for name in names.split()}


# Exact types: a subclass may do anything. These keep every pixel at its fraction of the image.
_KEEPS_GEOMETRY = (
    {LoadImage, PackInputs}
    | _types(mmcv_t, 'LoadImageFromFile Resize Normalize RandomGrayscale ToTensor ImageToTensor')
    | _types(mmpretrain_t, 'PackInputs Collect ResizeEdge NumpyToPIL PILToNumpy ColorJitter')
    | _types(mmpretrain_t, 'Lighting RandomErasing Cutout GaussianBlur Sharpness Brightness')
    | _types(mmpretrain_t, 'Contrast ColorTransform AutoContrast Invert Equalize Solarize')
    | _types(mmpretrain_t, 'SolarizeAdd Posterize')
    | _types(torchvision_t, 'ColorJitter Grayscale RandomGrayscale GaussianBlur RandomInvert')
    | _types(torchvision_t, 'RandomPosterize RandomSolarize RandomAdjustSharpness RandomErasing')
    | _types(torchvision_t, 'RandomAutocontrast RandomEqualize Resize Normalize ToTensor')
    | _types(torchvision_t, 'PILToTensor ToPILImage ConvertImageDtype')
)
_WRAPPERS = {mmengine_d.Compose} | _types(
    mmcv_t, 'Compose RandomApply RandomChoice RandomResize RandomChoiceResize'
)
# These show the inner steps another dict than the sample, so that boxes cannot be moved in there.
_REMAPPERS = _types(mmcv_t, 'KeyMapper TransformBroadcaster') | _types(
    mmpretrain_t, 'MultiView ApplyToList'
)


def check_boxes_follow(transforms: Iterable, with_boxes: bool = True) -> None:
    """Raise ValueError naming the built transforms that may leave boxes or proposals behind.

    Safe are the steps known to keep every pixel at its fraction of the image, and those with the
    class attribute ``moves_boxes = True``. Wrappers (``RandomApply``, ``Compose``, ...) are looked
    into.

    A step with the class attribute ``loads_boxes = True`` adds boxes of the image as it is on disk
    (``mmmlc.LoadProposals``). No step that moves pixels may come before it, and all after it must
    be safe.

    Args:
        transforms: The pipeline's steps.
        with_boxes: Whether the samples have boxes from the start.
    """
    before, after, loader = _split_at_loader(list(transforms))
    if early := list(_unsafe(before, '', movable=False)) if loader else ():
        raise ValueError(
            f'pipeline: {", ".join(early)} may move or cut the image before {loader}, whose boxes '
            f'are those of the image on disk: put {loader} first'
        )
    if not (loader or with_boxes):
        return
    if lost := list(_unsafe([*before, *after], '', movable=True)):
        raise ValueError(
            f'pipeline: {", ".join(lost)} may move or cut the image without its boxes. Take a '
            'transform that moves results["boxes"] and results["proposals"] too (mmmlc.RandomFlip '
            'for RandomFlip, mmmlc.RandomCrop, mmmlc.CenterCrop, mmmlc.RandomResizedCrop), or set '
            'the class attribute moves_boxes = True on your own transform if they stay right '
            'after it, or load no boxes: dataset with_boxes=False'
            + (f' and no {loader}.' if loader else '.')
        )


def _split_at_loader(transforms: list) -> tuple[list, list, str]:
    """The steps before and after the last one that loads boxes, and its name, '' if none does."""
    rows = [i for i, step in enumerate(transforms) if getattr(step, 'loads_boxes', False)]
    if not rows:
        return transforms, [], ''
    before = [step for i, step in enumerate(transforms[: rows[-1]]) if i not in rows]
    return before, transforms[rows[-1] + 1 :], type(transforms[rows[-1]]).__name__


def _unsafe(transforms: Iterable, path: str, movable: bool) -> Iterator[str]:
    for transform in transforms:
        step = transform.t if isinstance(transform, TorchVisonTransformWrapper) else transform
        name = path + getattr(step, '__name__', type(step).__name__)
        kind = type(step)
        if kind in _WRAPPERS | _REMAPPERS:
            yield from _unsafe(_inner(step), f'{name} > ', movable and kind in _WRAPPERS)
        elif kind not in _KEEPS_GEOMETRY and not (movable and getattr(step, 'moves_boxes', False)):
            yield name


def _inner(wrapper: Any) -> Sequence:
    if hasattr(wrapper, 'resize'):  # RandomResize, RandomChoiceResize
        return [wrapper.resize]
    inner = wrapper.transforms
    return inner if isinstance(inner, list) else [inner]
