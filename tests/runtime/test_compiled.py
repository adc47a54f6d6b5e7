"""Compiled functions: one compilation a shape, equal results, one clear line where torch cannot compile."""

import shutil
from typing import Any

import pytest
import torch
from counting_backend import Counter
from torch import Tensor

from engine.errors import UsageError
from engine.runtime import compiled
from engine.runtime.compiled import Compiled, check_compiler


def work(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.sin() + 1, x.flatten(1).softmax(1)


def test_a_shape_is_compiled_once_and_others_up_to_the_bound() -> None:
    counter, notes = Counter(), []
    function = Compiled(work, counter, most=2, on_note=notes.append)
    for side in (4, 4, 6, 8, 4, 10, 6):
        x = torch.rand(1, 3, side, side)
        for found, wanted in zip(function(x), work(x), strict=True):
            torch.testing.assert_close(found, wanted)
    assert counter.compiled == 2
    assert notes == ["more than 2 sizes of frames: further ones are not compiled"]


def test_functions_do_not_count_for_each_other() -> None:
    for _ in range(12):  # torch gives a function up that is compiled anew more often than eight times
        counter = Counter()
        Compiled(work, counter)(torch.rand(1, 2, 3))
        assert counter.compiled == 1


def test_a_compiler_that_fails_is_one_clear_line() -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no such header\nand a page more")

    with pytest.raises(UsageError, match="torch cannot compile here") as error:
        Compiled(work, broken)(torch.rand(1, 2, 3))
    assert "\n" not in error.value.what and "leave --compile out" in error.value.hint


def test_a_cpu_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UsageError, match="needs a C\\+\\+ compiler"):
        check_compiler(torch.device("cpu"))
    assert shutil.which("g++") is None


def test_a_card_without_triton_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(compiled, "_has_triton", lambda: False)
    with pytest.raises(UsageError, match="needs Triton"):
        check_compiler(torch.device("cuda"))


def test_a_card_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "an old card")
    with pytest.raises(UsageError, match="an old card is too old"):
        check_compiler(torch.device("cuda"))


@pytest.mark.skipif(not compiled._has_cpp(), reason="needs a C++ compiler")
def test_inductor_gives_what_eager_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor, "compile_threads", 1)  # no pool of processes for one small kernel
    conv = torch.nn.Conv2d(3, 4, 3, padding=1).eval()
    with torch.inference_mode():
        x = torch.rand(1, 3, 8, 8)
        try:
            found = Compiled(lambda x: conv(x).relu() * 2)(x)
        except UsageError as error:
            pytest.skip(f"the compiler is there, but: {error}")
        torch.testing.assert_close(found, conv(x).relu() * 2)
