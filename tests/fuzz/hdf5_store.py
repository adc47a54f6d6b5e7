"""Mutated HDF5 stores, each read to its end in a child that may die: what the library does is seen from outside.

Plain mutations are what disks and networks do. Forged ones have their checksums put right again, so that the library
believes them: what somebody with bad intent would send. Knows bytes of HDF5 as far as their checksums.
"""

import json
import mmap
import os
import random
import resource
import signal
import struct
import time
from functools import cache
from pathlib import Path
from typing import Any

import samples

SECONDS_EACH = 20
MEMORY = 2 << 30
_SIGNATURES = (
    b"OHDR",
    b"OCHK",
    b"FRHP",
    b"FHDB",
    b"FHIB",
    b"BTHD",
    b"BTLF",
    b"BTIN",
    b"FAHD",
    b"FADB",
    b"EAHD",
    b"EAIB",
)
_SIGNATURES += (b"EASB", b"EADB")
_LONGEST_BLOCK = 900
_MASK = 0xFFFFFFFF
Block = tuple[int, int]  # where it begins, and where its checksum lies


def lookup3(data: bytes) -> int:
    """Bob Jenkins' hash, which is the checksum of HDF5's metadata."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    at, left = 0, len(data)
    while left > 12:
        x, y, z = struct.unpack_from("<III", data, at)
        a, b, c = _mixed((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
        at, left = at + 12, left - 12
    if left == 0:
        return c
    x, y, z = struct.unpack("<III", data[at:].ljust(12, b"\0"))
    return _final((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)


def _turned(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & _MASK


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    a = ((a - c) & _MASK) ^ _turned(c, 4)
    c = (c + b) & _MASK
    b = ((b - a) & _MASK) ^ _turned(a, 6)
    a = (a + c) & _MASK
    c = ((c - b) & _MASK) ^ _turned(b, 8)
    b = (b + a) & _MASK
    a = ((a - c) & _MASK) ^ _turned(c, 16)
    c = (c + b) & _MASK
    b = ((b - a) & _MASK) ^ _turned(a, 19)
    a = (a + c) & _MASK
    c = ((c - b) & _MASK) ^ _turned(b, 4)
    b = (b + a) & _MASK
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for left, right, by in ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)):
        values = [a, b, c]
        values[left] = ((values[left] ^ values[right]) - _turned(values[right], by)) & _MASK
        a, b, c = values
    return c


@cache
def blocks(data: bytes) -> tuple[Block, ...]:
    """The metadata blocks of a file whose checksums are found."""
    found = [(0, 44)] if lookup3(data[:44]) == struct.unpack_from("<I", data, 44)[0] else []
    for signature in _SIGNATURES:
        at = data.find(signature)
        while at >= 0:
            end = _end_of_block(data, at)
            if end:
                found.append((at, end))
            at = data.find(signature, at + 1)
    return tuple(found)


def _end_of_block(data: bytes, at: int) -> int | None:
    for length in range(8, min(_LONGEST_BLOCK, len(data) - at - 4)):
        if data[at + length : at + length + 4] == b"\0\0\0\0":
            continue
        if lookup3(data[at : at + length]) == struct.unpack_from("<I", data, at + length)[0]:
            return at + length
    return None


def spoiled(rng: random.Random, forged: bool) -> bytes:
    """A store with some bytes changed; forged: inside metadata, checksums right."""
    data = samples.stores()[0 if rng.random() < 0.7 else 1]
    changed, places = bytearray(data), blocks(data)
    touched: set[Block] = set()
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if forged and places:
            block = rng.choice(places)
            at = rng.randrange(block[0] + 4, block[1])
            touched.add(block)
        else:
            at = rng.randrange(len(changed))
        _change(changed, at, rng)
    for begin, end in touched:
        struct.pack_into("<I", changed, end, lookup3(bytes(changed[begin:end])))
    if not forged and rng.random() < 0.1:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed)


def _change(data: bytearray, at: int, rng: random.Random) -> None:
    kind = rng.randrange(5)
    if kind == 0:
        data[at] = rng.randrange(256)
    elif kind == 1:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 2:
        data[at] = (data[at] + rng.choice((-1, 1))) & 255
    else:
        value = rng.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", rng.randbytes(4), b"\0\0\1\0"))
        for offset, byte in enumerate(value[: len(data) - at]):
            data[at + offset] = byte


def fuzz(runs: int, seed: int, keep: Path, forged: bool) -> dict[str, Any]:
    """So many stores; the row of the report."""
    import h5py  # noqa: F401  (children share what is imported here)
    import targets  # noqa: F401

    name = "stores forged" if forged else "stores"
    board = mmap.mmap(-1, 4096)  # at which input the child is, and its counts
    began, done, findings = time.monotonic(), 0, dict[str, str]()
    samples.stores()
    counts = {"tried": 0, "refused": 0, "accepted": 0}
    while done < runs:
        status = _child(seed, forged, done, runs, board, keep)
        row = json.loads(board[:].rstrip(b"\0"))
        for key in ("tried", "refused", "accepted"):
            counts[key] += row[key]
        findings |= row["findings"]
        done = row["at"] + 1 if status else runs
        if status:
            counts["tried"] += 1
            file = keep / f"{name.replace(' ', '-')}-{seed}-{row['at']}.h5"
            file.write_bytes(spoiled(random.Random(f"{seed} {forged} {row['at']}"), forged))
            findings[f"the child died of signal {-status}" if status < 0 else f"ended with {status}"] = file.name
            counts[f"died of {signal.Signals(-status).name}" if status < 0 else "ended"] = (
                counts.get(f"died of {signal.Signals(-status).name}" if status < 0 else "ended", 0) + 1
            )
    return {"target": name, **counts, "findings": findings, "seconds": round(time.monotonic() - began, 1)}


def _child(seed: int, forged: bool, first: int, runs: int, board: mmap.mmap, keep: Path) -> int:
    """Read stores in a child until it dies or is through; how it ended."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    code = 3
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY + (1 << 30), MEMORY + (1 << 30)))
        _read_all(seed, forged, first, runs, board, keep)
        code = 0
    finally:
        os._exit(code)


def _read_all(seed: int, forged: bool, first: int, runs: int, board: mmap.mmap, keep: Path) -> None:
    import targets
    from fuzz import _kind

    from engine.errors import MugvosError

    row: dict[str, Any] = {"at": first, "tried": 0, "refused": 0, "accepted": 0, "findings": {}}
    path = targets.FOLDER / f"fuzz-{os.getpid()}.h5"
    for at in range(first, runs):
        row["at"] = at
        board[:] = json.dumps(row).encode().ljust(4096, b"\0")[:4096]
        data = spoiled(random.Random(f"{seed} {forged} {at}"), forged)
        path.write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, SECONDS_EACH)  # of the processor, so that a loaded machine is no fault
        try:
            targets.read_everything(path)
            row["accepted"] += 1
        except MugvosError:
            row["refused"] += 1
        except Exception as error:
            kind = _kind(error)
            if kind not in row["findings"] and len(row["findings"]) < 12:
                file = keep / f"stores-{seed}-{at}.h5"
                file.write_bytes(data)
                row["findings"][kind] = file.name
        row["tried"] += 1
    signal.setitimer(signal.ITIMER_PROF, 0)
    path.unlink(missing_ok=True)
    board[:] = json.dumps(row).encode().ljust(4096, b"\0")[:4096]
