"""Mixed images whose labels are not all known: against loops over images and classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.small_models import PLAIN, PREPROCESSOR, C
from mmpretrain.registry import BATCH_AUGMENTS, MODELS
from mmpretrain.structures import DataSample

from mmmlc.datasets.transforms import PackInputs
from mmmlc.models.base import MultiLabelClassifier
from mmmlc.models.predictions import stack_targets
from mmmlc.registry import MODELS as OURS

AUGMENTS = {
    'Mixup': dict(type='mmpretrain.Mixup', alpha=0.8),
    'CutMix': dict(type='mmpretrain.CutMix', alpha=1.0),
    'ResizeMix': dict(type='mmpretrain.ResizeMix', alpha=1.0),
}
LABELS = [[0], [1, 2], [], [0, 2]]
IGNORED = [[1], [], [0, 1], []]


def _samples(ignored=IGNORED) -> list[DataSample]:
    samples = []
    for label, unknown in zip(LABELS, ignored, strict=True):
        sample = DataSample().set_gt_label(torch.tensor(label, dtype=torch.long))
        sample.set_field(torch.tensor(unknown, dtype=torch.long), 'gt_label_ignore')
        samples.append(sample)
    return samples


def _preprocessor(augments, **options):
    config = dict(type='mmmlc.MultiLabelDataPreprocessor', num_classes=C)
    return OURS.build(config | dict(batch_augments=dict(augments=augments)) | options)


class _Recorded:
    """An augmentation that says which images it mixed: by what it makes of the unit matrix."""

    def __init__(self, augment):
        self.augment = BATCH_AUGMENTS.build(augment)

    def __call__(self, images, scores):
        images, columns = self.augment(images, torch.cat([scores, torch.eye(len(scores))], 1))
        self.shares = columns[:, -len(scores) :]
        return images, columns[:, : -len(scores)]


def _expected(shares):
    """Loops: the mean of the labels, and known where every image with a share knows."""
    targets, known = np.zeros((4, C)), np.ones((4, C), bool)
    for i in range(4):
        for j in range(4):
            for c in range(C):
                share = shares[i, j].item()
                targets[i, c] += share * (c in LABELS[j])
                known[i, c] &= share == 0 or c not in IGNORED[j]
    return targets, known


@pytest.mark.parametrize('kind', AUGMENTS)
@pytest.mark.parametrize('seed', range(5))
def test_masks_are_mixed_as_the_images_are(kind, seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    augment = _Recorded(AUGMENTS[kind])
    data = dict(inputs=torch.rand(4, 3, 16, 16), data_samples=_samples())
    data = _preprocessor(augment)(data, training=True)
    targets, valid = stack_targets(data['data_samples'], C)
    expected, known = _expected(augment.shares)
    np.testing.assert_allclose(targets, expected, atol=1e-6)
    np.testing.assert_array_equal(valid, known)


@pytest.mark.parametrize('share', [0.0, 1e-30, 0.3, 1.0])
def test_a_partner_without_a_share_takes_no_label_away(share):
    def swap(images, scores):
        return images, (1 - share) * scores + share * scores.flip(0)

    data = dict(inputs=torch.rand(4, 3, 8, 8), data_samples=_samples())
    _, valid = stack_targets(_preprocessor(swap)(data, True)['data_samples'], C)
    known = np.array([[c not in ignored for c in range(C)] for ignored in IGNORED])
    own = known if share < 1 else np.ones_like(known)
    partner = known[::-1] if share > 0 else np.ones_like(known)
    np.testing.assert_array_equal(valid, own & partner)


def test_images_and_scores_are_mmpretrains():
    results = []
    for kind in ('mmpretrain.ClsDataPreprocessor', 'mmmlc.MultiLabelDataPreprocessor'):
        torch.manual_seed(3)
        np.random.seed(3)
        config = dict(type=kind, num_classes=C, mean=[1, 2, 3], std=[4, 5, 6], to_rgb=True)
        augments = dict(augments=list(AUGMENTS.values()), probs=[0.5, 0.2, 0.1])
        model = MODELS.build(config | dict(batch_augments=augments))
        found = []
        for _ in range(8):
            data = dict(inputs=torch.rand(4, 3, 16, 16), data_samples=_samples([[]] * 4))
            data = model(data, training=True)
            found += [data['inputs'], stack_targets(data['data_samples'], C)[0]]
        results.append(found)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_no_mixing_in_a_test_and_without_augmentations():
    for options, training in ((dict(), False), (dict(batch_augments=None), True)):
        data = dict(inputs=torch.rand(4, 3, 8, 8), data_samples=_samples())
        found = _preprocessor([AUGMENTS['Mixup']], **options)(data, training)['data_samples']
        targets, valid = stack_targets(found, C)
        np.testing.assert_array_equal(targets, [[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]])
        np.testing.assert_array_equal(valid, [[1, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 1]])


def test_losses_do_not_see_unknown_labels():
    """What an unknown label is written as has no influence on the loss of a mixed batch."""
    config = {key: value for key, value in PLAIN.items() if key != 'type'}
    model = MultiLabelClassifier(**config, train_cfg=dict(augments=AUGMENTS['Mixup']))
    assert type(model.data_preprocessor).__name__ == 'MultiLabelDataPreprocessor'
    images, losses = torch.rand(4, 3, 64, 64), []
    for guess in (0, 1):
        torch.manual_seed(1)
        np.random.seed(1)
        samples = _samples()
        for sample in samples:
            scores = torch.zeros(C)
            scores[sample.gt_label] = 1
            scores[sample.gt_label_ignore] = guess
            sample.set_gt_score(scores)
        data = model.data_preprocessor(dict(inputs=images, data_samples=samples), True)
        losses.append(model.eval()(**data, mode='loss')['loss'].item())
    assert losses[0] == losses[1] > 0


def test_mmpretrains_preprocessor_is_refused_where_it_loses_labels():
    augments = dict(batch_augments=dict(augments=[AUGMENTS['Mixup']]), num_classes=C)
    plain = MODELS.build(PREPROCESSOR | augments)
    data = plain(dict(inputs=torch.rand(4, 3, 8, 8), data_samples=_samples()), True)
    with pytest.raises(ValueError, match=r"type='mmmlc.MultiLabelDataPreprocessor'"):
        stack_targets(data['data_samples'], C)
    data = plain(dict(inputs=torch.rand(4, 3, 8, 8), data_samples=_samples([[]] * 4)), True)
    assert stack_targets(data['data_samples'], C)[1] is None  # nothing is lost


def test_soft_labels_with_a_mask_are_taken():
    samples = [DataSample().set_gt_score(torch.tensor([0.3, 0.5, 1])) for _ in range(2)]
    samples[0].set_field(torch.tensor([1]), 'gt_label_ignore')
    targets, valid = stack_targets(samples, C)
    assert targets[0].tolist() == pytest.approx([0.3, 0.5, 1])
    assert valid.tolist() == [[True, False, True], [True] * 3]


def test_a_batch_without_labels():
    data = dict(inputs=torch.rand(1, 3, 8, 8), data_samples=[DataSample(img_path='a.jpg')])
    with pytest.raises(ValueError, match='a.jpg has no gt_label or gt_score'):
        _preprocessor([AUGMENTS['Mixup']])(data, True)


@pytest.mark.parametrize('wrong', [-0.5, 1.5, np.nan, np.inf])
def test_soft_labels_out_of_range(wrong):
    results = dict(img=np.zeros((4, 4, 3), np.uint8), img_path='a.jpg')
    with pytest.raises(ValueError, match=rf'a.jpg: gt_score\[1\] is {wrong}, expected a number in'):
        PackInputs().transform(results | dict(gt_score=np.array([0.5, wrong, 1])))
    sample = PackInputs().transform(results | dict(gt_score=np.array([0.5, 0, 1])))
    assert sample['data_samples'].gt_score.tolist() == [0.5, 0, 1]
