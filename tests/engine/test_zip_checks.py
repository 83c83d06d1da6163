"""Changed bits in checkpoints, which torch itself loads as other weights."""

from __future__ import annotations

import io

import pytest
import torch

from mmmlc.engine.checkpoints import load_checkpoint_file
from mmmlc.engine.zip_checks import check_zip


def test_every_changed_byte_of_the_weights_is_noticed(tmp_path):
    path = tmp_path / 'a.pth'
    weights = torch.arange(1.0, 65.0)
    torch.save(dict(state_dict=dict(weight=weights)), path)
    good = path.read_bytes()
    start = good.index(weights.numpy().tobytes())
    for position in range(start, start + 256):
        changed = bytearray(good)
        changed[position] ^= 4
        path.write_bytes(changed)
        # Without the check these are other weights.
        other = torch.load(path, weights_only=True)['state_dict']['weight']
        assert not torch.equal(other, weights)
        with pytest.raises(
            ValueError, match=r'a.pth cannot be read .*BadZipFile: Bad CRC-32 for .*data/0'
        ):
            load_checkpoint_file(path)
    path.write_bytes(good)
    assert torch.equal(load_checkpoint_file(path)['state_dict']['weight'], weights)


def test_content_and_other_kinds(tmp_path):
    buffer = io.BytesIO()
    torch.save(dict(a=torch.ones(3)), buffer)
    check_zip(buffer, 's3://bucket/a.pth')
    assert buffer.tell() == 0 and len(torch.load(buffer, weights_only=True)['a']) == 3
    content = bytearray(buffer.getvalue())
    content[content.index(torch.ones(3).numpy().tobytes())] ^= 1
    with pytest.raises(ValueError, match='s3://bucket/a.pth cannot be read'):
        check_zip(io.BytesIO(bytes(content)), 's3://bucket/a.pth')
    old = tmp_path / 'old.pth'
    torch.save(dict(a=torch.ones(3)), old, _use_new_zipfile_serialization=False)
    check_zip(str(old), 'old.pth')


def test_written_without_checksums(tmp_path):
    path = tmp_path / 'a.pth'
    before = torch.serialization.get_crc32_options()
    try:
        torch.serialization.set_crc32_options(False)
        torch.save(dict(a=torch.ones(3)), path)
    finally:
        torch.serialization.set_crc32_options(before)
    with pytest.raises(ValueError, match='written without checksums .*--trust'):
        load_checkpoint_file(path)
    assert len(load_checkpoint_file(path, trust=True)['a']) == 3
