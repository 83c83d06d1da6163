# COCO 2014 at 448 x 448 with RandAugment and Cutout, 128 images a step.
_base_ = './coco14_448.py'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(448, 448), backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    # A grey square of half the side.
    dict(type='mmpretrain.Cutout', shape=224, pad_val=128, prob=1.0),
    dict(
        type='mmpretrain.RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic'),
    ),
    dict(type='mmmlc.PackInputs'),
]

train_dataloader = dict(
    batch_size=128,  # in total, shared by all processes
    num_workers=8,
    # RandAugment rotates and shears images without their boxes.
    dataset=dict(with_boxes=False, pipeline=train_pipeline),
)
