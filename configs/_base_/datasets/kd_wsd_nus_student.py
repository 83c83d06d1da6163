# NUS-WIDE for the students of KD-WSD: 224 x 224, batches of 32.
_base_ = ['./nus_wide.py', '../pipelines/kd_wsd_224.py']

# The last 2,000 training images are the validation images. How many of this split have labels is
# not known here; it is taken to be above 122,000 (the data set prints it), so that the first
# 120,000 share none with them.
train_dataloader = dict(
    batch_size=32,  # in total, shared by all processes
    dataset=dict(indices=120000, pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(split='train', indices=-2000, pipeline=_base_.test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
