# COCO 2014 at 448 x 448 with RandAugment and Cutout, 128 images a step.
_base_ = ['./coco14.py', '../pipelines/modern_randaug448.py']

train_dataloader = dict(
    batch_size=128,  # in total, shared by all processes
    num_workers=8,
    # RandAugment rotates and shears images without their boxes.
    dataset=dict(with_boxes=False, pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(threshold=0.6)
test_evaluator = val_evaluator
