# COCO 2017 with its boxes, images of every size, batches of 16, also those without any annotation.
_base_ = ['./coco17.py', '../pipelines/sca_1333x800.py']

train_dataloader = dict(
    batch_size=16,  # in total, shared by all processes
    dataset=dict(keep_unlabelled=True, pipeline=_base_.train_pipeline),
)
val_dataloader = dict(
    batch_size=2,  # per process
    dataset=dict(keep_unlabelled=True, pipeline=_base_.test_pipeline),
)
test_dataloader = val_dataloader

# As in sca_coco14_bs16_boxes.py.
val_evaluator = [
    dict(_base_.val_evaluator, also=('object_score', 'context_score')),
    dict(type='mmmlc.WeakDetectionMetric', style='coco'),
    dict(type='mmmlc.PatchIoU'),
]
test_evaluator = val_evaluator
