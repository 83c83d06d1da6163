# 640 x 640, random crops of 576 x 576 in training, the whole image in the test.
resize = dict(type='mmpretrain.Resize', scale=(640, 640), backend='pillow')
train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    resize,
    dict(type='mmmlc.RandomCrop', crop_size=576),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    resize,
    dict(type='mmmlc.PackInputs'),
]
