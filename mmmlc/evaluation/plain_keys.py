"""What our metrics share."""

from __future__ import annotations

from mmengine.evaluator import BaseMetric


class PlainKeysMetric(BaseMetric):
    """A metric with plain keys; mmengine's ``BaseMetric`` warns where no prefix is given.

    Args:
        collect_device: Where results of several processes are gathered, ``'cpu'`` or ``'gpu'``.
        prefix: Before each key, with a slash; None for plain keys.
        collect_dir: Folder for gathering on a CPU; a temporary one by default.
    """

    def __init__(
        self, collect_device: str = 'cpu', prefix: str | None = None, collect_dir: str | None = None
    ) -> None:
        super().__init__(collect_device, prefix or 'none', collect_dir)
        self.prefix = prefix
