# COCO 2014 for RDAL at 640 x 640, batches of 16.
_base_ = ['./coco14_holdout.py', '../pipelines/rdal_crop640.py']

train_dataloader = dict(
    batch_size=16,  # in total, shared by all processes
    dataset=dict(pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
