# RDAL: what does not depend on the size of the network. A config gives the backbone and the numbers
# of channels.
model = dict(
    type='mmpretrain.ImageClassifier',
    neck=dict(type='mmmlc.RecurrentAttention', num_regions=5, pool=2),
    head=dict(
        type='mmmlc.RecurrentAttentionHead',
        constraints=dict(type='mmmlc.RegionConstraintLoss', anchor=True, scale=True, positive=True),
    ),
)
