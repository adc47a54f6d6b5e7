"""Device, precision, seeds and batches."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from engine.errors import UsageError
from engine.runtime import (
    FittingBatches,
    autocast,
    derive_seed,
    describe_devices,
    numpy_generator,
    resolve_device,
    resolve_precision,
    torch_generator,
    tune_allocator,
)
from engine.runtime.onednn import has_bfloat16

CPU = torch.device("cpu")
no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without CUDA")


def test_devices():
    assert resolve_device("cpu") == CPU
    assert resolve_device().type in {"cpu", "cuda", "mps"}
    assert describe_devices()[0][0] == "cpu"


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:x", "CPU", "cpu:0"])
def test_names_that_are_no_device(name):
    with pytest.raises(UsageError, match="is no device"):
        resolve_device(name)


@no_cuda
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_cuda_that_is_not_there(name):
    with pytest.raises(UsageError, match="no CUDA device on this machine"):
        resolve_device(name)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_that_is_there():
    assert resolve_device("auto").type == "cuda"
    assert resolve_precision("fp16", resolve_device("cuda:0")) == torch.float16
    with pytest.raises(UsageError, match="this machine has"):
        resolve_device("cuda:99")


def test_precision_on_a_cpu():
    assert resolve_precision("auto", CPU) == torch.float32
    assert resolve_precision("bf16", CPU) == torch.bfloat16
    assert resolve_precision("auto", CPU, on_cpu=True) == (torch.bfloat16 if has_bfloat16() else torch.float32)
    with pytest.raises(UsageError, match="needs a GPU"):
        resolve_precision("fp16", CPU)
    with pytest.raises(UsageError, match="is no precision"):
        resolve_precision("fp8", CPU)


def test_autocast():
    layer, x = torch.nn.Linear(4, 4), torch.rand(2, 4)
    with autocast(CPU, torch.float32):
        assert layer(x).dtype == torch.float32
    with autocast(CPU, torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16


def test_seeds_follow_from_names_only():
    assert derive_seed(0, "a") == derive_seed(0, "a")
    variants = [(0,), (1,), (0, "a"), (0, "b"), (0, "a", "b"), (0, "ab"), (0, "b", "a"), (0, 1), (0, "1"), (0, "a", 1)]
    seeds = [derive_seed(*variant) for variant in variants]
    assert len(set(seeds)) == len(variants)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_do_not_change_between_versions_or_machines():
    assert derive_seed(0, "eviction", "bear") == 3392922562775832787


def test_generators_are_independent_of_each_other():
    one = torch.rand(3, generator=torch_generator(7, "x"))
    torch_generator(7, "y").seed()
    assert torch.equal(one, torch.rand(3, generator=torch_generator(7, "x")))
    assert not torch.equal(one, torch.rand(3, generator=torch_generator(7, "y")))
    assert np.array_equal(numpy_generator(7, "x").random(3), numpy_generator(7, "x").random(3))


def _limited(limit: int, log: list[tuple[int, int]], error: type[Exception] = torch.OutOfMemoryError):
    def work(start: int, stop: int) -> range:
        log.append((start, stop))
        if stop - start > limit:
            raise error("DefaultCPUAllocator: can't allocate memory")
        return range(start, stop)

    return work


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, RuntimeError])
@pytest.mark.parametrize(("count", "size", "limit"), [(10, 4, 99), (10, 8, 3), (7, 100, 1), (0, 3, 1), (1, 1, 1)])
def test_batches_shrink_until_they_fit_and_cover_everything(count, size, limit, error):
    batches, log = FittingBatches(size), []
    parts = list(batches.run(count, _limited(limit, log, error)))
    assert [i for part in parts for i in part] == list(range(count))
    assert batches.size <= size
    failures = sum(stop - start > limit for start, stop in log)
    list(batches.run(count, _limited(limit, log, error)))
    assert sum(stop - start > limit for start, stop in log) == failures, "the size that fits is remembered"


def test_a_single_item_that_does_not_fit_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        list(FittingBatches(4).run(3, _limited(0, [])))


def test_other_errors_are_passed_on():
    def work(start: int, stop: int) -> int:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(FittingBatches(4).run(8, work))
    with pytest.raises(ValueError, match="below 1"):
        FittingBatches(0)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_allocator_thresholds_are_accepted():
    code = "import platform; from engine.runtime import tune_allocator as t; "
    code += "assert t() == (platform.libc_ver()[0] == 'glibc')"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_allocator_elsewhere(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert tune_allocator() is False
