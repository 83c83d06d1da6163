"""The metric of regressed boxes against a naive loop and a value derived by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sca_references as naive
import torch
from mmengine.evaluator import Evaluator

from mmmlc.systems.sca.patch_iou import PatchIoU


def sample_of(patches, regressed, boxes, **fields) -> dict:
    """Everything in pixels of an input of 200 x 100."""
    sample = dict(img_path='a.jpg', img_shape=(100, 200))
    rows = dict(input_proposals=patches, input_bboxes=regressed)
    sample['pred_patches'] = {
        k: torch.as_tensor(v, dtype=torch.float32).reshape(-1, 4) for k, v in rows.items()
    }
    true = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return sample | dict(boxes=true / torch.tensor([200, 100, 200, 100])) | fields


def evaluate(samples, **options) -> dict:
    evaluator = Evaluator(PatchIoU(**options))
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(len(samples))


def test_by_hand():
    # The first patch has 1/2 of the first box, the second 1/4 of it; both move onto it. The second
    # box has no patch. The last image adds a box that nothing is proposed for.
    boxes = [(0, 0, 20, 20), (100, 50, 120, 70)]
    patches, moved = [(0, 0, 10, 20), (0, 0, 10, 10)], [(0, 0, 20, 20)] * 2
    found = evaluate([sample_of(patches, moved, boxes), sample_of([], [], [(0, 0, 5, 5)])])
    assert found == dict(
        patch_IoU=pytest.approx(50),
        box_IoU=pytest.approx(100),
        best_patch_IoU=pytest.approx(50 / 3),
        best_box_IoU=pytest.approx(100 / 3),
        matched_patches=1,
    )
    low = evaluate([sample_of(patches, moved, boxes)], iou=0.25)
    assert low['matched_patches'] == 2 and low['patch_IoU'] == pytest.approx(37.5)


def test_against_a_loop():
    def some(count):
        corners = (np.random.rand(count, 2, 2) * [200, 100]).astype(np.float32)
        return np.sort(corners, axis=1).reshape(count, 4)

    boxes = some(4)
    patches = np.concatenate([boxes + np.random.randn(4, 4) * 3, some(20)])
    moved = patches + np.random.randn(24, 4)
    found = evaluate([sample_of(patches, moved, boxes)], iou=0.3)
    expected = naive.patch_ious(patches, moved, boxes, 0.3)
    values = [found[k] for k in ('patch_IoU', 'box_IoU', 'best_patch_IoU', 'best_box_IoU')]
    np.testing.assert_allclose(values, 100 * np.array(expected), rtol=1e-4)


def test_repeated_patches_count_once_and_crowds_never():
    patches = [(0, 0, 10, 20), (50, 50, 60, 60), (50, 50, 60, 60), (0, 0, 10, 20)]
    boxes = [(0, 0, 20, 20), (50, 50, 60, 60)]
    twice = evaluate([sample_of(patches, patches, boxes)])
    assert twice['matched_patches'] == 2 and twice['patch_IoU'] == pytest.approx(75)
    crowd = torch.tensor([False, True])
    alone = evaluate([sample_of(patches, patches, boxes, box_crowd=crowd)])
    assert alone['matched_patches'] == 1 and alone['best_patch_IoU'] == pytest.approx(50)


def test_wrong_input():
    with pytest.raises(ValueError, match='iou is 0, expected a number above 0'):
        PatchIoU(iou=0)
    good = sample_of([(0, 0, 1, 1)], [(0, 0, 1, 1)], [(0, 0, 1, 1)])
    for key in ('pred_patches', 'boxes'):
        with pytest.raises(ValueError, match=rf'a.jpg has no {key}: PatchIoU needs'):
            evaluate([{k: v for k, v in good.items() if k != key}])
    good['pred_patches']['input_bboxes'] = torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r'input_proposals of shape \(1, 4\) and input_bboxes of'):
        evaluate([good])
    del good['pred_patches']['input_bboxes']
    with pytest.raises(ValueError, match='a.jpg has no input_bboxes in pred_patches'):
        evaluate([good])
    with pytest.raises(ValueError, match='no box in 1 images'):
        evaluate([sample_of([(0, 0, 1, 1)], [(0, 0, 1, 1)], [])])
