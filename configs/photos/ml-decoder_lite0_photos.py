# ML-Decoder's head, EfficientNet-Lite0, 160 x 160, CocoPhotos.
_base_ = [
    '../_base_/models/lite0.py',
    '../_base_/datasets/coco_photos_bs16_160.py',
    '../_base_/schedules/adamw_8e_cpu.py',
]

model = dict(
    head=dict(
        _delete_=True,
        type='mmmlc.QueryDecoderHead',
        num_classes=_base_.num_classes,
        in_channels=1280,
        embed_dims=256,
        num_layers=1,
        feedforward_channels=1024,
        self_attention=False,
        position_encoding='none',
        learnable_queries=False,
        relu_features=True,
    ),
)
