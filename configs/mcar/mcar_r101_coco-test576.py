# MCAR, ResNet-101, trained at 448 x 448 as mcar_r101_coco.py and tested at 576 x 576. The paper:
# 84.5 mAP on COCO14 val. Takes the checkpoint of mcar_r101_coco.py.
_base_ = [
    '../_base_/models/mcar_r101.py',
    '../_base_/datasets/coco14_bs16_jitter448.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=_base_.num_classes, pooling='gwp'))

test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(576, 576), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
