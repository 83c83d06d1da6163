# COCO 2014 at 256 x 256 with colour jitter, batches of 16.
_base_ = ['./coco14.py', '../pipelines/mcar_jitter256.py']

train_dataloader = dict(
    batch_size=16,  # in total, shared by all processes
    dataset=dict(pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(threshold=0.6)
test_evaluator = val_evaluator
