"""Registry nodes of mmmlc, children of mmengine's root registries with scope ``mmmlc``.

Hanging under mmengine's root (not under mmpretrain's node) lets any OpenMMLab config, mmdet's
included, name a part as ``type='mmmlc.X'``; ``locations`` imports the module on first use.
"""

from mmengine import registry as root

SCOPE = 'mmmlc'


def _node(name: str, parent: root.Registry, location: str) -> root.Registry:
    return root.Registry(name, parent=parent, scope=SCOPE, locations=[location])


MODELS = _node('model', root.MODELS, 'mmmlc.models')
DATASETS = _node('dataset', root.DATASETS, 'mmmlc.datasets')
DATA_SAMPLERS = _node('data sampler', root.DATA_SAMPLERS, 'mmmlc.datasets')
TRANSFORMS = _node('transform', root.TRANSFORMS, 'mmmlc.datasets')
METRICS = _node('metric', root.METRICS, 'mmmlc.evaluation')
HOOKS = _node('hook', root.HOOKS, 'mmmlc.hooks')
