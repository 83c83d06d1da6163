# MCAR, ResNet-50, 448 x 448, on your own labels: see docs/own_labels.md.
_base_ = ['../_base_/mcar_schedule.py', '../_base_/default_runtime.py']

# Point these at your files.
data_root = 'data/own'
ann_file = 'labels.csv'  # or .jsonl, or a table with a column per class
image_folder = 'images'  # the paths in the file start here

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(448, 448), backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmpretrain.ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(448, 448), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(
    batch_size=16,  # in total, shared by all processes
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmmlc.TotalBatchSampler'),
    dataset=dict(
        type='mmmlc.OwnLabels',
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img_path=image_folder),
        split='train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,  # per process
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.OwnLabels',
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img_path=image_folder),
        split='val',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmmlc.OwnLabels',
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img_path=image_folder),
        split='test',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
    backbone=dict(
        type='mmpretrain.ResNet',
        depth=50,
        init_cfg=dict(
            # mmengine knows this one type without scope only.
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/'
            'resnet50_8xb32_in1k_20210831-ea4938fc.pth',
            prefix='backbone',
        ),
    ),
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        num_classes=None,  # as many as in the file
        in_channels=2048,
        pooling='gwp',
    ),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
)

# The paper's learning rates, in a third of its 60 epochs.
param_scheduler = dict(milestones=[10, 17])
train_cfg = dict(max_epochs=20, val_interval=1)

# The best epoch on val is tested on test, which took no part in the choice.
default_hooks = dict(checkpoint=dict(save_best='mAP', rule='greater'))

val_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold=0.5, topk=3)
test_evaluator = val_evaluator
