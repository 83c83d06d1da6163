# VOC 2007 for the students of KD-WSD: 224 x 224, batches of 32.
_base_ = ['./voc07_holdout.py', '../pipelines/kd_wsd_224.py']

train_dataloader = dict(
    batch_size=32,  # in total, shared by all processes
    dataset=dict(pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
