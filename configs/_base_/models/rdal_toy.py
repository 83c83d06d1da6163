# RDAL on ToyScenes.
_base_ = ['./rdal.py', './toy.py']

model = dict(
    backbone=_base_.toy_resnet,
    neck=dict(in_channels=64, sampled_size=6, feature_width=256, hidden_width=256),
    head=dict(loss='bce'),  # Euclidean scores of two images can't be compared, see docs/rdal.md
    data_preprocessor=_base_.toy_norm,
)
