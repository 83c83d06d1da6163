"""Plots of label frequencies and co-occurrence. C: classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmmlc.neutral import safe_line
from mmmlc.plots import save_figure

COLOURS = ('#4c78a8', '#f58518', '#54a24b')
MOST_IN_MATRIX = 60
NUMBERS_UP_TO = 25
MOST_BARS = 300  # classes; of more, these numbers of the most frequent and the rarest are shown
FREQUENT, RARE = 100, 50


def plot_frequencies(
    classes: Sequence[str], shares: dict[str, np.ndarray], path: str | Path
) -> None:
    """Horizontal bars, one group per class and one bar per split, the most frequent on top.

    Of more than 300 classes the 100 most frequent and the 50 rarest are shown, by the first split,
    and of those only such as occur; the title says so.

    Args:
        classes: C names.
        shares: of each split, the percentage of images with each class, (C,).
        path: the picture.
    """
    frequency = next(iter(shares.values()))
    order = np.argsort(frequency, kind='stable')
    title = f'{len(classes)} classes'
    if len(order) > MOST_BARS:
        occurring = order[frequency[order] > 0]
        order = np.concatenate((occurring[:-FREQUENT][:RARE], occurring[-FREQUENT:]))
        title = (
            f'{len(occurring[-FREQUENT:])} most frequent and {len(occurring[:-FREQUENT][:RARE])} '
            f'rarest of {title}, {len(classes) - len(occurring)} without images'
        )
    height = 1.3 + (0.10 + 0.12 * len(shares)) * len(order)
    figure = Figure(figsize=(8, height), dpi=120, layout='constrained')
    axes = figure.subplots()
    thickness = 0.8 / len(shares)
    for number, (name, values) in enumerate(shares.items()):
        offset = (number - (len(shares) - 1) / 2) * thickness
        bars = axes.barh(
            np.arange(len(order)) - offset,
            values[order],
            thickness,
            label=name,
            color=COLOURS[number % len(COLOURS)],
        )
        axes.bar_label(bars, fmt='%.1f', padding=2, fontsize=min(8, 14 * thickness + 2))
    names = [safe_line(classes[label]) for label in order]
    axes.set_yticks(range(len(order)), names, fontsize=8, parse_math=False)
    axes.set(xlabel='images with the class (%)', ylim=(-0.7, len(order) - 0.3))
    axes.margins(x=0.08)
    axes.spines[['top', 'right']].set_visible(False)
    if len(shares) > 1:
        axes.legend(loc='lower right', fontsize=8)
    axes.set_title(title, fontsize=10)
    save_figure(figure, path)


def most_frequent(counts: np.ndarray) -> np.ndarray:
    """Labels of the classes that a co-occurrence plot shows, of counts (C,): 60, descending."""
    order = np.argsort(-counts, kind='stable')[:MOST_IN_MATRIX]
    return order[counts[order] > 0]


def plot_cooccurrence(
    classes: Sequence[str], together: np.ndarray, title: str, path: str | Path
) -> None:
    """Matrix of the percentage of images with the row's class that have the column's, too.

    Args:
        classes: K names, those of :func:`most_frequent`.
        together: (K, K) number of images with both, at least 1 on the diagonal.
        title: on top.
        path: the picture.
    """
    counts, order = together.diagonal(), range(len(classes))
    percent = 100 * together / counts[:, None]
    side = 2.5 + max(0.24 if len(order) > NUMBERS_UP_TO else 0.36, 0.1) * len(order)
    figure = Figure(figsize=(side + 0.8, side), dpi=120, layout='constrained')
    axes = figure.subplots()
    shown = percent.copy()
    np.fill_diagonal(shown, np.nan)
    most = np.nanmax(shown, initial=1)
    image = axes.imshow(shown, cmap='Blues', vmin=0, vmax=most)
    names = [f'{safe_line(classes[label])} ({counts[label]})' for label in order]
    axes.set_yticks(range(len(order)), names, fontsize=8, parse_math=False)
    columns = [classes[label] for label in order]
    axes.set_xticks(range(len(order)), columns, fontsize=8, rotation=90, parse_math=False)
    if len(order) <= NUMBERS_UP_TO:
        for row, column in np.argwhere(shown > 0):
            value = shown[row, column]
            colour = 'white' if value > 0.6 * most else 'black'
            axes.text(
                column, row, f'{value:.0f}', ha='center', va='center', fontsize=7, color=colour
            )
    figure.colorbar(image, ax=axes, shrink=0.6, label='images of the row with the column too (%)')
    axes.set_title(title, fontsize=10)
    save_figure(figure, path)
