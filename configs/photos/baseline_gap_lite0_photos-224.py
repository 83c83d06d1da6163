# Plain classifier, EfficientNet-Lite0, average pooling, 224 x 224, CocoPhotos.
_base_ = [
    '../_base_/models/lite0.py',
    '../_base_/datasets/photos_bs16_224.py',
    '../_base_/schedules/adamw_4e_cpu.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
