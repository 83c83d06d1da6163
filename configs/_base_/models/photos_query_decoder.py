# A transformer decoder of one layer as head of EfficientNet-Lite0.
_base_ = './lite0.py'

model = dict(
    head=dict(
        _delete_=True,
        type='mmmlc.QueryDecoderHead',
        in_channels=1280,
        embed_dims=256,
        num_layers=1,
        feedforward_channels=1024,
    ),
)
