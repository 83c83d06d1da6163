# COCO 2014 with its boxes, images of every size, batches of 16: all 82,783 training and 40,504
# validation images, also the 702 and 367 without any annotation, as SCA-DNN's slides count them.
_base_ = ['./coco14.py', '../pipelines/sca_1333x800.py']

train_dataloader = dict(
    batch_size=16,  # in total, shared by all processes
    dataset=dict(keep_unlabelled=True, pipeline=_base_.train_pipeline),
)
val_dataloader = dict(
    batch_size=2,  # per process
    dataset=dict(keep_unlabelled=True, pipeline=_base_.test_pipeline),
)
test_dataloader = val_dataloader

# Classification and detection in one run. Which threshold the slides' precision, recall and F1 have
# they don't say.
val_evaluator = [
    dict(_base_.val_evaluator, also=('object_score', 'context_score')),
    dict(type='mmmlc.WeakDetectionMetric', style='coco'),
    dict(type='mmmlc.PatchIoU'),
]
test_evaluator = val_evaluator
