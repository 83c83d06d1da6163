# ConvNeXt-B, the modern recipe, 448 x 448, COCO14. Not measured.
_base_ = [
    '../_base_/models/modern_classifier.py',
    '../_base_/datasets/modern_coco14_bs128_randaug448.py',
    '../_base_/schedules/modern_adamw_40e.py',
    '../_base_/runtimes/modern_ema.py',
]

model = dict(
    backbone=dict(
        type='mmpretrain.ConvNeXt',
        arch='base',
        drop_path_rate=0.2,
        # A map for the head, normalised: by default the backbone pools it first.
        gap_before_final_norm=False,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/convnext/'
            'convnext-base_3rdparty_in21k_20220124-13b83eec.pth',
            prefix='backbone',
        ),
    ),
    head=dict(num_classes=_base_.num_classes, in_channels=1024),
)
