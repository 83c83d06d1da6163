# The sides that detectors are used to: the shorter 800 pixels, the longer at most 1,333.
resize = dict(type='mmpretrain.Resize', scale=(1333, 800), keep_ratio=True, backend='pillow')
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
