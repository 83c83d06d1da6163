# MsDPD, step 2: part detectors. A config says which network of step 1 it starts from.
_base_ = './msdpd_ssd512.py'

model = dict(
    backbone=dict(init_cfg=dict(prefix='backbone')),
    neck=dict(init_cfg=dict(type='Pretrained', prefix='neck')),
    head=dict(
        type='mmmlc.MsDPDHead',
        in_channels=(1024, 512, 256, 256),  # conv7, conv8_2, conv9_2, conv10_2
        num_parts=(700, 400, 300, 200),
        indices=(1, 2, 3, 4),
        plain_channels=256,  # conv12_2
        ridge=0.01,
        training='alternating',
        instances=32,
    ),
)
