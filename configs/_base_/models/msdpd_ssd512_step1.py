# MsDPD, step 1: classification from scale 5.
_base_ = './msdpd_ssd512.py'

model = dict(
    head=dict(
        type='mmmlc.MultiLabelConvHead',
        in_channels=256,  # conv12_2, 1 x 1
        pooling='gap',
    ),
)
