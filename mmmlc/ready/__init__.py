"""Models that are ready for photographs: folders of weights, config, classes and thresholds.

``model`` reads and runs one, ``folder`` says where they lie. ``make`` makes one from labels, with
``linear``, which trains classifiers, and ``card``, which describes it. See docs/ready_model.md.
"""

from mmmlc.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    model='Prediction ReadyModel Region get_model',
    folder='find_folder',
)
