"""The checksums inside a checkpoint, which torch writes and does not read."""

from __future__ import annotations

import io
import zipfile


def check_zip(file: str | io.BytesIO, name: str) -> None:
    """Compare every entry of a checkpoint with its CRC-32; files of other kinds pass.

    A changed bit in a tensor is a changed weight, and torch loads it without a word. Checkpoints
    older than torch 1.6 have no checksums.

    Args:
        file: Path or content.
        name: As the user gave it.

    Raises:
        ValueError: naming the file and the first entry that differs.
    """
    if not _is_zip(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            if (entry := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f'Bad CRC-32 for {entry!r}')
    except (PermissionError, MemoryError):
        raise
    except Exception as error:  # zipfile raises anything on a damaged file
        raise ValueError(
            f'{name} cannot be read as a checkpoint: {type(error).__name__}: {error}. Is it cut '
            'short, or damaged? One that was written without checksums '
            '(torch.serialization.set_crc32_options(False)) is read with --trust'
        ) from error
    finally:
        if isinstance(file, io.BytesIO):
            file.seek(0)


def _is_zip(file: str | io.BytesIO) -> bool:
    """As torch tells it: by the first bytes."""
    if isinstance(file, io.BytesIO):
        return file.getbuffer()[:4] == b'PK\x03\x04'
    with open(file, 'rb') as opened:
        return opened.read(4) == b'PK\x03\x04'
