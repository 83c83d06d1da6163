# MCAR, EfficientNet-Lite0, 160 x 160, CocoPhotos.
_base_ = [
    '../_base_/models/lite0.py',
    '../_base_/datasets/coco_photos_bs16_160.py',
    '../_base_/schedules/adamw_4e_cpu.py',
]

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
    head=dict(num_classes=_base_.num_classes, pooling='gwp'),
)

# Also report each stream alone.
val_evaluator = dict(also=('global_score', 'local_score'))
test_evaluator = val_evaluator
