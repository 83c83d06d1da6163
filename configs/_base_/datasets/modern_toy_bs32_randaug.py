# ToyScenes, batches of 32, flips, Cutout and a mild RandAugment.
_base_ = './toy_scenes_bs32.py'

train_pipeline = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmpretrain.Cutout', shape=24, pad_val=128, prob=0.5),
    # Shapes and colours make the classes: only mild changes of both.
    dict(
        type='mmpretrain.RandAugment',
        policies=[
            dict(type='mmpretrain.Brightness', magnitude_range=(0, 0.3)),
            dict(type='mmpretrain.Contrast', magnitude_range=(0, 0.3)),
            dict(type='mmpretrain.Sharpness', magnitude_range=(0, 0.9)),
        ],
        num_policies=1,
        magnitude_level=5,
    ),
    dict(type='mmmlc.PackInputs'),
]
train_dataloader = dict(dataset=dict(with_boxes=False, pipeline=train_pipeline))
