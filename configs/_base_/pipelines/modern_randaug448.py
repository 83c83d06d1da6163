# 448 x 448 with RandAugment and Cutout.
resize = dict(type='mmpretrain.Resize', scale=(448, 448), backend='pillow')
train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    resize,
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
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    resize,
    dict(type='mmmlc.PackInputs'),
]
