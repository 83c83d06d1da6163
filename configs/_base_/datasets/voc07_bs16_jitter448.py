# VOC 2007 at 448 x 448 with colour jitter, batches of 16.
_base_ = ['./voc07.py', '../pipelines/jitter448.py']

train_dataloader = dict(
    batch_size=16,  # in total, shared by all processes
    dataset=dict(pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(threshold=0.6)
test_evaluator = val_evaluator
