"""EdgeBoxes (Zitnick and Dollar, ECCV 2014) by ``cv2.ximgproc`` of opencv-contrib.

H, W: image height and width, n: boxes of an image.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmmlc.dependencies import require_ximgproc
from mmmlc.ops.boxes import clip_boxes, from_xywh

# Chosen on COCO128, where less blur and lower thresholds cost time and find fewer objects: texture.
BLUR = 0.005  # standard deviation, in longer sides of the image
THRESHOLDS = (20, 60)  # of the Sobel gradient, hysteresis


def gradient_edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thinned Sobel gradient: an edge map that needs no trained model.

    Args:
        image: (H, W, 3) uint8 BGR.

    Returns:
        Edge strength (H, W) float32 in [0, 1], zero beside the ridges of the gradient, and the
        direction across the edge (H, W) float32 in [0, pi).
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    grey = cv2.GaussianBlur(grey, (0, 0), BLUR * max(image.shape))
    dx = cv2.Sobel(grey, cv2.CV_16S, 1, 0)
    dy = cv2.Sobel(grey, cv2.CV_16S, 0, 1)
    # Canny serves as non-maximum suppression only. On gradients that are not thinned EdgeBoxes
    # takes ten times as long.
    ridge = cv2.Canny(dx, dy, *THRESHOLDS, L2gradient=True) > 0
    dx, dy = dx.astype(np.float32), dy.astype(np.float32)
    # Not cv2.magnitude, whose last bit depends on where the arrays lie in memory.
    strength = np.where(ridge, np.sqrt(dx * dx + dy * dy), np.float32(0))
    strength /= max(float(strength.max(initial=0)), 1.0)
    return strength, np.arctan2(dy, dx) % np.float32(np.pi)


class EdgeBoxes:
    """Proposals of an image, best first.

    Args:
        model: Structured-edge model file (``model.yml.gz`` of opencv_extra). Without it the edges
            are :func:`gradient_edges`.
        max_boxes: At most so many boxes.
        min_area: Least area of a box in pixels; images with fewer pixels have no boxes.
        alpha: Step of the sliding window, as the IoU of neighbours.
        beta: IoU at which the lower-scored of two boxes is removed.
        min_score: Least score of a box.
        max_aspect_ratio: Of the longer to the shorter side.

    Raises:
        ImportError: without ``cv2.ximgproc``, with the command that installs it.
        FileNotFoundError: if there is no such model file.
        ValueError: if OpenCV cannot read the model, or an option is out of range.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        max_boxes: int = 2000,
        min_area: float = 1000.0,
        alpha: float = 0.65,
        beta: float = 0.75,
        min_score: float = 0.01,
        max_aspect_ratio: float = 3.0,
    ) -> None:
        require_ximgproc()
        for name, value in (('alpha', alpha), ('beta', beta)):
            if not 0 < value < 1:
                raise ValueError(f'EdgeBoxes: {name}={value}, expected a number between 0 and 1')
        limits = dict(max_boxes=max_boxes, min_area=min_area, max_aspect_ratio=max_aspect_ratio)
        for name, value in limits.items():
            if value < 1:
                raise ValueError(f'EdgeBoxes: {name}={value}, expected at least 1')
        self.model = None if model is None else str(model)
        self.min_area = min_area
        self._options: dict[str, Any] = dict(
            alpha=alpha,
            beta=beta,
            minScore=min_score,
            maxBoxes=int(max_boxes),
            minBoxArea=float(min_area),
            maxAspectRatio=float(max_aspect_ratio),
        )
        self._detector = None if self.model is None else _read_model(self.model)

    @property
    def parameters(self) -> dict:
        """What the boxes depend on besides the image; JSON types."""
        edges = 'thinned Sobel gradient'
        if self.model is not None:
            checksum = zlib.crc32(Path(self.model).read_bytes())
            edges = f'structured edges, {Path(self.model).name}, CRC-32 {checksum:08x}'
        # Options as OpenCV names them, the version because scores may change with it.
        return dict(method='EdgeBoxes', edges=edges, opencv=cv2.__version__, **self._options)

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the boxes of an image.

        Args:
            image: (H, W, 3) uint8 BGR.

        Returns:
            Boxes (n, 4) float32 x1, y1, x2, y2 in whole pixels, x2 and y2 exclusive, inside the
            image; scores (n,) float32, falling.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f'EdgeBoxes expects (H, W, 3) uint8, got {image.shape} of {image.dtype}'
            )
        height, width = image.shape[:2]
        xywh: Sequence[Sequence[int]] = ()
        scores = None
        if height * width >= self.min_area:
            # A new one for every image: OpenCV's object mixes what it keeps of one image into the
            # boxes and scores of the next.
            finder = cv2.ximgproc.createEdgeBoxes(**self._options)
            xywh, scores = finder.getBoundingBoxes(*self._edges(image))
        if not len(xywh):  # OpenCV then gives None as scores
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        return _corners(xywh, width, height), np.asarray(scores, np.float32).reshape(-1)

    def _edges(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._detector is None:
            return gradient_edges(image)
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.float32) / 255
        edges = self._detector.detectEdges(rgb)
        orientation = self._detector.computeOrientation(edges)
        return self._detector.edgesNms(edges, orientation), orientation


def _corners(xywh: Sequence[Sequence[int]], width: int, height: int) -> np.ndarray:
    """Boxes x, y, w, h of OpenCV as clipped corners (n, 4) float32."""
    # OpenCV counts from 1 here, a habit of the original MATLAB code.
    boxes = np.asarray(xywh, np.float32).reshape(-1, 4) - [1, 1, 0, 0]
    return clip_boxes(from_xywh(boxes.astype(np.float32)), (height, width))


def _read_model(path: str) -> cv2.ximgproc.StructuredEdgeDetection:
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such structured-edge model')
    try:
        return cv2.ximgproc.createStructuredEdgeDetection(path)
    except cv2.error as error:
        raise ValueError(
            f'{path} is not a structured-edge model (model.yml.gz of opencv_extra): {error}'
        ) from error
