"""A small SCA-DNN and samples for it."""

from __future__ import annotations

import torch
from helpers.optional import needs_mmdet
from mmpretrain.structures import DataSample

from mmmlc.registry import MODELS

C = 4
STRIDES = [4, 8, 16]
RPN_TRAINING = dict(
    assigner=dict(
        type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3, ignore_iof_thr=0.5
    ),
    sampler=dict(
        type='RandomSampler', num=64, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=False
    ),
    allowed_border=-1,
    pos_weight=-1,
)
HEAD = dict(
    type='mmmlc.SCAHead',
    num_classes=C,
    roi_extractor=dict(
        type='mmdet.SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=1),
        out_channels=8,
        featmap_strides=STRIDES,
        finest_scale=16,
    ),
    width=16,
    max_patches=6,
)
MODEL = dict(
    type='mmmlc.SCADNN',
    backbone=dict(
        type='mmpretrain.ResNet',
        depth=18,
        base_channels=4,
        stem_channels=4,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        zero_init_residual=False,  # or half of the layers would have no slope at first
    ),
    neck=dict(type='mmdet.FPN', in_channels=[4, 8, 16], out_channels=8, num_outs=3),
    patch_generator=dict(
        type='mmdet.RPNHead',
        in_channels=8,
        feat_channels=8,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[3], ratios=[0.5, 1.0, 2.0], strides=STRIDES
        ),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss'),
        train_cfg=RPN_TRAINING,
        test_cfg=dict(
            nms_pre=50, max_per_img=20, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0
        ),
    ),
    head=HEAD,
    data_preprocessor=dict(mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True),
)


def build(**head):
    """The small model, with other options of its head."""
    needs_mmdet()
    model = MODELS.build(dict(MODEL) | dict(head=HEAD | head))
    model.init_weights()
    return model


def sample_of(boxes, labels, size=(64, 96), **fields) -> DataSample:
    """True boxes x1, y1, x2, y2 in pixels of an image of ``size`` (height, width)."""
    height, width = size
    sample = DataSample(metainfo=dict(img_shape=size, ori_shape=size, img_path='a.jpg'))
    true = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    sample.set_field(true / torch.tensor([width, height, width, height]), 'boxes')
    sample.set_field(torch.tensor(labels, dtype=torch.int64), 'box_labels')
    sample.set_gt_label(torch.tensor(sorted(set(labels)), dtype=torch.int64))
    for name, value in fields.items():
        sample.set_field(torch.tensor(value), name)
    return sample


def batch() -> tuple[torch.Tensor, list[DataSample]]:
    """Three images with two, one and no boxes."""
    samples = [
        sample_of([(8, 8, 40, 40), (50, 20, 90, 60)], [0, 2]),
        sample_of([(30, 10, 60, 50)], [3]),
        sample_of([], []),
    ]
    return torch.randn(3, 3, 64, 96), samples
