# VOC 2007 for RDAL at 512 x 512, batches of 16.
_base_ = ['./voc07_holdout.py', '../pipelines/rdal_crop512.py']

train_dataloader = dict(
    batch_size=16,  # in total, shared by all processes
    dataset=dict(pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
