"""The end of a training that cannot go on: all processes together, with one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine import dist

from mmmlc.whole_files import FULL, DiskFullError


class TrainingEndedError(RuntimeError):
    """A training cannot go on; the text says why, and what is safe on the disk."""


class RelayedError(TrainingEndedError):
    """Another process has the error, and says it."""


def stop_together(error: Exception | None) -> None:
    """Raise in every process if one of them has an error; every process has to call it.

    A process that failed alone would leave the others waiting for it in their next exchange.

    Args:
        error: What went wrong here, None if nothing did.

    Raises:
        TrainingEndedError: in the processes without an error, with the text of the first that has
            one; the others raise their own.
    """
    texts = dist.all_gather_object(None if error is None else str(error))
    if error is not None:
        raise error
    for rank, text in enumerate(texts):
        if text is not None:
            raise RelayedError(f'process {rank}: {text}')


@contextmanager
def ending_in_a_sentence() -> Iterator[None]:
    """For tools: what ends a training is printed without a traceback; the exit status is 1.

    By the process that has the error, and by the first. Also where the disk is full and something
    else than a checkpoint is written, as the log.
    """
    try:
        yield
    except RelayedError as error:
        sys.exit(str(error) if dist.is_main_process() else 1)
    except TrainingEndedError as error:
        sys.exit(str(error))
    except OSError as error:
        if error.errno not in FULL:
            raise
        if not isinstance(error, DiskFullError):
            error = DiskFullError(error, str(error.filename or 'a file of the run'))
        sys.exit(str(error))
