# COCO 2014 at 512 x 512, batches of 32.
_base_ = ['./coco14.py', '../pipelines/msdpd_512.py']

train_dataloader = dict(
    batch_size=32,  # in total, shared by all processes
    dataset=dict(pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
