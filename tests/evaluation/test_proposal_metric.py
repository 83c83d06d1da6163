"""``mmmlc.ProposalMetric`` against the detection metric and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.detection_samples import CLASSES, evaluate
from torchvision.ops import box_iou

from mmmlc.evaluation.detection import WeakDetectionMetric
from mmmlc.evaluation.proposal_recall import ProposalMetric
from mmmlc.registry import METRICS

SIZE = torch.tensor([200.0, 100.0, 200.0, 100.0])


def boxes_at(count: int, generator: torch.Generator) -> torch.Tensor:
    corners = torch.rand(count, 2, 2, generator=generator).sort(dim=1).values
    return corners.flatten(1)


def random_samples(images: int = 40) -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    samples = []
    for i in range(images):
        boxes = boxes_at(int(torch.randint(1, 5, (1,), generator=generator)), generator)
        noise = 0.1 * torch.rand(8, 4, generator=generator)
        proposals = torch.cat([boxes, boxes_at(8 - len(boxes), generator)]) + noise
        proposals = proposals[torch.randperm(8, generator=generator)]
        flags = torch.rand(2, len(boxes), generator=generator) < 0.2
        sample = dict(
            img_path=f'{i}.jpg',
            img_shape=(100, 200),
            boxes=boxes,
            box_labels=torch.randint(2, (len(boxes),), generator=generator),
            box_difficult=flags[0],
            box_crowd=flags[1],
            proposals=proposals,
            proposal_valid=torch.arange(8) < 8 - i % 9,  # at least once none
        )
        samples.append(sample)
    return samples


def with_regions(sample: dict, chosen: dict[int, torch.Tensor]) -> dict:
    """The sample with one region (4,) for each of some classes."""
    regions = torch.stack([*chosen.values()]) * SIZE if chosen else torch.zeros(0, 4)
    found = dict(input_bboxes=regions, labels=list(chosen), scores=[0.5] * len(chosen))
    return sample | dict(pred_instances=found)


def best_choice(sample: dict) -> dict[int, torch.Tensor]:
    """For each class the proposal that overlaps one of its boxes most."""
    proposals = sample['proposals'][sample['proposal_valid']]
    chosen = {}
    for label in sample['box_labels'].unique().tolist() if len(proposals) else []:
        boxes = sample['boxes'][(sample['box_labels'] == label) & ~sample['box_crowd']]
        if len(boxes):
            overlap = box_iou(boxes.double() * SIZE, proposals.double() * SIZE)
            chosen[label] = proposals[overlap.amax(0).argmax()]
    return chosen


def test_against_the_detection_metric_and_a_loop():
    samples = random_samples()
    result = evaluate(METRICS.build(dict(type='mmmlc.ProposalMetric')), samples)
    first, best, found, count = [], [], 0, 0
    for sample in samples:
        proposals = sample['proposals'][sample['proposal_valid']]
        classes = sample['box_labels'].unique().tolist() if len(proposals) else []
        first.append(with_regions(sample, {label: proposals[0] for label in classes}))
        best.append(with_regions(sample, best_choice(sample)))
        for box, difficult, crowd in zip(
            sample['boxes'], sample['box_difficult'], sample['box_crowd'], strict=True
        ):
            if difficult or crowd:
                continue
            count += 1
            found += any(float(box_iou(box[None] * SIZE, p[None] * SIZE)) >= 0.5 for p in proposals)
    assert result['proposal_recall'] == pytest.approx(100 * found / count)
    for key, regions in dict(proposal_CorLoc=first, proposal_CorLoc_limit=best).items():
        assert result[key] == pytest.approx(evaluate(WeakDetectionMetric(), regions)['CorLoc'])
    assert 0 < result['proposal_CorLoc'] < result['proposal_CorLoc_limit'] < 100


def test_iou():
    sample = random_samples(1)[0]
    values = [evaluate(ProposalMetric(iou), [sample])['proposal_recall'] for iou in (0.05, 1.0)]
    assert values == [100, 0]


def test_errors():
    with pytest.raises(ValueError, match='iou is 0, expected'):
        ProposalMetric(iou=0)
    sample = random_samples(1)[0]
    del sample['proposals']
    with pytest.raises(ValueError, match='0.jpg has no proposals: ProposalMetric needs'):
        evaluate(ProposalMetric(), [sample], CLASSES)
    sample = random_samples(1)[0]
    sample['box_difficult'] = np.ones(len(sample['boxes']), bool)
    with pytest.raises(ValueError, match='no box to find in 1 images'):
        evaluate(ProposalMetric(), [sample])
