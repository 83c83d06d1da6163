"""SCA-DNN: a prediction against mmdet's Faster R-CNN of the same backbone, neck and proposals."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.structures import DataSample
from torch import nn

from mmmlc.dependencies import require_mmdet

from .timing import median_ratio

HEIGHT, WIDTH, CLASSES, REPEATS = 480, 640, 80, 7
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def run() -> Iterator[dict]:
    """Yield the figure: the network of the COCO config with ResNet-50, on one image."""
    torch.manual_seed(0)
    name = torch.cuda.get_device_name() if DEVICE == 'cuda' else 'cpu'
    figure = 'sca.prediction_over_faster_rcnn'
    yield dict(figure=figure, value=prediction_ratio(), reach='<= 1.25', device=name)


@torch.inference_mode()
def prediction_ratio() -> float:
    """Time of both predictions, from the same image to boxes and scores."""
    require_mmdet()
    config = Config.fromfile('configs/sca/sca_x101_coco.py').model
    config.backbone = dict(type='mmpretrain.ResNet', depth=50, out_indices=(0, 1, 2, 3))
    ours, theirs = _sca(config), _faster_rcnn(config)
    theirs.load_state_dict(
        {k.replace('patch_generator', 'rpn_head'): v for k, v in ours.state_dict().items()},
        strict=False,
    )
    from mmdet.structures import DetDataSample

    image = torch.randn(1, 3, HEIGHT, WIDTH, device=DEVICE)
    shape = dict(img_shape=(HEIGHT, WIDTH), ori_shape=(HEIGHT, WIDTH), scale_factor=(1.0, 1.0))
    found = DataSample(metainfo=shape)
    other = DetDataSample(metainfo=shape | dict(batch_input_shape=(HEIGHT, WIDTH)))
    return median_ratio(
        lambda: ours.predict(image, [found]),
        lambda: theirs.predict(image, [other], rescale=False),
        repeats=REPEATS,
    )


def _sca(config: ConfigDict) -> nn.Module:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(config).to(DEVICE).eval()


def _faster_rcnn(config: ConfigDict) -> nn.Module:
    """With the backbone, neck, generator and extractor of ``config``, and mmdet's own head."""
    generator = config.patch_generator.copy()
    training, test = generator.pop('train_cfg'), generator.pop('test_cfg')
    second = dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
    head = dict(
        type='Shared2FCBBoxHead',
        in_channels=256,
        fc_out_channels=1024,
        roi_feat_size=7,
        num_classes=CLASSES,
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss'),
        loss_bbox=dict(type='L1Loss'),
    )
    model = dict(
        type='mmdet.FasterRCNN',
        backbone=config.backbone,
        neck=config.neck,
        rpn_head=generator,
        roi_head=dict(
            type='StandardRoIHead', bbox_roi_extractor=config.head.roi_extractor, bbox_head=head
        ),
        train_cfg=dict(rpn=training, rcnn=None),
        test_cfg=dict(rpn=test, rcnn=second),
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(ConfigDict(model)).to(DEVICE).eval()
