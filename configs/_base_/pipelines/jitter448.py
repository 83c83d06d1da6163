# 448 x 448, flips and colour jitter, as MCAR trains.
# Pillow's antialiased resizing, as in the authors' transforms.
resize = dict(type='mmpretrain.Resize', scale=(448, 448), backend='pillow')
train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    resize,
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmpretrain.ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    resize,
    dict(type='mmmlc.PackInputs'),
]
