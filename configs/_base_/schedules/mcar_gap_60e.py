# MobileNet-v2 with average pooling: 0.01 for the backbone, ten times as much for the 1x1
# convolution, as in sgd_bs16_60e.py.
_base_ = './sgd_bs16_60e.py'

optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = dict(milestones=[10, 30, 50])
