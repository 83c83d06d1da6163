# SCA-DNN: what does not depend on the size of the network. A config gives the backbone and the
# numbers of channels.
model = dict(
    type='mmmlc.SCADNN',
    neck=dict(type='mmdet.FPN'),
    patch_generator=dict(
        type='mmdet.RPNHead',
        anchor_generator=dict(type='mmdet.AnchorGenerator', ratios=[0.5, 1.0, 2.0]),
        bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='mmdet.L1Loss'),
        train_cfg=dict(
            assigner=dict(
                type='mmdet.MaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
                ignore_iof_thr=0.5,
            ),
            sampler=dict(
                type='mmdet.RandomSampler',
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        # mmdet looks the operators nms and RoIAlign up by these names, without scope.
        test_cfg=dict(nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
    ),
    head=dict(
        type='mmmlc.SCAHead',
        roi_extractor=dict(
            type='mmdet.SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7)
        ),
        expansion=2.0,
        branch='both',
        relation_heads=0,
    ),
)
