# Training and validation at 448 x 448, test at 576 x 576.
_base_ = './coco14_448.py'

test_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(576, 576), backend='pillow'),
    dict(type='mmmlc.PackInputs'),
]

test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
