"""One link per process: handles on it, its end, and what a forked child may do with it (design.md 11.3, 11.17)."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dora import Node
from dora.errors import ResourceError
from dora.messages import node_runner as m
from dora.node.receiver import Receiver
from node.fake_runner import FakeRunner, inode_of, mapped, wait_until

BIG = pa.array(range(10_000))


def in_child(action: Callable[[], object]) -> str:
    """What `action` gives, or the error it raises, in a forked child."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            text = repr(action())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            if not isinstance(error, RuntimeError):
                text += traceback.format_exc()
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


# -- hello ---------------------------------------------------------------------------------------------------


def test_node_says_who_it_is(runner: FakeRunner) -> None:
    runner.node()
    assert runner.hello == m.Hello("node", "secret", os.getpid(), m.VERSION)


def test_node_maps_everything_before_it_says_ready(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    runner.sink("out")
    own = inode_of(runner.output("out")[0])
    sides = [(mapped(feed.inode), mapped(own))]
    runner.on_ready = lambda: sides.append((mapped(feed.inode), mapped(own)))
    runner.node()
    assert sides == [(["rw-s"], ["r--s"]), (["r--s", "rw-s"], ["r--s", "rw-s"])]


@pytest.mark.slow
def test_node_has_loaded_arrow_before_it_says_ready(runner: FakeRunner) -> None:
    found: list[bool] = []
    runner.on_ready = lambda: found.append("libarrow" in Path(f"/proc/{runner.hello.pid}/maps").read_text())
    runner.start_message = m.StartFailed("that was all")
    program = f"import os\nfrom dora import Node\nos.environ['DORA_NODE_CONFIG'] = {runner.identity!r}\nNode()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            runner.greet()
        finally:
            process.kill()
    assert found == [True]


def test_what_waits_before_the_start_is_there_at_once(runner: FakeRunner) -> None:
    feed, sink = runner.feed("in"), runner.sink("out")
    feed.send(1)
    node = runner.node()
    node.send_output("out", pa.array([2]))
    assert (node.next()["value"].to_pylist(), sink.take_all()) == ([1], [[2]])


def test_refusal_of_the_runner_is_a_runtime_error_with_its_reason(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # which then knows this error
    reason = "node `node` is already open in the process with PID 7"
    runner.start_message = m.StartFailed(reason)
    with pytest.raises(RuntimeError, match=reason):
        runner.node()


def test_control_message_is_heard_at_the_next_call(runner: FakeRunner) -> None:
    runner.feed("a")
    node = runner.node()
    runner.feed("a").send(1)
    assert node.try_recv() is None
    assert runner.counts.calls == 1


def test_runner_that_is_gone_ends_the_stream_behind_what_is_queued(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(1)
    runner.link.close()
    assert [event["type"] for event in node] == ["INPUT", "INPUT_CLOSED", "STOP"]


def test_runner_that_is_gone_takes_no_more_messages(runner: FakeRunner) -> None:
    runner.sink("out")
    node = runner.node()
    runner.link.close()
    node.next(10)
    with pytest.raises(RuntimeError, match="cannot send on output 'out': this node's link to dora is closed"):
        node.send_output("out", b"x")


def test_send_is_given_up_without_an_error_when_the_run_was_stopped_and_is_over(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    node = runner.node()
    runner.say(m.Stop())
    runner.link.close()
    node.send_output("out", b"x")
    assert (sink.take_all(), sink.counts.sent, sink.counts.dropped) == ([], 1, 1)
    assert [event["type"] for event in node] == ["STOP"]


# -- handles -------------------------------------------------------------------------------------------------


def test_second_node_is_a_second_handle_on_the_same_link(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    first = runner.node()
    second = Node()
    feed.send(1, 2)
    assert [first.next()["value"].to_pylist(), second.next()["value"].to_pylist()] == [[1], [2]]
    second.close()


def test_id_and_port_of_a_daemon_are_ignored_in_a_process_that_dora_started(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    runner.node()
    second = Node("another", daemon_port=53291)
    feed.send(1)
    assert second.next()["value"].to_pylist() == [1]
    second.close()


def test_outputs_stay_open_while_one_handle_is_left(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    first = runner.node()
    second = Node()
    second.close()
    first.send_output("out", b"x")
    assert sink.take_all() == [[120]]


def test_last_handle_that_is_dropped_closes_the_outputs(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    node = runner.node()
    runner.forget_nodes()
    node.send_output("out", b"x")
    del node
    assert sink.take_all() == [[120]]
    assert sink.is_ended
    assert isinstance(runner.hear(), m.OutputsClosed)
    assert runner.hear() is None


def test_interpreter_that_clears_up_does_not_end_the_link_before_its_process_ends(runner: FakeRunner) -> None:
    node = runner.node()
    node._link.socket.close()  # as the interpreter does at its end, long before the process is gone
    runner.link.setblocking(False)
    with pytest.raises(BlockingIOError):
        runner.hear()


def test_handle_that_is_closed_twice_counts_once(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    first = runner.node()
    second = Node()
    second.close()
    second.close()
    first.send_output("out", b"x")
    assert not sink.is_ended


def test_with_block_closes_its_handle(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    with runner.node() as node:
        node.send_output("out", b"x")
    assert sink.take_all() == [[120]]
    assert sink.is_ended


@pytest.mark.parametrize("send", [lambda n: n.send_output("out", b"x"), lambda n: n.send_output_raw("out", 5)])
def test_closed_handle_refuses_to_send(runner: FakeRunner, send: Callable[[Node], Any]) -> None:
    runner.sink("out")
    node = runner.node()
    node.close()
    with pytest.raises(RuntimeError, match="this Node is closed"):
        send(node)


def test_closed_handle_has_no_events(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(1)
    node.close()
    assert (node.next(), node.try_recv(), node.is_empty()) == (None, None, True)


def test_closed_node_can_be_opened_again(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    runner.node().close()
    assert sink.is_ended
    runner.expect_another()
    again = runner.sink("out")
    runner.node().send_output("out", b"x")
    assert again.take_all() == [[120]]


def test_closed_node_leaves_no_descriptor_open(runner: FakeRunner) -> None:
    before = len(os.listdir("/proc/self/fd"))
    feed, sink = runner.feed("in"), runner.sink("out")
    runner.timer("tick", 10**9)
    node = runner.node()
    node.next()
    node.send_output("out", b"x")
    node.close()
    feed.edge.close()
    sink.die()
    left = len(os.listdir("/proc/self/fd")) - before
    assert left == 2  # the runner's memfd of the output and its end of the link


def test_closed_node_unmaps_its_outputs(runner: FakeRunner) -> None:
    runner.sink("out")
    node = runner.node()
    arena = weakref.ref(node._session.outputs["out"]._arena)
    address = arena().address  # type: ignore[union-attr]  # it lives
    node.close()
    gc.collect()
    assert arena() is None
    assert not is_mapped(address)


def is_mapped(address: int) -> bool:
    """Whether this process has a mapping that begins there."""
    with open("/proc/self/maps") as file:
        return any(line.startswith(f"{address:x}-") for line in file)


def test_array_outlives_the_node(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(array=BIG)
    value = node.next()["value"]
    node.close()
    del node
    gc.collect()
    assert value.equals(BIG)


def test_array_let_go_after_the_node_was_closed_goes_back_to_its_sender(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(array=BIG)
    event = node.next()
    node.close()
    assert feed.held == 1
    del event
    assert feed.held == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_close_lets_threads_go_that_wait_for_events(runner: FakeRunner, threads: int) -> None:
    runner.feed("in")
    node = runner.node()
    found: list[Any] = []
    waiting = [threading.Thread(target=lambda: found.append(node.next()), daemon=True) for _ in range(threads)]
    for thread in waiting:
        thread.start()
    runner.wait_until_receiving(threads)
    node.close()
    wait_until(lambda: found == [None] * threads)


# -- fork ----------------------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Node], Any]] = {
    "next": lambda node: node.next(),
    "try_recv": lambda node: node.try_recv(),
    "drain": lambda node: node.drain(),
    "is_empty": lambda node: node.is_empty(),
    "send_output": lambda node: node.send_output("out", b"x"),
    "send_output_raw": lambda node: node.send_output_raw("out", 5),
    "fileno": lambda node: node.fileno(),
    "recv_service_response": lambda node: node.recv_service_response("a", timeout=0),
    "merge_external_events": lambda node: node.merge_external_events(iter([])),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_node_cannot_be_used_in_a_forked_child(runner: FakeRunner, call: Callable[[Node], Any]) -> None:
    runner.feed("in").send(1)
    runner.sink("out")
    node = runner.node()
    text = in_child(lambda: call(node))
    assert text.startswith(
        f"NodeError: this Node belongs to process {os.getpid()} and cannot be used in its forked child"
    )


def test_forked_child_takes_nothing_from_its_parent(runner: FakeRunner) -> None:
    feed, sink = runner.feed("in"), runner.sink("out")
    node = runner.node()
    feed.send(1, 2)
    in_child(lambda: node.next())
    in_child(lambda: node.send_output("out", b"x"))
    node.send_output("out", b"y")
    assert [event["value"].to_pylist() for event in node.drain()] == [[1], [2]]
    assert sink.take_all() == [[121]]


def test_forked_child_has_no_descriptor_of_the_node(runner: FakeRunner) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    runner.feed("in")
    runner.sink("out")
    node = runner.node()
    gc.collect()  # of other tests
    while_open = in_child(count)
    node.close()
    assert while_open == in_child(count)


def test_forked_child_that_closes_the_node_leaves_it_open_in_its_parent(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    node = runner.node()
    in_child(node.close)
    node.send_output("out", b"x")
    assert sink.take_all() == [[120]]
    assert not sink.is_ended


def test_forked_child_that_lives_on_does_not_hold_the_outputs_open(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    node = runner.node()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    node.close()
    wait_until(lambda: sink.is_ended)
    os.close(write)
    os.close(read)
    os.waitpid(child, 0)


def test_array_dropped_in_a_forked_child_stays_with_its_parent(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(array=BIG)
    events = [node.next()]
    in_child(events.clear)
    assert feed.held == 1
    assert events[0]["value"].equals(BIG)


def test_array_of_a_closed_node_dropped_in_a_forked_child_stays_with_its_parent(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(array=BIG)
    events = [node.next()]
    node.close()
    in_child(events.clear)
    assert feed.held == 1


def test_array_is_readable_in_a_forked_child(runner: FakeRunner) -> None:
    feed = runner.feed("in")
    node = runner.node()
    feed.send(array=BIG)
    event = node.next()
    assert in_child(lambda: event["value"][9_999].as_py()) == "9999"


def test_sample_cannot_be_sent_in_a_forked_child(runner: FakeRunner) -> None:
    sink = runner.sink("out")
    sample = runner.node().send_output_raw("out", 5)
    assert in_child(sample.send).startswith("NodeError")
    sample.send()
    assert sink.take_all() == [[0] * 5]


def test_sample_in_a_child_forked_during_a_send_of_another_thread_does_not_hang(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    sample = node.send_output_raw("out", 5)
    node.send_output("out", b"x")
    thread = threading.Thread(target=node.send_output, args=("out", b"y"))
    thread.start()
    runner.wait_until_blocked()
    text = quietly_in_child(sample.send)
    sink.take()
    thread.join()
    assert text.startswith("NodeError")


def quietly_in_child(action: Callable[[], object]) -> str:
    """As `in_child`, with threads: Python 3.12 warns of that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return in_child(action)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EMFILE, "Too many open files"), ImportError("lib.so: cannot open: Too many open files")],
)
def test_node_that_runs_out_of_descriptors_while_it_connects_names_the_limit(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Receiver, "begin", refuse)
    with pytest.raises(ResourceError, match="ulimit -n"):
        runner.node()
