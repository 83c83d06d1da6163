"""``mmmlc.WeakDetectionMetric`` on data samples: hand-derived values, data sets, pycocotools."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging

import numpy as np
import pytest
import torch
from helpers.detection_samples import CLASSES, evaluate, hand_samples, in_process, sample_of
from helpers.examples import classifiers
from helpers.small_data import write_coco, write_proposals, write_voc
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmpretrain.structures import DataSample
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmmlc.evaluation.detection import WeakDetectionMetric
from mmmlc.models.instances import set_instances
from mmmlc.registry import DATASETS, METRICS, MODELS

HAND = {
    'det_mAP': 100 * ((1 + 2 / 3) / 3 + 1 / 2) / 2,
    'det_mAP_11point': 100 * ((4 + 3 * 2 / 3) / 11 + 1 / 2) / 2,
    'CorLoc': 100 * (2 / 3 + 1) / 2,
}


@pytest.fixture
def log():
    """Records of mmengine's current logger."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def test_hand_derived_percentages(log, tmp_path):
    metric = METRICS.build(dict(type='mmmlc.WeakDetectionMetric', out_dir=str(tmp_path / 'new')))
    assert evaluate(metric, hand_samples()) == pytest.approx(HAND)
    warnings = [r.getMessage() for r in log if r.levelno == logging.WARNING]
    assert warnings == ['left out of detection AP and CorLoc, without boxes: [b]tag']
    rows = [r.getMessage().splitlines() for r in log if 'per class' in r.getMessage()]
    cells = [line.replace(' ', '').split('│')[1:-1] for line in rows[0] if '│' in line]
    assert cells == [
        ['cat', '55.56', '54.55', '66.67', '3', '3'],
        ['dog', '50.00', '50.00', '100.00', '1', '1'],
        ['[b]tag', '-', '-', '-', '0', '0'],
    ]
    folder = tmp_path / 'new'
    summary = json.loads((folder / 'summary.json').read_text())
    assert summary == pytest.approx({**HAND, 'style': 'voc', 'iou': 0.5, 'images': 3})
    with open(folder / 'per_class.csv', newline='') as file:
        table = list(csv.DictReader(file))
    assert [*table[0]] == ['name', 'AP', 'AP_11point', 'CorLoc', 'positives', 'images']
    assert float(table[1]['CorLoc']) == 100
    assert (folder / 'per_class.png').read_bytes().startswith(b'\x89PNG')


def test_iou():
    # At 0.6 the cat of IoU 0.5 is lost: precision 1 at recall 1/3, CorLoc 1/3.
    result = evaluate(WeakDetectionMetric(iou=0.6), hand_samples())
    assert result['det_mAP'] == pytest.approx(100 * (1 / 3 + 1 / 2) / 2)
    assert result['CorLoc'] == pytest.approx(100 * (1 / 3 + 1) / 2)


def test_difficult_and_crowd():
    samples = hand_samples()
    # The dog is difficult: no dog counts. The cat that is not found is a crowd: 2 cats.
    samples[1]['box_difficult'] = torch.tensor([False, True])
    samples[2]['box_crowd'] = torch.tensor([True])
    result = evaluate(WeakDetectionMetric(), samples)
    assert result['det_mAP'] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert result['CorLoc'] == pytest.approx(100)


def test_without_region_scores_the_class_score_counts():
    samples = hand_samples()
    for sample in samples:
        score = torch.tensor([0.2, 0.9, 0.4], dtype=torch.bfloat16)
        del sample['pred_instances']['scores']
        sample['pred_score'] = score
    result = evaluate(WeakDetectionMetric(), samples)
    for sample in samples:
        found = sample['pred_instances']
        found['scores'] = sample['pred_score'].float()[found['labels']]
    expected = evaluate(WeakDetectionMetric(), samples)
    # All cats are found at 0.2, one decision: precision 2/3 at recall 2/3.
    assert result == expected
    assert result['det_mAP'] == pytest.approx(100 * (4 / 9 + 1 / 2) / 2)


def test_names_are_numbers_without_meta_information(log):
    assert evaluate(WeakDetectionMetric(), hand_samples(), None) == pytest.approx(HAND)
    assert not [r for r in log if r.levelno == logging.WARNING]  # 2 classes occur


PIPELINE = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(96, 64)),
    dict(type='mmmlc.RandomFlip', prob=1.0, direction='diagonal'),
    dict(type='mmmlc.PackInputs'),
]
CROP = dict(type='mmmlc.CenterCrop', crop_size=(40, 30))


def oracle(sample, original=True):
    """Regions as a perfect model finds them: the true boxes in pixels of the input."""
    height, width = sample.img_shape
    boxes = sample.boxes * torch.tensor([width, height, width, height])
    set_instances(sample, boxes, sample.box_labels, torch.rand(len(boxes)))
    if not original:
        sample.pred_instances.pop('bboxes', None)
    return sample


@pytest.mark.parametrize('kind', ['mmmlc.CocoMultiLabel', 'mmmlc.VOC'])
@pytest.mark.parametrize('crop', [False, True])
@pytest.mark.parametrize('original', [False, True])
def test_true_boxes_of_a_data_set_are_found(kind, crop, original, tmp_path):
    config = dict(type=kind, data_root=str(tmp_path), test_mode=True)
    config['pipeline'] = [*PIPELINE[:1], CROP, *PIPELINE[1:]] if crop else PIPELINE
    if kind == 'mmmlc.VOC':
        config['split'] = 'test'
        write_voc(tmp_path, Config(config))
    else:
        config |= dict(ann_file='coco.json', data_prefix=dict(img_path=''), classes=CLASSES[:2])
        write_coco(tmp_path, Config(config), CLASSES)
    dataset = DATASETS.build(config)
    samples = [oracle(dataset[i]['data_samples'], original) for i in range(len(dataset))]
    assert all(('bboxes' in s.pred_instances) == (original and not crop) for s in samples)
    result = evaluate(WeakDetectionMetric(), samples, dataset.metainfo['classes'])
    assert result == pytest.approx(dict.fromkeys(HAND, 100))
    shifted = 'bboxes' if original and not crop else 'input_bboxes'
    for sample in samples:
        sample.pred_instances[shifted] += 15
    result = evaluate(WeakDetectionMetric(), samples, dataset.metainfo['classes'])
    assert result == dict.fromkeys(HAND, 0)


@pytest.mark.parametrize('name', [name for name, found in classifiers().items() if found.regions])
def test_models(name, tmp_path):
    """What the models predict has the fields that the metric reads."""
    model = MODELS.build(classifiers()[name].config).eval()
    names = ['000000.png', '000001.png']
    file = write_proposals(tmp_path / 'a.prop', tmp_path.name, names)
    config = dict(
        type='mmmlc.CocoMultiLabel',
        ann_file='coco.json',
        data_root=str(tmp_path),
        data_prefix=dict(img_path=''),
        pipeline=[PIPELINE[0], dict(type='mmmlc.LoadProposals', file=str(file)), *PIPELINE[1:]],
        test_mode=True,
    )
    write_coco(tmp_path, Config(config), CLASSES)
    dataset = DATASETS.build(config)
    batch = [dataset[i] for i in range(2)]
    data = {key: [item[key] for item in batch] for key in ('inputs', 'data_samples')}
    with torch.no_grad():
        samples = model.test_step(data)
    result = evaluate(WeakDetectionMetric(), samples)
    assert result.keys() == HAND.keys()
    assert all(0 <= value <= 100 for value in result.values())


def random_coco(path, images=10, seed=0):
    """A COCO file of images 200 x 100 with overlapping boxes and crowds, and detections."""
    rng = np.random.default_rng(seed)
    records = [dict(id=i + 5, file_name=f'{i}.png', height=100, width=200) for i in range(images)]
    annotations, detections = [], []
    for i in range(40):
        corner, sides = rng.integers(0, 60, 2), rng.integers(10, 40, 2)
        box = np.round(np.concatenate((corner, sides)) + rng.random(4), 2)
        ids = dict(image_id=5 + i % images, category_id=1 + int(rng.integers(3)))
        crowd = int(rng.random() < 0.15)
        annotations.append(
            dict(id=i + 1, bbox=box.tolist(), area=box[2:].prod(), iscrowd=crowd, **ids)
        )
        for _ in range(4):
            moved = np.concatenate((box[:2] + rng.normal(0, 3, 2), box[2:] * rng.uniform(0.8, 1.2)))
            detections.append(dict(bbox=moved.tolist(), score=float(rng.random()), **ids))
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    content = dict(images=records, annotations=annotations, categories=categories)
    path.write_text(json.dumps(content))
    return detections


def test_coco_style_is_that_of_pycocotools(tmp_path):
    path = tmp_path / 'coco.json'
    detections = random_coco(path)
    dataset = DATASETS.build(
        dict(type='mmmlc.CocoMultiLabel', ann_file=str(path), data_prefix=dict(img_path=''))
    )
    samples = []
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        found = [d for d in detections if d['image_id'] == info['img_id']]
        boxes = np.array([d['bbox'] for d in found])
        boxes[:, 2:] += boxes[:, :2]
        samples.append(
            dict(
                pred_instances=dict(
                    bboxes=boxes,
                    labels=[d['category_id'] - 1 for d in found],
                    scores=np.array([d['score'] for d in found]),
                ),
                ori_shape=(100, 200),
                **{key: info[key] for key in ('boxes', 'box_labels', 'box_crowd')},
            )
        )
    result = evaluate(WeakDetectionMetric(style='coco'), samples)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        evaluation = COCOeval(truth, truth.loadRes(detections), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    expected = dict(zip(('det_AP', 'det_AP50', 'det_AP75'), evaluation.stats, strict=False))
    corloc = result.pop('CorLoc')
    assert result == pytest.approx({key: 100 * value for key, value in expected.items()}, abs=1e-9)
    assert 5 < result['det_AP'] < result['det_AP50'] < 95
    voc = evaluate(WeakDetectionMetric(), samples)
    assert voc['CorLoc'] == corloc
    # Another rule for duplicates and another interpolation: near, not equal.
    assert voc['det_mAP'] == pytest.approx(result['det_AP50'], abs=8)


def test_coco_style_without_detections_and_boxes(tmp_path):
    samples = [sample_of([], [(0, 0, 7, 7, 0)])]
    expected = dict.fromkeys(('det_AP', 'det_AP50', 'det_AP75', 'CorLoc'), 0)
    metric = WeakDetectionMetric(style='coco', out_dir=str(tmp_path))
    assert evaluate(metric, samples) == expected
    row = json.loads((tmp_path / 'per_class.json').read_text())[1]
    assert row == {**dict.fromkeys(('AP', 'AP50', 'AP75', 'CorLoc')), **row}
    assert row['AP75'] is None and row['positives'] == 0


def change(**fields):
    return [{**hand_samples()[1], **fields}]


def change_found(**values):
    found = hand_samples()[1]['pred_instances'] | values
    return change(pred_instances={k: v for k, v in found.items() if v is not None})


@pytest.mark.parametrize(
    'samples, match',
    [
        (change(pred_instances=None), "a.jpg has no 'pred_instances': .*a model that finds"),
        (change_found(bboxes=None), "a.jpg has no 'img_shape'"),
        (
            change(ori_shape=None, img_shape=(9, 9)),
            "a.jpg has no 'input_bboxes' in pred_instances.* it has .'bboxes', 'labels', 'scores'",
        ),
        (change(boxes=None), "a.jpg has no 'boxes': .*with_boxes=True"),
        (change_found(labels=None), "a.jpg has no 'labels' in pred_instances"),
        (change(ori_shape=None), "a.jpg has no 'img_shape'"),
        (change_found(scores=None), "a.jpg has no 'pred_score': .*needs 'pred_inst.*s.scores', or"),
        (
            [change_found(scores=None)[0] | dict(pred_score=torch.rand(1))],
            "a.jpg has 1 values in 'pred_score', but class 1",
        ),
        (change_found(labels=torch.tensor([0, 3])), r"instances.labels' of a.jpg is \[0, 3\]"),
        (change(box_labels=torch.tensor([-1, 0])), r"'box_labels' of a.jpg is .* from 0 to 2"),
        (change(boxes=torch.rand(3, 4)), r"'boxes' of a.jpg has shape \(3, 4\), .* \(2, 4\)"),
        (change(box_crowd=torch.ones(1)), r"'box_crowd' of a.jpg has shape \(1,\)"),
        (
            change_found(scores=torch.tensor([0.5, torch.nan])),
            "'pred_instances.scores' of a.jpg has .*finite numbers",
        ),
    ],
)
def test_wrong_samples(samples, match):
    samples = [{k: v for k, v in sample.items() if v is not None} for sample in samples]
    with pytest.raises(ValueError, match=match):
        evaluate(WeakDetectionMetric(), samples)


def test_wrong_settings_and_data_sets():
    with pytest.raises(ValueError, match="style is 'COCO', expected one of 'voc', 'coco'"):
        WeakDetectionMetric(style='COCO')
    with pytest.raises(ValueError, match='iou is 50, expected a number above 0'):
        WeakDetectionMetric(iou=50)
    with pytest.raises(ValueError, match='got no samples'):
        WeakDetectionMetric().evaluate(0)
    for samples in ([sample_of()], [sample_of([], [(0, 0, 9, 9, 0)], box_crowd=[True])]):
        with pytest.raises(ValueError, match='no box to find in 1 images'):
            evaluate(WeakDetectionMetric(), samples)


def test_plain_classifier_is_told():
    sample = DataSample(metainfo=dict(img_path='b.jpg', img_shape=(9, 9)))
    sample.set_pred_score(torch.rand(3))
    with pytest.raises(ValueError, match="b.jpg has no 'pred_instances'.*needs a model"):
        evaluate(WeakDetectionMetric(), [sample])


def test_samples_with_the_old_names():
    """As models of version 0.1 wrote them, and as somebody's own model may."""
    samples = hand_samples()
    for sample in samples:
        found = sample.pop('pred_instances')
        sample['regions_original'] = found['bboxes']
        sample.update(region_labels=found['labels'], region_scores=found['scores'])
    assert evaluate(WeakDetectionMetric(), samples) == pytest.approx(HAND)


def test_two_processes_are_one(tmp_path):
    # mmengine's sampler gives both ranks 2 of the 3 samples, the first one twice.
    torch.multiprocessing.spawn(in_process, (str(tmp_path), ([0, 2], [1, 0])), nprocs=2)
    for style in ('voc', 'coco'):
        expected = evaluate(WeakDetectionMetric(style=style), hand_samples())
        for rank in range(2):
            assert json.loads((tmp_path / f'{style}_{rank}.json').read_text()) == expected
