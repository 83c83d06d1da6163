# 224 x 224, flips and crops of half of the image or more.
# Pillow's antialiased resizing, as in the test.
train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.RandomResizedCrop', scale=224, crop_ratio_range=(0.5, 1.0), backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(224, 224), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]
