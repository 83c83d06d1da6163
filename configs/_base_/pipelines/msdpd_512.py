# 512 x 512 and flips.
resize = dict(type='mmpretrain.Resize', scale=(512, 512), backend='pillow')
train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    resize,
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    resize,
    dict(type='mmmlc.PackInputs'),
]
