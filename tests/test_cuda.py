"""GPU tensors between processes: what can be held without a GPU, and, where there is one, the real thing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dora import cuda

HANDLE = bytes(range(192, 256))
METADATA = {"shape": [2, 3], "strides": [12, 4], "dtype": "<f4", "size": 24, "offset": 512}


def has_gpu() -> bool:
    """Whether PyTorch finds a GPU here."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


class FakeDriver:
    """Two allocations of a sender, as a receiver and a sender see them.

    Attributes:
        opened: addresses that are mapped.
    """

    def __init__(self) -> None:
        self.opened: list[int] = []

    def address_range(self, address: int) -> tuple[int, int]:
        return 0x1000, 4096

    def export(self, base: int) -> bytes:
        assert base == 0x1000
        return HANDLE

    def open(self, handle: bytes) -> int:
        assert handle == HANDLE
        self.opened.append(0x7000)
        return 0x7000

    def close(self, base: int) -> None:
        self.opened.remove(base)


class FakeTensor(SimpleNamespace):
    """As much of a tensor as is asked of it."""

    def __init__(self, address: int = 0x1200, **attributes: Any) -> None:
        stated = {"is_cuda": True, "dtype": "torch.float32", "layout": "strided", "shape": (2, 3), "steps": (3, 1)}
        super().__init__(**{"address": address, "device": SimpleNamespace(index=0), **stated, **attributes})

    def element_size(self) -> int:
        return 2 if "16" in str(self.dtype) else 4

    def stride(self) -> tuple[int, ...]:
        return tuple(self.steps)

    def numel(self) -> int:
        return int(np.prod(self.shape))

    def data_ptr(self) -> int:
        return int(self.address)

    def is_conj(self) -> bool:
        return False

    is_neg = is_conj

    def view(self, dtype: Any) -> FakeTensor:
        self.dtype = dtype
        return self

    def as_strided(self, shape: Any, steps: Any) -> FakeTensor:
        self.shape, self.steps = shape, steps
        return self


class FakeType(SimpleNamespace):
    """A torch.dtype."""


def fake_torch() -> SimpleNamespace:
    """PyTorch with one GPU."""
    stream = SimpleNamespace(synchronize=lambda: None)
    gpu = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        current_stream=lambda: stream,
        device=lambda index: _Nothing(),
    )
    return SimpleNamespace(
        __version__="0",
        cuda=gpu,
        strided="strided",
        dtype=FakeType,
        float32=FakeType(size=4),
        bfloat16=FakeType(size=2),
        empty=lambda count, dtype: SimpleNamespace(element_size=lambda: dtype.size),
        empty_strided=lambda shape, strides, dtype, device: FakeTensor(0, shape=shape, steps=strides, dtype=dtype),
        as_tensor=lambda memory, device: FakeTensor(memory.__cuda_array_interface__["data"][0]),
    )


class _Nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *reason: object) -> None: ...


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """A GPU that is not there; nothing on it may stay mapped."""
    driver = FakeDriver()
    monkeypatch.setitem(sys.modules, "torch", fake_torch())  # type: ignore[arg-type]
    monkeypatch.setattr(cuda, "_driver", lambda: driver)
    yield driver
    assert not driver.opened


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)


# -- without anything


@pytest.mark.slow
def test_import_loads_neither_pytorch_nor_cuda() -> None:
    code = "import sys, dora.cuda\nprint('torch' in sys.modules)\nprint('libcuda' in open('/proc/self/maps').read())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\nFalse\n"


def test_tensor_on_the_cpu_is_refused(no_torch: None) -> None:
    with pytest.raises(ValueError, match="tensor must be on a CUDA device"):
        cuda.torch_to_ipc_buffer(FakeTensor(is_cuda=False, device="cpu"))


def test_something_else_than_a_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match=r"expected a torch\.Tensor, found ndarray"):
        cuda.torch_to_ipc_buffer(np.zeros(3))


def test_use_without_pytorch_says_what_is_missing(no_torch: None) -> None:
    handle = cuda.ipc_buffer_to_ipc_handle(HANDLE, METADATA)
    with (
        pytest.raises(RuntimeError, match=r"dora\.cuda needs PyTorch with CUDA"),
        cuda.open_ipc_handle(handle, METADATA),
    ):
        pass
    with pytest.raises(RuntimeError, match=r"dora\.cuda needs PyTorch with CUDA"):
        cuda.torch_to_ipc_buffer(FakeTensor())


def test_use_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = fake_torch()
    torch.cuda.is_available = lambda: False
    torch.version = SimpleNamespace(cuda=None)
    monkeypatch.setitem(sys.modules, "torch", torch)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"needs a GPU, but torch\.cuda\.is_available\(\) is False"):
        cuda.torch_to_ipc_buffer(FakeTensor())


@pytest.mark.skipif(has_gpu(), reason="the driver is here")
def test_missing_driver_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"needs the CUDA driver library libcuda\.so\.1"):
        cuda._Driver()


# -- what the metadata says


def test_layout_has_everything_in_bytes() -> None:
    layout = cuda.layout_of(METADATA)
    assert layout == ((2, 3), (12, 4), "float32", 4, 512, 24, 0)


@pytest.mark.parametrize(
    ("shape", "strides", "extent"),
    [([], [], 4), ([0, 3], [12, 4], 0), ([2, 3], [4, 8], 24), ([5], [0], 4), ([3], [8], 20)],
)
def test_extent_is_from_the_first_to_the_last_byte(shape: list[int], strides: list[int], extent: int) -> None:
    assert cuda.layout_of({"shape": shape, "strides": strides, "dtype": "<f4"}).extent == extent


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"shape": None}, "metadata 'shape': expected a list of integers, found None"),
        ({"shape": "ab"}, "metadata 'shape': expected a list of integers, found 'ab'"),
        ({"shape": [2, -3]}, "metadata 'shape': expected an integer, 0 or more, found -3"),
        ({"shape": [2, 1.5]}, "metadata 'shape': expected an integer, 0 or more, found 1.5"),
        ({"shape": [True, 3]}, "metadata 'shape': expected an integer, 0 or more, found True"),
        ({"strides": [-12, 4]}, "metadata 'strides': expected an integer, 0 or more, found -12"),
        ({"strides": [4]}, "expected as many strides as dimensions"),
        ({"strides": [12, 3]}, "expected strides in multiples of 4 bytes (float32), found (12, 3)"),
        ({"offset": 2}, "expected an offset in multiples of 4 bytes"),
        ({"offset": -4}, "metadata 'offset': expected an integer, 0 or more, found -4"),
        ({"device": -1}, "metadata 'device': expected an integer, 0 or more, found -1"),
        ({"dtype": "float"}, "metadata 'dtype': expected one of |b1, |u1,"),
        ({"dtype": "|V2"}, "or |V2 with a torch_dtype"),
        ({"shape": [1 << 61, 3]}, "is larger than any memory"),
        ({"shape": [1] * 65}, "metadata 'shape': expected a list of integers"),
    ],
)
def test_wrong_metadata_is_refused_with_its_key(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is compared below
        cuda.layout_of({**METADATA, **wrong})
    assert text in str(caught.value)


def test_tensor_must_lie_inside_the_memory() -> None:
    layout = cuda.layout_of(METADATA)
    cuda.check_inside(layout, 536)
    with pytest.raises(ValueError, match="needs 536 bytes, but the sender's memory has 535"):
        cuda.check_inside(layout, 535)


# -- handles


@pytest.mark.parametrize(
    "buffer",
    [
        HANDLE,
        bytearray(HANDLE),
        list(HANDLE),
        pa.array(np.frombuffer(HANDLE, np.int8)),
        pa.array(list(HANDLE), pa.uint8()),
    ],
)
def test_handle_is_put_together_from_what_arrives(driver: FakeDriver, buffer: Any) -> None:
    handle = cuda.ipc_buffer_to_ipc_handle(buffer, METADATA)
    assert handle.open() == 0x7000 + 512
    handle.close()
    handle.close()


@pytest.mark.parametrize("buffer", [b"short", pa.array([None] * 64, pa.int8()), pa.array([300] * 64), None, 5])
def test_what_is_no_handle_is_refused(buffer: Any) -> None:
    with pytest.raises(ValueError, match="expected an int8 array"):
        cuda.ipc_buffer_to_ipc_handle(buffer, METADATA)


def test_handle_is_opened_once_at_a_time(driver: FakeDriver) -> None:
    handle = cuda.ipc_buffer_to_ipc_handle(HANDLE, METADATA)
    handle.open()
    with pytest.raises(RuntimeError, match="is open already"):
        handle.open()
    handle.close()


def test_memory_that_is_too_small_is_unmapped_again(driver: FakeDriver) -> None:
    handle = cuda.ipc_buffer_to_ipc_handle(HANDLE, {**METADATA, "shape": [2000, 3]})
    with pytest.raises(ValueError, match="but the sender's memory has 4096"):
        handle.open()


def test_gpu_that_this_process_does_not_see_is_named(driver: FakeDriver) -> None:
    handle = cuda.ipc_buffer_to_ipc_handle(HANDLE, {**METADATA, "device": 3})
    with pytest.raises(RuntimeError, match="the tensor is on GPU 3, but this process sees 1"):
        handle.open()


# -- tensors, on a GPU that is not there


def test_sender_describes_its_tensor(driver: FakeDriver) -> None:
    buffer, metadata = cuda.torch_to_ipc_buffer(FakeTensor())
    assert buffer.type == pa.int8()
    assert bytes(value & 0xFF for value in buffer.to_pylist()) == HANDLE
    assert metadata == {
        "shape": (2, 3),
        "strides": (12, 4),
        "dtype": "<f4",
        "size": 24,
        "offset": 0x200,
        "device": 0,
    }


def test_type_that_numpy_lacks_travels_by_its_name(driver: FakeDriver) -> None:
    buffer, metadata = cuda.torch_to_ipc_buffer(FakeTensor(dtype="torch.bfloat16"))
    assert (metadata["dtype"], metadata["torch_dtype"]) == ("|V2", "bfloat16")
    with cuda.open_ipc_handle(cuda.ipc_buffer_to_ipc_handle(buffer, metadata), metadata) as tensor:
        assert tensor.dtype.size == 2


def test_tensor_that_only_looks_at_others_is_refused(driver: FakeDriver) -> None:
    with pytest.raises(ValueError, match=r"call to_dense\(\), resolve_conj\(\)"):
        cuda.torch_to_ipc_buffer(FakeTensor(layout="sparse_coo"))


def test_receiver_gets_a_tensor_over_the_senders_memory_for_the_block(driver: FakeDriver) -> None:
    handle = cuda.ipc_buffer_to_ipc_handle(HANDLE, METADATA)
    with cuda.open_ipc_handle(handle, METADATA) as tensor:
        assert (tensor.data_ptr(), tensor.shape, tensor.steps) == (0x7000 + 512, (2, 3), [3, 1])
        assert driver.opened == [0x7000]


def test_memory_is_unmapped_when_the_block_raises(driver: FakeDriver) -> None:
    handle = cuda.ipc_buffer_to_ipc_handle(HANDLE, METADATA)
    with pytest.raises(KeyError), cuda.open_ipc_handle(handle, METADATA):
        raise KeyError


def test_empty_tensor_needs_no_memory(driver: FakeDriver) -> None:
    buffer, metadata = cuda.torch_to_ipc_buffer(FakeTensor(0, shape=(0, 3)))
    with cuda.open_ipc_handle(cuda.ipc_buffer_to_ipc_handle(buffer, metadata), metadata) as tensor:
        assert tensor.shape == (0, 3)
        assert not driver.opened


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"dtype": "|V2", "strides": [6, 2], "torch_dtype": "float32"}, "elements of 2 bytes, but torch.float32 has 4"),
        ({"dtype": "|V2", "strides": [6, 2], "torch_dtype": "empty"}, "has no type 'empty'"),
    ],
)
def test_type_that_pytorch_lacks_is_refused(driver: FakeDriver, change: dict[str, Any], text: str) -> None:
    metadata = {**METADATA, **change}
    handle = cuda.ipc_buffer_to_ipc_handle(HANDLE, metadata)
    with pytest.raises(ValueError, match=text), cuda.open_ipc_handle(handle, metadata):
        pass


# -- the real thing

SENDER = """
import json, sys, torch
from dora import cuda
base = torch.arange(4096, dtype=torch.float32, device="cuda")
tensors = {
    "whole": base, "slice": base[100:200], "columns": base.view(64, 64)[3:9, ::2].t(),
    "bf16": base[:16].to(torch.bfloat16), "bool": base[:8] > 3, "empty": base[:0], "scalar": base[7].clone(),
}
for name, tensor in tensors.items():
    buffer, metadata = cuda.torch_to_ipc_buffer(tensor)
    print(json.dumps([name, buffer.to_pylist(), metadata, tensor.float().flatten().tolist()]), flush=True)
print("end", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(not has_gpu(), reason="needs PyTorch and a GPU")
def test_tensors_of_another_process_are_read_and_written_in_place() -> None:
    import json

    with subprocess.Popen([sys.executable, "-c", SENDER], stdin=-1, stdout=-1, text=True) as sender:
        assert sender.stdout is not None
        for line in iter(sender.stdout.readline, "end\n"):
            name, values, metadata, expected = json.loads(line)
            handle = cuda.ipc_buffer_to_ipc_handle(pa.array(values, pa.int8()), metadata)
            with cuda.open_ipc_handle(handle, metadata) as tensor:
                assert list(tensor.shape) == metadata["shape"], name
                assert tensor.float().flatten().tolist() == expected, name
        sender.communicate()


@pytest.mark.slow
@pytest.mark.skipif(not has_gpu(), reason="needs PyTorch and a GPU")
def test_memory_of_this_very_process_is_refused() -> None:
    import torch

    buffer, metadata = cuda.torch_to_ipc_buffer(torch.zeros(4, device="cuda"))
    with pytest.raises(RuntimeError, match="another process than this"):
        cuda.ipc_buffer_to_ipc_handle(buffer, metadata).open()
