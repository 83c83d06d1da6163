"""mmcv's operators of torchvision: against NumPy, against compiled ones, inside mmengine and mmdet.

Where mmcv is compiled the same tests run: the compiled operators are hidden from a process, or
mmcv's functions are given those of torchvision.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from helpers.places import DATA

from mmmlc.dependencies import require_mmdet
from mmmlc.mmcv_ops import EXTENSION, OPERATORS, OperatorFinder, install_finder
from mmmlc.mmcv_ops import operators_are_compiled as compiled

mmcv_ops = importlib.import_module('mmcv.ops')  # after mmmlc, which makes that possible
SERVED = {
    'nms',
    'roi_align_forward',
    'roi_align_backward',
    'get_compiler_version',
    'get_compiling_cuda_version',
}
HIDE_COMPILED = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name == 'mmcv._ext' else find(name, *more)
import mmmlc
"""


@pytest.fixture(scope='module')
def served() -> ModuleType:
    """The module that the finder serves, beside the compiled one if there is one."""
    spec = importlib.util.spec_from_file_location(EXTENSION, OPERATORS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def use_served(served, monkeypatch):
    """Give mmcv's functions the operators of torchvision."""
    for name in ('nms', 'roi_align'):
        monkeypatch.setattr(sys.modules[f'mmcv.ops.{name}'], 'ext_module', served)


def in_process(root: Path, code: str) -> list[str]:
    """Lines that code prints in a process without compiled operators."""
    command = [sys.executable, '-W', 'ignore', '-c', HIDE_COMPILED + code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# ------------------------------------------------------------------ the finder


@pytest.fixture
def mmcv_folder(monkeypatch, tmp_path):
    """An empty folder in place of mmcv's, with no extension imported yet."""
    monkeypatch.setattr(sys.modules['mmcv'], '__path__', [str(tmp_path)])
    monkeypatch.delitem(sys.modules, EXTENSION)
    return tmp_path


def test_served_where_nothing_is_compiled(mmcv_folder):
    assert importlib.util.find_spec(EXTENSION).origin == str(OPERATORS)
    assert not compiled()
    assert importlib.util.find_spec('mmcv._another') is None


def test_compiled_extension_wins(mmcv_folder):
    (mmcv_folder / '_ext.py').touch()
    assert importlib.util.find_spec(EXTENSION).origin == str(mmcv_folder / '_ext.py')
    assert compiled()


def test_not_served_without_torchvision(mmcv_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    assert importlib.util.find_spec(EXTENSION) is None


def test_importing_mmmlc_installs_the_finder_once(root):
    install_finder()
    install_finder()
    assert sys.meta_path.count(OperatorFinder) == 1
    code = 'import sys, mmmlc; print(sys.meta_path[-1].__name__, "torch" in sys.modules)'
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ['OperatorFinder', 'False']


def test_mmengine_and_mmcv_take_it_for_an_extension(root):
    code = """
import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.utils.dl_utils import mmcv_full_available
model = revert_sync_batchnorm(torch.nn.Sequential(torch.nn.SyncBatchNorm(3)))
sgd = dict(type='SGD', lr=0.1, weight_decay=0.1)
config = dict(type='OptimWrapper', optimizer=sgd, paramwise_cfg=dict(norm_decay_mult=0.0))
optimizer = build_optim_wrapper(model, config)
from mmcv.utils import collect_env
print(mmcv_full_available(), type(model[0]).__name__, optimizer.param_groups[0]['weight_decay'])
print(collect_env()['MMCV Compiler'])
"""
    first, compiler = in_process(root, code)[-2:]
    assert first == 'True _BatchNormXd 0.0'
    assert compiler.startswith('none (operators of torchvision')


# ------------------------------------------------------------------ what is missing


def names_asked_for() -> set[str]:
    """Names that mmcv.ops asks its extension for, read from its source."""
    found = set()
    for path in Path(mmcv_ops.__file__).parent.glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, 'attr', '') == 'load_ext':
                found |= {name.value for name in node.args[1].elts}
    return found


def test_every_other_operator_says_what_to_do(served):
    names = names_asked_for()
    assert len(names) > 100 and names > SERVED
    for name in names - SERVED:
        with pytest.raises(NotImplementedError, match=f'{name} needs(.|\n)*install.sh --full'):
            getattr(served, name)(1, key=2)


def test_max_mode_says_what_to_do(use_served):
    maps, rois = torch.ones(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 3, 3]])
    with pytest.raises(NotImplementedError, match="roi_align_forward with pool_mode='max'"):
        mmcv_ops.roi_align(maps, rois, 2, 1.0, 0, 'max', True)


def test_inspection_finds_no_private_names(served):
    for name in ('__wrapped__', '__path__', '_private'):
        assert not hasattr(served, name)
    assert not hasattr(importlib.import_module('mmmlc.mmcv_ops.operators'), 'pytest_plugins')


# ------------------------------------------------------------------ non-maximum suppression


def nms_in_numpy(boxes, scores, threshold, offset):
    """Indices that greedy suppression keeps, best first."""

    def overlap(a, b):
        width = min(a[2], b[2]) - max(a[0], b[0]) + offset
        height = min(a[3], b[3]) - max(a[1], b[1]) + offset
        both = max(width, 0) * max(height, 0)
        areas = [(box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b)]
        return both / (sum(areas) - both)

    kept = []
    for index in np.argsort(-scores):
        if all(overlap(boxes[index], boxes[other]) <= threshold for other in kept):
            kept.append(index)
    return kept


def random_boxes(random, count: int, size: float) -> np.ndarray:
    """Shape (count, 4): some reach over the border of ``size`` x ``size`` pixels."""
    corners = random.uniform(-0.1 * size, size, (count, 2))
    return np.concatenate([corners, corners + random.uniform(0.1, 0.7 * size, (count, 2))], axis=1)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_nms_against_numpy(use_served, offset, dtype):
    random = np.random.default_rng(0)
    for threshold in (0.1, 0.3, 0.5, 0.7):
        shifts = np.tile(random.uniform(0, 3, (100, 2)), 2)
        boxes = np.repeat(random_boxes(random, 25, 50), 4, axis=0) + shifts
        scores = random.permutation(100) / 100
        expected = nms_in_numpy(boxes, scores, threshold, offset)
        assert 5 < len(expected) < 90
        boxes, scores = torch.tensor(boxes, dtype=dtype), torch.tensor(scores, dtype=dtype)
        found, kept = mmcv_ops.nms(boxes, scores, threshold, offset=offset)
        assert kept.dtype == torch.int64 and kept.tolist() == expected
        torch.testing.assert_close(found, torch.cat([boxes, scores[:, None]], dim=1)[expected])
        _, kept = mmcv_ops.nms(boxes, scores, threshold, offset, score_threshold=0.5, max_num=4)
        assert kept.tolist() == [index for index in expected if scores[index] > 0.5][:4]


def test_nms_offset_decides():
    """1 of 11 pixels apart, or touching: the boxes overlap only where the last pixel counts."""
    boxes = np.array([[0.0, 0, 10, 10], [10, 0, 20, 10]])
    assert nms_in_numpy(boxes, np.array([0.9, 0.8]), 0.05, 0) == [0, 1]
    assert nms_in_numpy(boxes, np.array([0.9, 0.8]), 0.04, 1) == [0]


def test_nms_of_nothing_and_of_classes(use_served):
    found, kept = mmcv_ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5, offset=1)
    assert found.shape == (0, 5) and kept.shape == (0,)
    boxes = torch.tensor([[0.0, 0, 10, 10]] * 3)
    config = dict(type='nms', iou_threshold=0.5)
    scores, classes = torch.tensor([0.7, 0.9, 0.8]), torch.tensor([0, 0, 1])
    _, kept = mmcv_ops.batched_nms(boxes, scores, classes, config)
    assert kept.tolist() == [1, 2]


def test_nms_of_half_precision_keeps_the_offset(use_served):
    """At 3,000 pixels the next number of float16 is 2 off: adding 1 there would be lost."""
    boxes = torch.tensor([[3000.0, 0, 3010, 10], [3010, 0, 3020, 10]]).half()
    _, kept = mmcv_ops.nms(boxes, torch.tensor([0.9, 0.8]).half(), 0.04, offset=1)
    assert kept.tolist() == [0]


# ------------------------------------------------------------------ RoIAlign


def interpolation(start, size, bins, samples, length) -> np.ndarray:
    """Weights (bins, length) of one axis: bilinear at evenly spaced samples, averaged per bin."""
    count = samples or int(np.ceil(size / bins))
    if count == 0:
        return np.zeros((bins, length))
    places = start + (np.arange(bins * count) + 0.5) * size / bins / count
    inside = (places >= -1) & (places <= length)  # up to a pixel outside the border's value counts
    distance = np.abs(np.clip(places, 0, length - 1)[:, None] - np.arange(length))
    weights = np.maximum(1 - distance, 0) * inside[:, None]
    return weights.reshape(bins, count, length).mean(axis=1)


def roi_align_in_numpy(maps, rois, gradient, scale, samples, aligned):
    """Pooled maps and the gradient for the maps, of the definition, in float64."""
    pooled, maps_gradient = np.zeros(gradient.shape), np.zeros(maps.shape)
    for index, (image, *box) in enumerate(rois):
        x, y, right, bottom = np.array(box) * scale - 0.5 * aligned
        width, height = right - x, bottom - y
        if not aligned:
            width, height = max(width, 1), max(height, 1)
        rows = interpolation(y, height, gradient.shape[2], samples, maps.shape[2])
        columns = interpolation(x, width, gradient.shape[3], samples, maps.shape[3])
        pooled[index] = rows @ maps[int(image)] @ columns.T
        maps_gradient[int(image)] += rows.T @ gradient[index] @ columns
    return pooled, maps_gradient


def random_case(random, scale):
    """Maps of three images, RoIs of all of them, and a gradient of the pooled maps."""
    images, channels, height, width = 3, 2, *random.integers(2, 20, 2)
    boxes = random_boxes(random, 12, max(height, width) / scale)
    rois = np.concatenate([random.permutation(12)[:, None] % images, boxes], axis=1)
    size = tuple(random.integers(1, 8, 2))
    maps = random.normal(size=(images, channels, height, width))
    return maps, rois, random.normal(size=(12, channels, *size))


def run_roi_align(maps, rois, gradient, *options, dtype=torch.float32, layout=None):
    """mmcv's RoIAlign and its gradient, float64."""
    layout = layout or torch.contiguous_format
    maps = torch.tensor(maps, dtype=dtype).to(memory_format=layout).requires_grad_()
    rois, gradient = torch.tensor(rois, dtype=dtype), torch.tensor(gradient, dtype=dtype)
    pooled = mmcv_ops.roi_align(maps, rois, gradient.shape[2:], *options)
    pooled.backward(gradient.to(memory_format=layout))
    assert pooled.dtype == maps.grad.dtype == dtype
    return pooled.detach().double().numpy(), maps.grad.double().numpy()


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('samples', [0, 1, 2])
def test_roi_align_against_numpy(use_served, samples, aligned, dtype, layout):
    random = np.random.default_rng(1)
    for scale in (1.0, 0.25, 1 / 16):
        maps, rois, gradient = random_case(random, scale)
        expected = roi_align_in_numpy(maps, rois, gradient, scale, samples, aligned)
        options = (scale, samples, 'avg', aligned)
        found = run_roi_align(maps, rois, gradient, *options, dtype=dtype, layout=layout)
        tolerance = 1e-5 if dtype == torch.float32 else 1e-12
        for values, wanted in zip(found, expected, strict=True):
            assert np.abs(wanted).max() > 0.1
            np.testing.assert_allclose(values, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(use_served, dtype):
    random = np.random.default_rng(2)
    case = [torch.tensor(part).to(dtype).double().numpy() for part in random_case(random, 0.25)]
    expected = roi_align_in_numpy(*case, 0.25, 2, True)
    found = run_roi_align(*case, 0.25, 2, 'avg', True, dtype=dtype)
    for values, wanted in zip(found, expected, strict=True):
        rounded = torch.tensor(wanted).to(dtype).double().numpy()
        np.testing.assert_allclose(values, rounded, rtol=torch.finfo(dtype).eps, atol=1e-6)


def test_roi_align_of_no_box(use_served):
    pooled, gradient = run_roi_align(
        np.ones((1, 2, 4, 4)), np.zeros((0, 5)), np.zeros((0, 2, 3, 3)), 1.0, 0, 'avg', True
    )
    assert pooled.shape == (0, 2, 3, 3) and not gradient.any()


# ------------------------------------------------------------------ compiled operators

# What mmcv 2.3.6, compiled, makes of random cases: `python tests/project/record_mmcv_ops.py`.
RECORDED = np.load(DATA / 'mmcv_operators.npz')


@pytest.mark.parametrize('case', range(int(RECORDED['roi_align_cases'])))
def test_roi_align_is_that_of_the_compiled_one(use_served, case):
    maps, rois, gradient, options, pooled, back = (
        RECORDED[f'roi_align_{case}_{name}']
        for name in ('maps', 'rois', 'gradient', 'options', 'pooled', 'back')
    )
    scale, samples, aligned = options.tolist()
    found = run_roi_align(maps, rois, gradient, scale, int(samples), 'avg', bool(aligned))
    for values, wanted in zip(found, (pooled, back), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize('case', range(int(RECORDED['nms_cases'])))
def test_nms_is_that_of_the_compiled_one(served, case):
    boxes, scores, options, kept = (
        RECORDED[f'nms_{case}_{name}'] for name in ('boxes', 'scores', 'options', 'kept')
    )
    threshold, offset = options.tolist()
    found = served.nms(
        torch.tensor(boxes), torch.tensor(scores), iou_threshold=threshold, offset=int(offset)
    )
    assert found.tolist() == kept.tolist()


# ------------------------------------------------------------------ mmdet

FASTER_RCNN = """
from pathlib import Path
import torch
from mmmlc.dependencies import require_mmdet
require_mmdet()
import mmdet.models
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
torch.manual_seed(0)
init_default_scope('mmdet')
name = '.mim/configs/faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
model = MODELS.build(Config.fromfile(Path(mmdet.__file__).parent / name).model)
size = dict(img_shape=(96, 128), ori_shape=(96, 128), scale_factor=(1, 1), pad_shape=(96, 128))
sample = DetDataSample(metainfo=size)
boxes = torch.tensor([[10.0, 10, 60, 70], [40, 20, 120, 90]])
sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([3, 7]))
losses = model.loss(torch.randn(1, 3, 96, 128), [sample])
losses = {name: torch.stack(v).sum() if isinstance(v, list) else v for name, v in losses.items()}
sum(value for name, value in losses.items() if 'loss' in name).backward()
gradient = model.backbone.layer4[2].conv3.weight.grad
(found,) = model.eval().predict(torch.randn(1, 3, 96, 128), [sample])
print(sorted(losses))
print(all(value.isfinite() for value in losses.values()), bool(gradient.abs().sum() > 0))
print(found.pred_instances.bboxes.shape[1])
"""


def test_faster_rcnn_trains_and_predicts(root):
    try:
        require_mmdet()
    except ImportError as error:
        pytest.skip(str(error).split('\n')[0])
    losses, checks, columns = in_process(root, FASTER_RCNN)[-3:]
    assert losses == "['acc', 'loss_bbox', 'loss_cls', 'loss_rpn_bbox', 'loss_rpn_cls']"
    assert (checks, columns) == ('True True', '4')


def test_mmdet_before_mmmlc_is_told(root):
    """Or SCA-DNN would fail in its first step."""
    code = """
import mmpretrain.models
import mmmlc
from mmmlc.dependencies import require_mmdet
try:
    require_mmdet()
except ImportError as error:
    print(error)
"""
    hidden = HIDE_COMPILED.replace('import mmmlc\n', '')
    command = [sys.executable, '-W', 'ignore', '-c', hidden + code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith('import mmmlc first')
