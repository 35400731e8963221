"""Replies find who waits for them; what comes meanwhile is kept as its queue would keep it (docs/patterns.md)."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from dora.messages import node_runner as m
from dora.node.node import Node
from node.fake_runner import FakeRunner, Feed, wait_until
from node.sending import Act, Aside

INPUTS: dict[str, Any] = {
    "reply": "server/reply",
    "news": "server/news",
    "camera": {"source": "camera/image", "queue_size": 3},
    "joints": {"source": "arm/joints", "queue_size": 3, "queue_policy": "backpressure"},
    "results": {"source": "server/results", "queue_size": 3, "queue_policy": "backpressure"},
    "tick": "dora/timer/millis/1",
}


class Client:
    """A node with some of those inputs, and who feeds them."""

    def __init__(self, runner: FakeRunner) -> None:
        self.feeds: dict[str, Feed] = {}
        self._runner = runner

    def open(self, *names: str) -> Node:
        """The node."""
        stated = {name: INPUTS[name] for name in names}
        self._runner.config = {"io": {"inputs": stated, "outputs": []}}
        for name in names:
            entry = stated[name]
            source = (entry if isinstance(entry, str) else entry["source"]).partition("/")[0]
            if source == "dora":
                self._runner.timer(name, 1_000_000)
            else:
                self.feeds[name] = self._runner.feed(name, source=source)
        return self._runner.node()


@pytest.fixture
def client(runner: FakeRunner) -> Client:
    """To be opened."""
    return Client(runner)


def ask(node: Node, request_id: str, server: str | None = "server", timeout: float = 20) -> Any:
    """The value of the response."""
    return node.recv_service_response(request_id, server, timeout=timeout)["value"][0].as_py()


def give_up(node: Node, server: str | None = "server") -> None:
    """Wait for what does not come."""
    with pytest.raises(TimeoutError):
        node.recv_service_response("nothing", server, timeout=0)


def left(node: Node, input_id: str) -> list[Any]:
    """The values that the main loop gets of one input now."""
    return [event["value"][0].as_py() for event in node.drain() if event["type"] == "INPUT" and event["id"] == input_id]


# -- who gets what -------------------------------------------------------------------------------------------


def test_reply_that_came_before_it_was_waited_for_is_found(client: Client) -> None:
    node = client.open("reply")
    client.feeds["reply"].send(2, metadata={"request_id": "b"})
    client.feeds["reply"].send(1, metadata={"request_id": "a"})
    assert [ask(node, "a"), ask(node, "b")] == [1, 2]


def test_result_that_came_before_it_was_waited_for_is_found(client: Client) -> None:
    node = client.open("results")
    for number, goal in enumerate("ba"):
        client.feeds["results"].send(number, metadata={"goal_id": goal, "goal_status": "succeeded"})
    assert node.recv_action_result("a", "server", timeout=20)["value"].to_pylist() == [1]
    assert node.recv_action_result("b", "server", timeout=20)["value"].to_pylist() == [0]


def test_everything_else_stays_for_the_main_loop_in_order(client: Client) -> None:
    node = client.open("reply", "news")
    client.feeds["news"].send(*range(4))
    client.feeds["reply"].send(9, metadata={"request_id": "a"})
    assert ask(node, "a") == 9
    assert left(node, "news") == [0, 1, 2, 3]


def test_threads_get_their_own_replies(client: Client, aside: Callable[[Act], Aside]) -> None:
    node = client.open("reply")
    found: dict[int, int] = {}
    threads = [aside(lambda n=n: found.update({n: ask(node, str(n))})) for n in range(8)]  # type: ignore[misc]
    for n in reversed(range(8)):
        client.feeds["reply"].send(n * n, metadata={"request_id": str(n)})
    wait_until(lambda: not any(thread.is_running for thread in threads))
    assert found == {n: n * n for n in range(8)}


def test_node_that_has_asked_closes_with_its_last_handle(client: Client, runner: FakeRunner) -> None:
    node = client.open("reply")
    node.send_service_request("nowhere", b"")
    runner.forget_nodes()
    del node
    assert isinstance(runner.hear(), m.OutputsClosed)


@pytest.mark.parametrize("wait", [Node.recv_service_response, Node.recv_action_result])
def test_id_that_is_no_str_is_refused(client: Client, wait: Callable[..., Any]) -> None:
    node = client.open("reply")
    with pytest.raises(TypeError, match=r"^(request|goal)_id must be a str, not NoneType$"):
        wait(node, None, "server")


@pytest.mark.parametrize("send", [Node.send_service_request, Node.send_service_response])
def test_metadata_that_is_no_dict_is_refused(client: Client, send: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="'list' object is not an instance of 'dict'"):
        send(client.open("reply"), "nowhere", b"", ["request_id"])


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_timeout_must_be_a_finite_number_of_seconds(client: Client, timeout: float) -> None:
    node = client.open("reply")
    with pytest.raises(ValueError, match="invalid timeout"):
        node.recv_service_response("a", "server", timeout)


# -- the end of the server -----------------------------------------------------------------------------------


def test_reply_that_a_dead_server_had_sent_is_found_after_its_failure(client: Client) -> None:
    node = client.open("reply", "news")
    client.feeds["reply"].send(*range(300), metadata={"request_id": "other"})
    client.feeds["reply"].send(9, metadata={"request_id": "a"})
    for name in ("news", "reply"):
        client.feeds[name].finish(m.FAILED, "exit 3")
    assert ask(node, "a") == 9


def test_reply_that_a_restarted_server_had_sent_is_found(client: Client) -> None:
    node = client.open("reply")
    client.feeds["reply"].send(9, metadata={"request_id": "a"})
    client.feeds["reply"].finish(m.RESTARTING)
    assert ask(node, "a") == 9


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [(m.FAILED, "has failed"), (m.RESTARTING, "was restarted"), (m.CLOSED, "has closed its output")],
)
def test_end_of_the_server_ends_the_wait(client: Client, verdict: str, reason: str) -> None:
    node = client.open("reply", "camera")
    client.feeds["reply"].finish(verdict)
    with pytest.raises(RuntimeError, match=f"^no reply to request a: node `server` {reason}$"):
        ask(node, "a")


def test_end_of_the_only_server_is_the_reason_though_it_ends_the_stream(client: Client) -> None:
    node = client.open("reply")
    client.feeds["reply"].finish()
    with pytest.raises(RuntimeError, match="node `server` has closed its output"):
        ask(node, "a")


def test_server_that_has_ended_before_is_not_waited_for(client: Client) -> None:
    node = client.open("reply", "camera")
    client.feeds["reply"].finish()
    assert node.next(timeout=20)["type"] == "INPUT_CLOSED"  # type: ignore[index]
    with pytest.raises(RuntimeError, match="node `server` has closed its output"):
        ask(node, "a")


def test_one_closed_output_of_the_server_does_not_end_the_wait(client: Client) -> None:
    node = client.open("reply", "news")
    client.feeds["news"].finish()
    give_up(node)
    client.feeds["reply"].send(9, metadata={"request_id": "a"})
    assert ask(node, "a") == 9


def test_restarted_server_can_be_asked_again(client: Client, runner: FakeRunner) -> None:
    node = client.open("reply")
    client.feeds["reply"].finish(m.RESTARTING)
    with pytest.raises(RuntimeError, match="was restarted"):
        ask(node, "a")
    runner.feed("reply", source="server").send(9, metadata={"request_id": "a"})
    assert ask(node, "a") == 9


def test_all_requests_before_a_restart_are_told_of_it_also_when_their_waits_begin_later(client: Client) -> None:
    node = client.open("reply")
    requests = [node.send_service_request("nowhere", b"") for _ in range(3)]
    client.feeds["reply"].send(9, metadata={"request_id": requests[0]})
    client.feeds["reply"].finish(m.RESTARTING)
    assert ask(node, requests[0]) == 9
    for request in requests[1:]:
        with pytest.raises(RuntimeError, match="was restarted"):
            ask(node, request)


def test_request_is_told_of_a_restart_that_the_main_loop_has_seen(client: Client) -> None:
    node = client.open("reply")
    request = node.send_service_request("nowhere", b"")
    client.feeds["reply"].finish(m.RESTARTING)
    assert node.next(timeout=20)["type"] == "NODE_RESTARTED"  # type: ignore[index]
    with pytest.raises(RuntimeError, match="was restarted"):
        ask(node, request)


def test_request_after_a_restart_is_not_told_of_it(client: Client, runner: FakeRunner) -> None:
    node = client.open("reply")
    client.feeds["reply"].finish(m.RESTARTING)
    request = node.send_service_request("nowhere", b"")
    with pytest.raises(TimeoutError):
        ask(node, request, timeout=0)
    runner.feed("reply", source="server").send(9, metadata={"request_id": request})
    assert ask(node, request) == 9
    assert node.next(timeout=20)["type"] == "NODE_RESTARTED"  # type: ignore[index]


def test_request_that_outlives_a_restart_can_be_waited_for_again(client: Client, runner: FakeRunner) -> None:
    node = client.open("reply")
    request = node.send_service_request("nowhere", b"")
    client.feeds["reply"].finish(m.RESTARTING)
    with pytest.raises(RuntimeError, match="was restarted"):
        ask(node, request)
    runner.feed("reply", source="server").send(9, metadata={"request_id": request})
    assert ask(node, request) == 9


def test_stop_ends_the_wait_and_is_what_the_main_loop_sees_first(client: Client, runner: FakeRunner) -> None:
    node = client.open("reply", "news")
    client.feeds["news"].send(1)
    give_up(node)
    runner.say(m.Stop())
    with pytest.raises(RuntimeError, match="the stream of events has ended"):
        ask(node, "a")
    assert [event["type"] for event in node] == ["STOP", "INPUT"]


# -- what is kept --------------------------------------------------------------------------------------------


def test_input_that_may_drop_keeps_its_newest_and_counts_the_rest(client: Client) -> None:
    node = client.open("reply", "camera")
    client.feeds["camera"].send(*range(10))
    give_up(node)
    assert left(node, "camera") == [7, 8, 9]
    counts = client.feeds["camera"].counts
    assert (counts.sent, counts.dropped, counts.taken) == (10, 7, 3)


def test_input_that_states_nothing_keeps_ten(client: Client) -> None:
    node = client.open("reply", "news")
    client.feeds["news"].send(*range(30))
    give_up(node)
    assert left(node, "news") == list(range(20, 30))


def test_flush_discards_what_was_kept_before_it(client: Client) -> None:
    node = client.open("reply", "news")
    client.feeds["news"].send(1, 2)
    give_up(node)
    client.feeds["news"].send(3, metadata={"flush": True})
    give_up(node)
    assert left(node, "news") == [3]


def test_newest_tick_is_kept(client: Client, runner: FakeRunner) -> None:
    node = client.open("reply", "tick")
    for _ in range(2):
        wait_until(lambda: not node._receiver.is_empty() or not vars(node._receiver)["mailbox"]._is_empty())
        give_up(node)
    assert node._receiver.queued_by_input() == {"tick": 1}


def test_lossless_input_of_another_node_waits_in_its_queue(client: Client) -> None:
    node = client.open("reply", "joints")
    client.feeds["joints"].send(*range(10))
    give_up(node)
    assert client.feeds["joints"].counts.taken == 3
    assert left(node, "joints") == list(range(10))
    assert client.feeds["joints"].counts.dropped == 0


def test_reply_is_found_while_a_lossless_input_waits(client: Client, aside: Callable[[Act], Aside]) -> None:
    node = client.open("reply", "joints")
    client.feeds["joints"].send(*range(10))
    client.feeds["joints"].finish()
    thread = aside(lambda: ask(node, "a"))
    wait_until(lambda: client.feeds["joints"].counts.taken == 3)
    client.feeds["reply"].send(9, metadata={"request_id": "a"})
    wait_until(lambda: not thread.is_running)
    found = [event["type"] for event in node.drain()]
    assert found == ["INPUT"] * 10 + ["INPUT_CLOSED"]


def test_lossless_input_of_the_server_is_read_on(client: Client) -> None:
    node = client.open("results", "reply")
    client.feeds["results"].send(*range(10))
    client.feeds["results"].send(9, metadata={"request_id": "a"})
    assert ask(node, "a") == 9
    assert left(node, "results") == list(range(10))


def test_waiting_for_a_server_reads_its_lossless_input_again(client: Client) -> None:
    node = client.open("reply", "joints")
    client.feeds["joints"].send(*range(10))
    client.feeds["joints"].send(9, metadata={"request_id": "a"})
    give_up(node)
    assert ask(node, "a", "arm") == 9
    assert left(node, "joints") == list(range(10))


def test_replies_to_others_do_not_pile_up_on_a_lossless_input(client: Client) -> None:
    node = client.open("results")
    feed = client.feeds["results"]
    feed.send(0, metadata={"request_id": "a"})
    ask(node, "a")
    for number in range(100):
        feed.send(number, metadata={"request_id": f"of another {number}"})
    give_up(node)
    assert left(node, "results") == [97, 98, 99]
    assert feed.counts.dropped == 97


def test_reply_to_this_node_does_not_give_way_to_those_of_others(client: Client) -> None:
    node = client.open("reply")
    own = node.send_service_request("nowhere", b"")
    client.feeds["reply"].send(9, metadata={"request_id": own})
    for number in range(100):
        client.feeds["reply"].send(number, metadata={"request_id": f"of another {number}"})
    give_up(node)
    assert ask(node, own) == 9


def test_mailbox_steps_aside_when_nothing_is_kept(client: Client) -> None:
    node = client.open("reply", "news")
    client.feeds["news"].send(1)
    give_up(node)
    assert "take" in vars(node._receiver)
    assert left(node, "news") == [1]
    gc.collect()
    assert not {"take", "is_empty", "queued_by_input"} & vars(node._receiver).keys()
