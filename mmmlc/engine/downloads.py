"""Files behind http addresses: kept by their whole address, and compared with a SHA-256.

An address says which file it means by ``#sha256=`` and hexadecimal digits at its end, all 64 of
them or the first 8 or more, or by 8 digits in the file's name, as OpenMMLab and torchvision write
them: ``resnet50_8xb32_in1k_20210831-ea4938fc.pth``. Eight digits notice every accident and another
file under the same name; who wants to make a file that begins with given 8 digits can, all 64 he
cannot.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import urlparse

import mmengine.dist
import torch
from mmengine.logging import print_log

# Hosts that hold the same files; an address at one of them is tried at the other, too, where its
# SHA-256 shows that it is the same file.
MIRRORS = [('https://download.openmmlab.com/', 'https://mmassets.onedl.ai/')]
# Other weights of the same network under the same keys: not taken by themselves, but named.
SAME_NETWORK = {
    'resnet50_8xb32_in1k_20210831-ea4938fc.pth': 'torchvision://resnet50',
    'resnet101_8xb32_in1k_20210831-539c63f8.pth': 'torchvision://resnet101',
}
_LONGEST_NAME = 100
_DATE = re.compile(r'(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])')


def split_hash(address: str) -> tuple[str, str]:
    """An address without ``#sha256=...``, and the digits that its file's SHA-256 begins with.

    Digits at the end come before those in the name; '' if there are neither.

    Raises:
        ValueError: for an end that is not 8 to 64 hexadecimal digits.

    Examples:
        >>> split_hash('https://x.org/a-0123abcd.pth')
        ('https://x.org/a-0123abcd.pth', '0123abcd')
        >>> split_hash('https://x.org/a.pth#sha256=0123456789AB')
        ('https://x.org/a.pth', '0123456789ab')
    """
    place, _, digits = address.partition('#sha256=')
    if '#sha256=' in address:
        if not re.fullmatch('[0-9a-fA-F]{8,64}', digits):
            raise ValueError(f'{address}: #sha256={digits}, expected 8 to 64 hexadecimal digits')
        return place, digits.lower()
    named = re.search(r'-([0-9a-f]{8,64})\.\w+$', urlparse(place).path)
    return place, named[1] if named and not _DATE.fullmatch(named[1]) else ''


def download(address: str) -> str:
    """The local file of an http address, compared; fetched if it is not there yet.

    The first process fetches, then one of each other machine.

    Raises:
        OSError: if no source can be reached.
        ValueError: if the file is another one than the address says.
    """
    url, digits = split_hash(address)
    path = cached(url, digits)
    first = mmengine.dist.is_main_process()
    if first:
        _fetch(url, digits, path)
    mmengine.dist.barrier()
    if not first:
        _fetch(url, digits, path)
    return str(path)


def cached(url: str, digits: str) -> Path:
    """Where the file of an address is kept, in the folder of torch's cache.

    That is by the whole address, as two may have one file name. A file that torch or mmengine
    fetched before, which keep the name alone, is taken if its SHA-256 shows that it is the one.
    """
    folder = Path(torch.hub.get_dir(), 'checkpoints')
    name = Path(urlparse(url).path).name
    before = folder / name
    if digits and before.is_file() and _sha256(before).startswith(digits):
        return before
    kept = re.sub(r'[^\w.+-]', '_', name)[-_LONGEST_NAME:]
    return folder / f'{hashlib.sha256(url.encode()).hexdigest()[:16]}-{kept}'


def sources(url: str, digits: str) -> list[str]:
    """Addresses to try, the given one first."""
    found = [url]
    for pair in MIRRORS if digits else ():
        for one, other in (pair, pair[::-1]):
            if url.startswith(one):
                found.append(other + url.removeprefix(one))
    return found


def _fetch(url: str, digits: str, path: Path) -> None:
    if path.exists():
        _compare(path, digits, f'{path}, kept of {url},')
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for source in sources(url, digits):
        try:
            _fetch_one(source, digits, path)
        except (OSError, ValueError) as error:
            reasons.append(error)
        else:
            return
    if isinstance(reasons[0], ValueError):
        raise reasons[0]
    text = '; '.join(map(str, reasons))
    if other := SAME_NETWORK.get(Path(urlparse(url).path).name):
        text += (
            f'. Other weights of the same network: --cfg-options '
            f'model.backbone.init_cfg.checkpoint={other} model.backbone.init_cfg.prefix=None'
        )
    raise OSError(text)


def _fetch_one(source: str, digits: str, path: Path) -> None:
    try:
        # It writes to a file of another name, and compares before it renames that.
        torch.hub.download_url_to_file(source, str(path), digits or None, progress=os.isatty(0))
    except OSError as error:
        raise OSError(f'{source} cannot be downloaded: {error}') from error
    except RuntimeError as error:  # of other digits
        raise ValueError(_other_file(source, str(error))) from error
    if not digits:
        print_log(
            f'{source}: nothing says which file it has to be, its SHA-256 is {_sha256(path)}: '
            '#sha256= and these digits at the end of the address would',
            logger='current',
        )


def _compare(path: Path, digits: str, where: str) -> None:
    if digits and not (found := _sha256(path)).startswith(digits):
        raise ValueError(_other_file(where, f'its SHA-256 is {found}, expected {digits}...'))


def _other_file(where: str, what: str) -> str:
    return (
        f'{where} is another file than asked for: {what} (a damaged one is fetched again once it '
        'is removed). If you know that it is the right one, end the address by #sha256= and the '
        'digits that were found'
    )


def _sha256(path: Path) -> str:
    with path.open('rb') as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
