"""The digest is the beginning of the file's SHA-256, whatever the file is called."""

import hashlib
from pathlib import Path

from engine.weights.digest import file_digest


def test_digest_follows_content_alone(tmp_path: Path) -> None:
    for name, content in (("a", b"weights"), ("b", b"weights"), ("c", b"weightS")):
        (tmp_path / name).write_bytes(content)
    digests = [file_digest(tmp_path / name) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] == hashlib.sha256(b"weights").hexdigest()[:16]
