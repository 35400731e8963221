"""The chunks of one output: classes, order of reuse, what goes back to the kernel."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from dora.transport import arena as arena_module
from dora.transport.arena import Arena
from transport.joined import make_memory

SIZE = 1 << 24


@pytest.fixture
def memory() -> Iterator[int]:
    """The memfd of the arena."""
    fd = make_memory(SIZE)
    yield fd
    os.close(fd)


@pytest.fixture
def arena(memory: int) -> Iterator[Arena]:
    """An arena of 16 MiB."""
    made = Arena(os.dup(memory), SIZE)
    yield made
    made.close()


def touched_bytes(memory: int) -> int:
    """Memory that the kernel really gave."""
    return os.fstat(memory).st_blocks * 512


@pytest.mark.parametrize(
    ("size", "chunk_bytes"),
    [(0, 4096), (1, 4096), (4096, 4096), (4097, 8192), (65536, 65536), (65537, 131072), (1 << 20, 1 << 20)],
)
def test_chunk_is_the_power_of_two_that_holds_the_message(size: int, chunk_bytes: int) -> None:
    assert 1 << Arena.class_of(size) == chunk_bytes


@pytest.mark.parametrize("size", [0, 1, 4096, 5000, 100_000, 1 << 20])
def test_chunks_in_use_never_overlap(arena: Arena, size: int) -> None:
    length = 1 << Arena.class_of(size)
    offsets = sorted(arena.allocate(size) for _ in range(8))
    assert all(after - before >= length for before, after in itertools.pairwise(offsets))


@pytest.mark.parametrize("size", [1, 5000, 100_000, 1 << 20])
def test_every_chunk_starts_at_a_multiple_of_64(arena: Arena, size: int) -> None:
    arena.allocate(1)
    assert not any((arena.address + arena.allocate(size)) % 64 for _ in range(4))


def test_chunk_freed_last_is_used_first(arena: Arena) -> None:
    first, second = arena.allocate(100), arena.allocate(100)
    arena.drop(second)
    arena.drop(first)
    assert [arena.allocate(100), arena.allocate(100)] == [first, second]


def test_chunk_is_used_again_only_for_its_own_class(arena: Arena) -> None:
    small = arena.allocate(100_000)
    arena.drop(small)
    assert arena.allocate(1 << 20) != small


def test_chunk_that_nobody_freed_is_not_taken(arena: Arena) -> None:
    arena.allocate(1 << 20)
    assert arena.take_free(1 << 20) == -1


def test_chunk_is_free_when_its_last_holder_lets_go(arena: Arena) -> None:
    offset = arena.allocate(1 << 20)
    arena.hand_over(offset, 2)
    arena.drop(offset)
    assert arena.take_free(1 << 20) == -1
    arena.drop(offset)
    assert arena.take_free(1 << 20) == offset


def test_chunk_that_no_reader_holds_is_free_at_once(arena: Arena) -> None:
    offset = arena.allocate(1 << 20)
    arena.hand_over(offset, 0)
    assert arena.used_chunks == 0
    assert arena.take_free(1 << 20) == offset


def test_full_arena_says_how_much_is_in_use_and_why(arena: Arena) -> None:
    arena.allocate(1 << 23)
    expected = (
        f"no room for a message of {SIZE} bytes: {1 << 23} of {SIZE} bytes of this output are in use "
        r"\(a reader keeps too many arrays\)"
    )
    with pytest.raises(MemoryError, match=expected):
        arena.allocate(SIZE)


def test_full_arena_still_serves_what_was_freed(arena: Arena) -> None:
    offset = arena.allocate(SIZE)
    arena.drop(offset)
    assert arena.allocate(SIZE) == offset


def test_refused_allocation_changes_nothing(arena: Arena) -> None:
    with pytest.raises(MemoryError):
        arena.allocate(2 * SIZE)
    assert arena.used_chunks == 0
    assert arena.allocate(SIZE) == 0


def test_free_memory_beyond_the_budget_goes_back_to_the_kernel(
    arena: Arena, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena_module, "_KEEP_FREE_BYTES", 1 << 20)
    offsets = [arena.allocate(1 << 20) for _ in range(4)]
    for offset in offsets:
        arena.view[offset : offset + (1 << 20)] = bytes([1]) * (1 << 20)
    for offset in offsets:
        arena.drop(offset)
    assert touched_bytes(memory) == 1 << 20


def test_chunk_that_was_given_back_is_used_last(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena_module, "_KEEP_FREE_BYTES", 1 << 20)
    warm, cold = arena.allocate(1 << 20), arena.allocate(1 << 20)
    arena.drop(warm)
    arena.drop(cold)
    assert [arena.allocate(1 << 20), arena.allocate(1 << 20)] == [warm, cold]


def test_budget_counts_a_cold_chunk_once(arena: Arena, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena_module, "_KEEP_FREE_BYTES", 1 << 20)
    for _ in range(3):
        offsets = [arena.allocate(1 << 20) for _ in range(3)]
        for offset in offsets:
            arena.view[offset] = 1
        for offset in offsets:
            arena.drop(offset)
    assert touched_bytes(memory) == 4096


def test_small_chunks_come_with_spares_that_cost_no_memory(arena: Arena, memory: int) -> None:
    arena.allocate(100)
    assert touched_bytes(memory) == 0
    assert arena.take_free(100) >= 0


def test_arena_is_left_out_of_core_dumps(arena: Arena) -> None:
    with open("/proc/self/smaps") as file:
        text = file.read()
    block = text[text.index(f"{arena.address:x}-") :]
    assert " dd" in block[block.index("VmFlags") :].splitlines()[0]
