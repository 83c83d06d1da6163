# Swin-B, the modern recipe, 448 x 448, COCO14. Not measured.
_base_ = [
    '../_base_/models/modern_classifier.py',
    '../_base_/datasets/modern_coco14_bs128_randaug448.py',
    '../_base_/schedules/modern_adamw_40e.py',
    '../_base_/runtimes/modern_ema.py',
]

model = dict(
    backbone=dict(
        type='mmpretrain.SwinTransformer',
        arch='base',
        img_size=448,
        drop_path_rate=0.2,
        stage_cfgs=dict(block_cfgs=dict(window_size=12)),
        pad_small_map=True,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/swin-transformer/convert/'
            'swin_base_patch4_window12_384_22kto1k-d59b0d1d.pth',
            prefix='backbone',
        ),
    ),
    head=dict(num_classes=_base_.num_classes, in_channels=1024),
)
