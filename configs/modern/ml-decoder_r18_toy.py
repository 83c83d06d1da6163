# ML-Decoder's head on ToyScenes, the modern recipe, from scratch, minutes on two CPU cores.
_base_ = [
    '../_base_/models/r18_toy.py',
    '../_base_/datasets/modern_toy_bs32_randaug.py',
    '../_base_/schedules/modern_toy_5e.py',
    '../_base_/runtimes/modern_toy_ema.py',
]

model = dict(
    head=dict(
        _delete_=True,
        type='mmmlc.QueryDecoderHead',
        num_classes=_base_.num_classes,
        in_channels=64,
        embed_dims=64,
        num_layers=1,
        feedforward_channels=256,
        num_groups=10,  # of two classes each
        self_attention=False,
        position_encoding='none',
        learnable_queries=False,
        relu_features=True,
        loss=dict(type='mmmlc.AsymmetricLoss', gamma_pos=0, gamma_neg=4, clip=0.05),
    ),
)

optim_wrapper = dict(
    optimizer=dict(lr=2e-3),
    paramwise_cfg=dict(flat_decay_mult=0.0),  # nor of biases of the attention and of the classes
)
