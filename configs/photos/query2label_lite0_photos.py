# Query2Label's head, one layer, EfficientNet-Lite0, 160 x 160, CocoPhotos.
_base_ = [
    '../_base_/models/photos_query_decoder.py',
    '../_base_/datasets/coco_photos_bs16_160.py',
    '../_base_/schedules/adamw_4e_cpu.py',
]

model = dict(head=dict(num_classes=_base_.num_classes))
