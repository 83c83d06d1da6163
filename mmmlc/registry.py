"""Registry nodes of mmmlc, children of mmengine's root registries with scope ``mmmlc``.

Hanging under mmengine's root (not under mmpretrain's node) lets any OpenMMLab config, mmdet's
included, name a part as ``type='mmmlc.X'``; ``locations`` are imported on first use. The systems
come last, found by their folders, and may add to every node.
"""

from mmmlc.dependencies import require_core

require_core()

from mmengine import registry as root  # noqa: E402 - says what is missing before it fails

SCOPE = 'mmmlc'


def _node(name: str, parent: root.Registry, *locations: str) -> root.Registry:
    places = [*locations, 'mmmlc.systems.all']
    return root.Registry(name, parent=parent, scope=SCOPE, locations=places)


MODELS = _node('model', root.MODELS, 'mmmlc.models')
DATASETS = _node('dataset', root.DATASETS, 'mmmlc.datasets')
DATA_SAMPLERS = _node('data sampler', root.DATA_SAMPLERS, 'mmmlc.datasets')
TRANSFORMS = _node('transform', root.TRANSFORMS, 'mmmlc.datasets', 'mmmlc.proposals')
METRICS = _node('metric', root.METRICS, 'mmmlc.evaluation')
HOOKS = _node('hook', root.HOOKS, 'mmmlc.engine.hooks')
STRATEGIES = _node('strategy', root.STRATEGIES, 'mmmlc.engine.strategies')
