"""The module ``mmcv._ext`` where mmcv was not compiled. Names and arguments are mmcv's.

Non-maximum suppression and average RoIAlign are torchvision's, on each device that it supports.
Every other public name is there, because mmcv asks for all at import, and fails when called.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchvision
from torch import Tensor

from mmmlc.dependencies import COMPILE_ADVICE

AVERAGE = 1  # mmcv's pool_mode; 0 is max


def get_compiler_version() -> str:
    """What mmcv reports as the compiler of its operators."""
    return f'none (operators of torchvision {torchvision.__version__})'


def get_compiling_cuda_version() -> str:
    """What mmcv reports as the CUDA of its operators; mmcv's word for none."""
    return 'not available'


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        boxes: Shape (N, 4), x1, y1, x2, y2 in pixels.
        scores: Shape (N,).
        iou_threshold: A box goes if it overlaps a better one by more than this.
        offset: 0; or 1 where a box from x1 to x2 is x2 - x1 + 1 wide.

    Returns:
        Indices of the kept boxes, best first, int64. Of equal scores the first is the better one;
        mmcv's compiled operator leaves that open.
    """
    dtype = torch.promote_types(torch.promote_types(boxes.dtype, scores.dtype), torch.float32)
    boxes = boxes.to(dtype)
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torchvision.ops.nms(boxes, scores.to(dtype), iou_threshold)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Average RoIAlign (He et al., Mask R-CNN, 2017), written into ``output``.

    Args:
        input: Maps of shape (N, C, H, W), in any memory format.
        rois: Shape (K, 5): index of the image, then x1, y1, x2, y2 in pixels of the image.
        output: Shape (K, C, aligned_height, aligned_width).
        argmax_y: Unused, as is ``argmax_x``: of max mode.
        aligned_height: Rows of the output; ``aligned_width``, its columns.
        spatial_scale: Pixels of the maps per pixel of the image.
        sampling_ratio: Samples per bin and direction; 0 takes as many as the bin is wide.
        pool_mode: 1, average; 0 (max) raises NotImplementedError.
        aligned: Whether pixel centres lie at half-integers.
    """
    _refuse_max(pool_mode, 'roi_align_forward')
    dtype = _working_type(input)
    size = (aligned_height, aligned_width)
    arguments = (spatial_scale, *size, sampling_ratio, aligned)
    pooled = torch.ops.torchvision.roi_align(input.to(dtype), rois.to(dtype), *arguments)
    output.copy_(pooled)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of :func:`roi_align_forward` for its maps, written into ``grad_input``.

    Args:
        grad_output: Shape (K, C, aligned_height, aligned_width).
        grad_input: Shape (N, C, H, W).

    The other arguments are those of the forward pass.
    """
    _refuse_max(pool_mode, 'roi_align_backward')
    dtype = _working_type(grad_output)
    size = (aligned_height, aligned_width)
    # The operator behind torchvision's autograd, which would need a forward pass first.
    gradient = torch.ops.torchvision._roi_align_backward(
        grad_output.to(dtype),
        rois.to(dtype),
        spatial_scale,
        *size,
        *grad_input.shape,
        sampling_ratio,
        aligned,
    )
    grad_input.copy_(gradient)


def _working_type(values: Tensor) -> torch.dtype:
    # As torchvision does under autocast. In half precision a coordinate of 600 is 0.5 off.
    return torch.promote_types(values.dtype, torch.float32)


def _refuse_max(pool_mode: int, name: str) -> None:
    if pool_mode != AVERAGE:
        raise NotImplementedError(_missing(f"{name} with pool_mode='max'"))


def _missing(operator: str) -> str:
    return (
        f"mmcv's operator {operator} needs compiled operators, which this mmcv has not. Without a "
        f'compiler mmmlc offers nms and average roi_align alone.\n{COMPILE_ADVICE}'
    )


def __getattr__(name: str) -> Callable:
    # Inspection (of private names, or by test runners that import this file) must find nothing.
    if name.startswith('_') or __name__ != 'mmcv._ext':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

    def missing(*args: object, **kwargs: object) -> None:
        raise NotImplementedError(_missing(name))

    missing.__name__ = missing.__qualname__ = name
    return missing
