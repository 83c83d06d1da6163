# What networks for ToyScenes are made of; its images have 96 x 96 pixels.
toy_norm = dict(
    type='mmpretrain.ClsDataPreprocessor',
    mean=[127.5, 127.5, 127.5],
    std=[64.0, 64.0, 64.0],
    to_rgb=True,
)
toy_resnet = dict(
    # A quarter of the width of ResNet-18, without its last stage: maps of 6 x 6, where 3 x 3
    # could not tell objects of 96-pixel images apart.
    type='mmpretrain.ResNet',
    depth=18,
    stem_channels=16,
    base_channels=16,
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(2,),
)
# Of the plain classifier r18_toy.py, trained with toy_onecycle_5e.py.
toy_weights = dict(
    # mmengine knows this one type without scope only.
    type='Pretrained',
    checkpoint='work_dirs/baseline_r18_toy/epoch_5.pth',
    prefix='backbone',
)
