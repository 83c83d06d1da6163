# RDAL tested on ten views at 512, one pass of the backbone: checkpoints of
# rdal_vgg16_voc07-512.py. The paper: 91.3 mAP on VOC07 test, by SVMs (tools/svm_eval.py).
_base_ = [
    '../_base_/voc07_crop512.py',
    '../_base_/rdal_schedule.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmmlc.TenViews',
    classifier='mmpretrain.ImageClassifier',
    mode='features',
    backbone=dict(
        type='mmpretrain.VGG',
        depth=16,
        with_last_pool=False,  # conv5_3, stride 16
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='work_dirs/baseline_vgg16_voc07-512/epoch_45.pth',
            prefix='backbone',
        ),
    ),
    neck=dict(
        type='mmmlc.RecurrentAttention',
        in_channels=512,
        num_classes=20,
        num_regions=5,
        sampled_size=14,
        pool=2,
        feature_width=4096,
        hidden_width=4096,
        localisation='identity',
    ),
    head=dict(
        type='mmmlc.RecurrentAttentionHead',
        num_classes=20,
        loss='euclidean',
        constraints=dict(type='mmmlc.RegionConstraintLoss', anchor=True, scale=True, positive=True),
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)
