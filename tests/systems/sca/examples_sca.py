"""SCA-DNN's parts, see helpers/examples.py."""

from __future__ import annotations

import sca_lab

MODELS = [sca_lab.MODEL, sca_lab.HEAD]
METRICS = [dict(type='mmmlc.PatchIoU')]
NEED_MMDET = ('mmmlc.SCADNN', 'mmmlc.SCAHead')
