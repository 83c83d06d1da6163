"""Data samples with regions, and their evaluation in one of two processes.

Without mmpretrain, so that a new process is there soon.
"""

from __future__ import annotations

import json

import torch
from mmengine.evaluator import Evaluator

from mmmlc.evaluation.detection import WeakDetectionMetric

CLASSES = ('cat', 'dog', '[b]tag')


def evaluate(metric, samples, classes=CLASSES):
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = None if classes is None else {'classes': classes}
    for start in range(0, len(samples), 3):
        evaluator.process(samples[start : start + 3])
    return evaluator.evaluate(len(samples))


def sample_of(regions=(), boxes=(), **fields):
    """Regions (x1, y1, x2, y2, label, score) and boxes (..., label) in pixels of 200 x 100."""
    found = torch.tensor(regions, dtype=torch.float32).reshape(-1, 6)
    true = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 5)
    sample = dict(
        img_path='a.jpg',
        ori_shape=(100, 200),
        pred_instances=dict(bboxes=found[:, :4], labels=found[:, 4].long(), scores=found[:, 5]),
        boxes=true[:, :4] / torch.tensor([200, 100, 200, 100]),
        box_labels=true[:, 4].long(),
    )
    return sample | fields


def hand_samples():
    # Cat: true at 0.9, duplicate at 0.8, true (IoU exactly 0.5) at 0.7; 3 boxes, one not found.
    # Precision 1, 1/2, 2/3. Dog: false at 0.9 (no dog there), true at 0.6; 1 box.
    return [
        sample_of(
            [(10, 10, 50, 40, 0, 0.9), (10, 10, 50, 41, 0, 0.8), (100, 10, 133, 20, 1, 0.9)],
            [(10, 10, 50, 40, 0)],
        ),
        sample_of(
            [(3, 5, 36, 25, 0, 0.7), (100, 0, 200, 100, 1, 0.6)],
            [(3, 5, 36, 15, 0), (100, 0, 200, 100, 1)],
        ),
        sample_of([], [(0, 0, 7, 7, 0)]),
    ]


def in_process(rank, folder, shares):
    """Evaluate a share of the samples, as one of two processes."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    for style in ('voc', 'coco'):
        evaluator = Evaluator(WeakDetectionMetric(style=style, collect_dir=f'{folder}/{style}'))
        evaluator.dataset_meta = {'classes': CLASSES}
        for i in shares[rank]:
            evaluator.process([hand_samples()[i]])
        with open(f'{folder}/{style}_{rank}.json', 'w') as file:
            json.dump(evaluator.evaluate(3), file)
    torch.distributed.destroy_process_group()
