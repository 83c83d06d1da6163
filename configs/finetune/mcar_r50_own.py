# MCAR, ResNet-50, 448 x 448, on your own labels: see docs/own_labels.md.
_base_ = [
    '../_base_/models/r50.py',
    '../_base_/datasets/own_labels.py',
    '../_base_/pipelines/jitter448.py',
    '../_base_/schedules/sgd_bs16_60e.py',
    '../_base_/default_runtime.py',
]

# Point these at your files.
data_root = 'data/own'
ann_file = 'labels.csv'  # or .jsonl, or a table with a column per class
image_folder = 'images'  # the paths in the file start here

own = dict(data_root=data_root, ann_file=ann_file, data_prefix=dict(img_path=image_folder))
train_dataloader = dict(
    batch_size=16,  # in total, shared by all processes
    dataset=dict(**own, pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(**own, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader

model = dict(
    type='mmmlc.MCAR',
    topn=4,
    tau=0.5,
    head=dict(num_classes=_base_.num_classes, pooling='gwp'),
)

# The paper's learning rates, in a third of its 60 epochs.
param_scheduler = dict(milestones=[10, 17])
train_cfg = dict(max_epochs=20, val_interval=1)

# The best epoch on val is tested on test, which took no part in the choice.
default_hooks = dict(checkpoint=dict(save_best='mAP', rule='greater'))
