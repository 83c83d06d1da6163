"""Addresses of weights: which file they mean, where it is kept, and whether it is the one."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from mmmlc.engine import downloads
from mmmlc.engine.addresses import locate, look_up
from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.downloads import SAME_NETWORK, cached, sources, split_hash
from mmmlc.engine.launch import load_config
from mmmlc.engine.prepare import parts_of


class _Quiet(SimpleHTTPRequestHandler):
    def log_request(self, *words):
        self.server.asked.append(self.path)

    def log_message(self, *words):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves the folder ``web``; ``asked`` is what was asked for; torch's cache is ``hub``."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    (tmp_path / 'web').mkdir()
    handler = partial(_Quiet, directory=str(tmp_path / 'web'))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        server.asked, server.daemon_threads = [], True
        server.address = f'http://127.0.0.1:{server.server_port}'
        server.web = tmp_path / 'web'
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _save(folder: Path, name: str, value: float) -> str:
    """Write a checkpoint; ``{}`` in its name becomes the first digits of its SHA-256, returned."""
    path = folder / 'new.pth'
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=dict(weight=torch.full((2,), value))), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.replace(folder / name.format(digest[:8]))
    return digest


def _value(address: str) -> float:
    return load_checkpoint_file(address)['state_dict']['weight'][0].item()


def test_two_addresses_with_one_file_name(server):
    _save(server.web / 'a', 'model.pth', 1.0)
    _save(server.web / 'b', 'model.pth', 2.0)
    addresses = [f'{server.address}/{folder}/model.pth' for folder in 'ab']
    for _ in range(2):
        assert [_value(address) for address in addresses] == [1, 2]
    assert len(server.asked) == 2  # the second time they are there
    assert len({locate(address) for address in addresses}) == 2


def test_the_digits_in_the_name_are_compared(server, tmp_path):
    digest = _save(server.web, 'net_20210831-{}.pth', 1.0)
    name = f'net_20210831-{digest[:8]}.pth'
    address = f'{server.address}/{name}'
    assert _value(address) == 1
    # What is kept is compared whenever it is read.
    kept = Path(locate(address))
    kept.write_bytes(kept.read_bytes()[:-1] + b'x')
    with pytest.raises(ValueError, match=rf'{kept.name}, kept of {address}, is another file than'):
        _value(address)
    kept.unlink()
    # Another file under the same name at its host, cut short, or changed.
    good = (server.web / name).read_bytes()
    for content in (good[:-7], good[:-1] + b'x', b'<html>domain for sale</html>'):
        (server.web / name).write_bytes(content)
        found = hashlib.sha256(content).hexdigest()
        says = f'{name} is another .*expected "{digest[:8]}", got "{found}"'
        with pytest.raises(ValueError, match=says):
            _value(address)
        assert not [*(tmp_path / 'hub').rglob('*net_*')]


def test_a_whole_sha256_in_the_address(server):
    digest = _save(server.web, 'model.pth', 1.0)
    other = _save(server.web / 'b', 'model-0123abcd.pth', 2.0)
    assert _value(f'{server.address}/model.pth#sha256={digest}') == 1
    assert _value(f'{server.address}/model.pth#sha256={digest[:12].upper()}') == 1
    with pytest.raises(ValueError, match='expected "0123abcd"'):
        _value(f'{server.address}/b/model-0123abcd.pth')
    # What the message says helps.
    assert _value(f'{server.address}/b/model-0123abcd.pth#sha256={other}') == 2
    for wrong in ('', '12', 'xyzxyzxyz', '0' * 65):
        with pytest.raises(ValueError, match=f'#sha256={wrong}, expected 8 to 64 hexadecimal'):
            _value(f'{server.address}/model.pth#sha256={wrong}')


def test_a_file_of_torchs_own_cache_is_taken_where_it_is_proven(server, tmp_path):
    folder = tmp_path / 'hub/checkpoints'
    digest = _save(folder, 'net-{}.pth', 3.0)
    _save(folder, 'model.pth', 3.0)
    assert _value(f'{server.address}/gone/net-{digest[:8]}.pth') == 3 and not server.asked
    with pytest.raises(OSError, match=r'gone/model.pth cannot be downloaded: .*404'):
        _value(f'{server.address}/gone/model.pth')


def test_the_second_source(server, monkeypatch):
    digest = _save(server.web / 'mirror', 'net-{}.pth', 4.0)
    pair = (f'{server.address}/first/', f'{server.address}/mirror/')
    monkeypatch.setattr(downloads, 'MIRRORS', [pair])
    address = f'{server.address}/first/net-{digest[:8]}.pth'
    assert _value(address) == 4 and len(server.asked) == 2
    # Nothing shows that the mirror's file of this name is the same one.
    _save(server.web / 'mirror', 'plain.pth', 4.0)
    with pytest.raises(OSError, match='first/plain.pth cannot be downloaded'):
        _value(f'{server.address}/first/plain.pth')
    (server.web / 'mirror' / f'net-{digest[:8]}.pth').unlink()
    Path(locate(address)).unlink()
    with pytest.raises(OSError, match=r'first/net.*404.*; .*mirror/net.*404'):
        _value(address)
    # A host that answers with something else is passed over, too.
    _save(server.web / 'mirror', 'net-{}.pth', 4.0)
    _save(server.web / 'first', f'net-{digest[:8]}.pth', 5.0)
    assert _value(address) == 4


def test_other_weights_of_the_same_network_are_named(server, monkeypatch):
    name = 'resnet101_8xb32_in1k_20210831-539c63f8.pth'
    with pytest.raises(OSError, match=r'checkpoint=torchvision://resnet101 .*prefix=None'):
        _value(f'{server.address}/{name}')


@pytest.mark.parametrize('name', SAME_NETWORK)
def test_the_named_weights_fit(name):
    """torchvision's keys and shapes are those of mmpretrain's backbone, but for the classifier."""
    import torchvision

    kind = SAME_NETWORK[name].split('://')[1]
    assert kind in look_up(SAME_NETWORK[name])
    depth = int(kind.removeprefix('resnet'))
    ours = MODELS.build(dict(type='mmpretrain.ResNet', depth=depth)).state_dict()
    with torch.device('meta'):
        theirs = getattr(torchvision.models, kind)().state_dict()
    shapes = [
        {key: value.shape for key, value in state.items() if not key.startswith('fc.')}
        for state in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ('address', 'digits'),
    [
        ('https://x.org/a_20210831-539c63f8.pth', '539c63f8'),
        ('https://x.org/a-539c63f8.pth?download=1', '539c63f8'),
        ('https://x.org/a-20210831.pth', ''),  # a date
        ('https://x.org/a-29999999.pth', '29999999'),  # none
        ('https://x.org/a-539c63f.pth', ''),
        ('https://x.org/539c63f8/a.pth', ''),
        ('https://x.org/a.pth', ''),
    ],
)
def test_digits_of_names(address, digits):
    assert split_hash(address) == (address, digits)


def test_names_of_kept_files():
    """Whatever the address, the name is one that a file can have."""
    for url in ('https://x.org/', 'https://x.org/a%2Fb?x=../..', f'https://x.org/{"ü" * 300}.pth'):
        name = cached(url, '').name
        assert len(name.encode()) < 256 and '/' not in name and name not in ('.', '..')
    assert cached('https://x.org/a?v=1', '') != cached('https://x.org/a?v=2', '')


def test_mirrors_hold_the_same_path():
    url = 'https://download.openmmlab.com/mmclassification/v0/a-0123abcd.pth'
    assert sources(url, '0123abcd') == [
        url,
        'https://mmassets.onedl.ai/mmclassification/v0/a-0123abcd.pth',
    ]
    assert sources(url, '') == [url]


def _addresses(cfg: Config) -> list[str]:
    """What looks like an address wherever weights are named."""
    found = [cfg.get('load_from')]
    for part in parts_of(cfg._cfg_dict.to_dict()):
        found += [part.get(key) for key in ('checkpoint', 'pretrained', 'teacher_checkpoint')]
    return [x for x in found if isinstance(x, str) and '://' in x]


def test_every_weight_address_of_our_configs_has_digits(root):
    addresses = set()
    for path in sorted(root.glob('configs/[!_]*/*.py')):
        addresses |= set(_addresses(load_config(path)))
    assert len(addresses) >= 8  # five of imagenet.py, SSD's VGG-16, Swin and ConvNeXt
    for address in addresses:
        zoo = not address.startswith('http')
        url, digits = split_hash(look_up(address) if zoo else address)
        assert len(digits) >= 8 and url.startswith('https://'), address
        assert zoo or len(sources(url, digits)) == 2, address
