"""Boxes of a prediction: their form, mmdet's readers, and the names of version 0.1."""

from __future__ import annotations

import importlib.util
import json
import sys
from unittest.mock import MagicMock

import numpy as np
import pytest
import supervision
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample

import mmmlc.engine
from mmmlc.aliases import FIELDS, AliasFinder, new_fields, set_old_fields
from mmmlc.dependencies import require_mmdet
from mmmlc.models.instances import set_instances

CLASSES = ('cat', 'dog')
META = dict(
    ori_shape=(100, 200), img_shape=(50, 100), scale_factor=(0.5, 0.5), img_id=1, img_path='a.jpg'
)


def make_sample(**meta) -> DataSample:
    sample = DataSample(metainfo=META | meta)
    boxes = torch.tensor([[5.0, 5, 20, 20], [30, 10, 60, 40]])
    contexts = torch.tensor([[0.0, 0, 30, 30], [20, 0, 80, 50]])
    labels, scores = torch.tensor([0, 1]), torch.tensor([0.9, 0.4])
    set_instances(
        sample, boxes, labels, scores, input_contexts=contexts, views=torch.tensor([4, 4])
    )
    return sample


def test_in_both_sets_of_pixels():
    found = make_sample().pred_instances
    assert isinstance(found, InstanceData) and len(found) == 2
    torch.testing.assert_close(found.bboxes, 2 * found.input_bboxes)
    torch.testing.assert_close(found.contexts, 2 * found.input_contexts)
    assert found.labels.tolist() == [0, 1] and found.views.tolist() == [4, 4]


def test_after_a_crop_in_those_of_the_input_alone():
    found = make_sample(ori_shape=(100, 150)).pred_instances
    assert 'bboxes' not in found and 'contexts' not in found
    assert found.input_bboxes.shape == found.input_contexts.shape == (2, 4)


def test_old_names_are_the_same_tensors():
    sample = make_sample()
    names = FIELDS['pred_instances']
    assert all(sample.get(old) is sample.pred_instances[new] for old, new in names.items())
    plain = DataSample().set_pred_score(torch.rand(2))
    set_old_fields(plain)
    assert 'pred_score' in plain and not {*FIELDS['pred_instances']} & {*plain.all_keys()}


def test_old_modules_for_threads_that_wait_for_an_import():
    """Python gives them the module that another thread is filling, which is not the new one."""
    spec = AliasFinder().find_spec('mmmlc.apis')
    module = importlib.util.module_from_spec(spec)
    assert module.__path__ == []  # a package: mmmlc.apis.launch can be looked for
    spec.loader.exec_module(module)
    assert sys.modules['mmmlc.apis'] is mmmlc.engine is not module
    assert module.build_runner is mmmlc.engine.build_runner


def test_new_names_for_samples_with_old_ones():
    sample = make_sample().to_dict()
    found = sample.pop('pred_instances')
    again = new_fields(sample)['pred_instances']
    assert again.keys() == {*FIELDS['pred_instances'].values()}
    assert all(again[name] is found[name] for name in again)
    assert new_fields(dict(pred_score=1)) == dict(pred_score=1)


@pytest.fixture
def mmdet(monkeypatch):
    try:
        require_mmdet()
    except ImportError as error:
        pytest.skip(f'mmdet does not run here: {error}'.split('\n')[0])
    # Two of its transforms import imgaug, which mmmlc's installation leaves out.
    for name in ('', '.augmenters', '.augmentables.lines', '.augmentables.segmaps'):
        monkeypatch.setitem(sys.modules, f'imgaug{name}', MagicMock())


def test_mmdets_metric_reads_them(mmdet, tmp_path):
    """One box is right, the other one is a quarter of its object."""
    from mmdet.evaluation.metrics import CocoMetric

    boxes = [[10, 10, 30, 30], [60, 20, 120, 120]]
    content = dict(
        images=[dict(id=1, file_name='a.jpg', height=100, width=200)],
        annotations=[
            dict(id=i, image_id=1, category_id=i, bbox=box, area=box[2] * box[3], iscrowd=0)
            for i, box in enumerate(boxes, 1)
        ],
        categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES, 1)],
    )
    (tmp_path / 'coco.json').write_text(json.dumps(content))
    metric = CocoMetric(ann_file=str(tmp_path / 'coco.json'), metric='bbox')
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dict(classes=CLASSES)
    evaluator.process([make_sample()])
    assert evaluator.evaluate(1)['coco/bbox_mAP_50'] == pytest.approx(0.5)


def test_mmdets_visualizer_draws_them(mmdet, tmp_path):
    from mmdet.visualization import DetLocalVisualizer

    visualizer = DetLocalVisualizer()
    visualizer.dataset_meta = dict(classes=CLASSES, palette=[(255, 0, 0), (0, 0, 255)])
    image = np.full((100, 200, 3), 90, np.uint8)
    visualizer.add_datasample('a', image, make_sample(), draw_gt=False, pred_score_thr=0.5)
    drawn = visualizer.get_image()
    assert (drawn[25, 9:12] != 90).any()  # the left side of the first box
    assert (drawn[50, 59:62] == 90).all()  # the second one's score is too low


def test_supervision_reads_them():
    found = supervision.Detections.from_mmdetection(make_sample())
    np.testing.assert_allclose(found.xyxy, [[10, 10, 40, 40], [60, 20, 120, 80]])
    np.testing.assert_allclose(found.confidence, [0.9, 0.4], rtol=1e-6)
    assert found.class_id.tolist() == [0, 1]
