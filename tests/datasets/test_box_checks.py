from __future__ import annotations

import mmpretrain.datasets  # noqa: F401  registers its transforms
import pytest
from mmengine.registry import TRANSFORMS

from mmmlc.datasets.box_checks import check_boxes_follow
from mmmlc.datasets.transforms import RandomFlip

FLIP = {'type': 'mmmlc.RandomFlip', 'prob': 0.5}
MMCV_FLIP = {'type': 'mmcv.RandomFlip', 'prob': 0.5}
JITTER = {'type': 'mmpretrain.ColorJitter', 'brightness': 0.3}
CROP = {'type': 'mmpretrain.RandomResizedCrop', 'scale': 8}


def _check(*steps) -> None:
    check_boxes_follow([TRANSFORMS.build(s) if isinstance(s, dict) else s for s in steps])


class _Tilt:
    def __call__(self, results):
        return results


class _TiltWithBoxes(_Tilt):
    moves_boxes = True


class _UserFlip(RandomFlip):
    pass


@pytest.mark.parametrize(
    'step',
    [
        FLIP,
        JITTER,
        {'type': 'mmmlc.LoadImage'},
        {'type': 'mmcv.LoadImageFromFile'},
        {'type': 'mmpretrain.Resize', 'scale': (8, 8), 'backend': 'pillow'},
        {'type': 'mmpretrain.Resize', 'scale': (8, 16), 'keep_ratio': True},
        {'type': 'mmpretrain.ResizeEdge', 'scale': 8},
        {'type': 'mmcv.RandomChoiceResize', 'scales': [(8, 8), (16, 16)]},
        {'type': 'mmpretrain.torchvision/ColorJitter', 'brightness': 0.3},
        {'type': 'mmcv.RandomApply', 'transforms': [FLIP, JITTER]},
        {'type': 'mmcv.RandomChoice', 'transforms': [[FLIP], [JITTER]]},
        {'type': 'mmcv.KeyMapper', 'mapping': {'img': 'img'}, 'transforms': [JITTER]},
        {'type': 'mmmlc.PackInputs'},
        _TiltWithBoxes(),
        _UserFlip(prob=0.5),
    ],
    # No addresses: processes that share the tests have to agree on their names.
    ids=lambda step: str(step) if isinstance(step, dict) else type(step).__name__,
)
def test_accepts(step):
    _check(step)


@pytest.mark.parametrize(
    ('step', 'name'),
    [
        (MMCV_FLIP, 'RandomFlip'),
        (CROP, 'RandomResizedCrop'),
        ({'type': 'mmpretrain.CenterCrop', 'crop_size': 8}, 'CenterCrop'),
        ({'type': 'mmcv.Pad', 'size': (8, 8)}, 'Pad'),
        ({'type': 'mmpretrain.Rotate', 'angle': 30.0}, 'Rotate'),
        ({'type': 'mmpretrain.AutoAugment', 'policies': [[JITTER]]}, 'AutoAugment'),
        ({'type': 'mmpretrain.torchvision/RandomCrop', 'size': 8}, 'RandomCrop'),
        ({'type': 'mmcv.RandomApply', 'transforms': [CROP]}, 'RandomApply > Compose > RandomRes'),
        ({'type': 'mmcv.RandomChoice', 'transforms': [[JITTER], [MMCV_FLIP]]}, 'RandomChoice > .*'),
        # Moves the image, but does not see the boxes in there.
        ({'type': 'mmcv.KeyMapper', 'mapping': {'img': 'img'}, 'transforms': [FLIP]}, 'KeyMapper'),
        ({'type': 'mmpretrain.MultiView', 'num_views': 2, 'transforms': [[FLIP]]}, 'MultiView'),
        (_Tilt(), '_Tilt'),
        (lambda results: results, '<lambda>'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_refuses_and_names(step, name):
    with pytest.raises(ValueError, match=f'pipeline: {name}.*mmmlc.RandomFlip.*with_boxes=False'):
        _check(JITTER, step)
    with pytest.raises(ValueError, match=name):
        _check({'type': 'mmcv.RandomApply', 'transforms': [step]})


def test_names_all_of_them():
    with pytest.raises(ValueError, match='RandomResizedCrop, RandomFlip may'):
        _check(CROP, JITTER, MMCV_FLIP)
