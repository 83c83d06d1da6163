# Learning rate 0.01 (Section 3.1) for the part detectors alone; the number of epochs is ours, the
# paper gives none.
_base_ = './msdpd_step1.py'

optim_wrapper = dict(
    optimizer=dict(lr=0.01),
    paramwise_cfg=dict(
        custom_keys={
            '_delete_': True,
            'backbone': dict(lr_mult=0.0, decay_mult=0.0),
            'neck': dict(lr_mult=0.0, decay_mult=0.0),
        }
    ),
)
