# The paper gives no schedule for this step: we take that of step 2, and a new layer learns faster.
_base_ = './rdal_step2.py'

optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'head.classifier': dict(lr_mult=10.0)}))
