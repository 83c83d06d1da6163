"""Between data samples and tensors: targets and proposals in, scores and losses out.

B: images, C: classes, R: proposals per image. Boxes of a prediction: :mod:`mmmlc.models.instances`.
"""

from __future__ import annotations

import torch
from mmpretrain.structures import DataSample
from torch import Tensor


def stack_targets(samples: list[DataSample], num_classes: int) -> tuple[Tensor, Tensor | None]:
    """Stack the labels of a batch.

    Args:
        samples: With ``gt_label`` (class indices) or ``gt_score`` (C,), and optionally
            ``gt_label_ignore``, the classes to leave out of the loss, or ``gt_known`` (C,) bool,
            the others (:class:`mmmlc.models.MultiLabelDataPreprocessor`).
        num_classes: C.

    Returns:
        Targets (B, C) float, and the mask (B, C) bool of pairs that take part in the loss, None
        when no sample leaves out anything.

    Raises:
        ValueError: if a sample has neither kind of label, or scores of another length, or if images
            were mixed, but not what is unknown of them.
    """
    missing = [s for s in samples if 'gt_label' not in s and 'gt_score' not in s]
    if missing:
        where = missing[0].get('img_path', 'a sample')
        raise ValueError(f'{where} has no gt_label or gt_score, expected labels for the loss')
    if 'gt_score' in samples[0]:
        targets = torch.stack([s.gt_score.float() for s in samples])
        if targets.shape[1] != num_classes:
            raise ValueError(
                f'gt_score has {targets.shape[1]} classes, the head num_classes={num_classes}'
            )
    else:
        targets = _many_hot([s.gt_label for s in samples], num_classes)
    known = known_pairs(samples, num_classes, targets.device)
    if known is not None and 'gt_known' not in samples[0]:
        _refuse_mixed(samples, targets, known)
    return targets, known


def known_pairs(samples: list[DataSample], num_classes: int, device: torch.device) -> Tensor | None:
    """The mask (B, C) bool of pairs whose label is known; None when all are."""
    if 'gt_known' in samples[0]:
        return torch.stack([sample.gt_known for sample in samples]).to(device)
    ignored = [sample.get('gt_label_ignore', ()) for sample in samples]
    if not any(len(labels) for labels in ignored):
        return None
    ignored = [torch.as_tensor(x, dtype=torch.long).to(device) for x in ignored]
    return _many_hot(ignored, num_classes) == 0


def _refuse_mixed(samples: list[DataSample], targets: Tensor, known: Tensor) -> None:
    """Raise ValueError if scores are not those of the labels: somebody mixed them."""
    if not all('gt_score' in sample and 'gt_label' in sample for sample in samples):
        return
    labels = _many_hot([sample.gt_label for sample in samples], targets.shape[1])
    # What stands in the place of an unknown label says nothing.
    if not torch.equal(labels.to(targets) * known, targets * known):
        raise ValueError(
            'images with unknown labels (gt_label_ignore) were mixed: what the partner does not '
            'know would be trained as absent. Set '
            "model.data_preprocessor.type='mmmlc.MultiLabelDataPreprocessor', or train without "
            'batch augmentations (model.train_cfg=None)'
        )


def _many_hot(labels: list[Tensor], num_classes: int) -> Tensor:
    flat = torch.cat(labels).long()
    counts = torch.tensor([len(x) for x in labels])
    rows = torch.arange(len(labels)).repeat_interleave(counts).to(flat.device, non_blocking=True)
    hot = torch.zeros(len(labels), num_classes, device=flat.device)
    hot[rows, flat] = 1  # assignment, not a sum: a label given twice still counts once
    return hot


def set_predictions(
    samples: list[DataSample] | None, scores: Tensor, threshold: float | Tensor
) -> list[DataSample]:
    """Write ``pred_score`` and ``pred_label`` (scores of at least ``threshold``) to the samples.

    Args:
        samples: B samples; None makes new ones.
        scores: (B, C) in [0, 1].
        threshold: Of ``pred_label``, for all classes or for each (C,).
    """
    samples = samples or [DataSample() for _ in scores]
    if isinstance(threshold, Tensor):
        threshold = threshold.to(scores.device)
    positive = scores >= threshold
    labels = positive.nonzero()[:, 1].split(positive.sum(1).tolist())
    for sample, score, label in zip(samples, scores, labels, strict=True):
        sample.set_pred_score(score).set_pred_label(label)
    return samples


def set_all(samples: list[DataSample], **fields: Tensor) -> None:
    """Write a row of each field's values (B, ...) to each sample."""
    for name, values in fields.items():
        for sample, value in zip(samples, values, strict=True):
            sample.set_field(value, name)


def have_labels(samples: list[DataSample]) -> bool:
    """Whether every sample has labels, of either kind."""
    return all('gt_label' in sample or 'gt_score' in sample for sample in samples)


def input_size(samples: list[DataSample]) -> tuple[int, int]:
    """Height and width of the batch that the network gets, which pads to the right and below.

    That is ``batch_input_shape`` where a data preprocessor records it (mmdet's does), else the
    largest ``img_shape``; padding to a ``pad_size_divisor`` beyond it is not recorded elsewhere.
    """
    if samples and 'batch_input_shape' in samples[0]:
        height, width = samples[0].batch_input_shape
        return height, width
    height, width = (max(sample.img_shape[axis] for sample in samples) for axis in (0, 1))
    return height, width


def stack_proposals(samples: list[DataSample] | None) -> tuple[Tensor, Tensor, Tensor]:
    """Stack the proposals of a batch of images of one size.

    Args:
        samples: With ``proposals``, ``proposal_scores`` and ``proposal_valid``, as
            :class:`mmmlc.proposals.LoadProposals` makes them. Where the numbers of proposals
            differ, the missing ones are not valid.

    Returns:
        Boxes (B, R, 4) as fractions of the image, scores (B, R) and valid (B, R) bool.

    Raises:
        ValueError: if there are no samples, or one has no proposals, or the images differ in size:
            in a padded batch, fractions of the image are not fractions of the input.
    """
    keys = ('proposals', 'proposal_scores', 'proposal_valid')
    samples = samples or [DataSample()]
    for sample in samples:
        if missing := [key for key in keys if key not in sample]:
            where = sample.get('img_path', 'a sample')
            raise ValueError(
                f'{where} has no {", ".join(missing)}: the pipeline needs mmmlc.LoadProposals'
            )
    sizes = {tuple(sample.img_shape[:2]) for sample in samples if 'img_shape' in sample}
    if len(sizes) > 1:
        raise ValueError(
            f'a batch has images of (height, width) {sorted(sizes)}, expected one size: the '
            'pipeline needs mmpretrain.Resize with a scale of two numbers'
        )
    boxes, scores, valid = (
        torch.nn.utils.rnn.pad_sequence([sample.get(key) for sample in samples], batch_first=True)
        for key in keys
    )
    return boxes, scores, valid
