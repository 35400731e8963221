"""Nodes added, removed, replaced, inputs connected, disconnected while the dataflow runs, written as histories."""

from __future__ import annotations

from histories import DYNAMIC, B, Play, kinds, node, only, verdicts

from dora.dataflow.changes import StatedNode, connected, disconnected
from dora.dataflow.descriptor import Dataflow, Input, Node, OutputSource, RestartPolicy
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.state.node_life import Phase

A = node("a", "timer")
C = node("c", "timer")
NEW = node("new", "a", outputs=False)


def running(*nodes: Node) -> Play:
    """These nodes, all of them connected; their `raw` is as empty as the graph's."""
    play = Play(*nodes)
    play.run(*[str(each.id) for each in nodes if not each.is_dynamic])
    return play


def graph(play: Play) -> Dataflow:
    return play.supervisor.topology.dataflow


def stated(plan: Node) -> StatedNode:
    return StatedNode(plan, {"id": plan.id, "inputs": {}})


def add(play: Play, plan: Node) -> list[e.Effect]:
    return play.tell(s.NodeAdded(stated(plan)))


def connect(play: Play, source: str, reader: str, port: str) -> list[e.Effect]:
    return play.tell(s.Rewired(connected(graph(play), reader, Input(port, OutputSource(source, "out")))))


def disconnect(play: Play, reader: str, port: str) -> list[e.Effect]:
    return play.tell(s.Rewired(disconnected(graph(play), reader, port)))


def routes(play: Play) -> list[str]:
    return [f"{route.sender} -> {route.reader}/{route.input}" for route in play.supervisor.topology.routes]


def readers_told(effects: list[e.Effect]) -> list[str]:
    return [effect.edge.route.reader for effect in effects if isinstance(effect, e.GiveReader)]


# -- adding


def test_an_added_node_is_admitted_and_spawned() -> None:
    play = running(A, B)
    assert kinds(add(play, NEW)) == [("AdmitNode", ""), ("SpawnNode", "new")]
    assert routes(play) == ["a -> b/a", "a -> new/a"]


def test_an_added_node_is_wired_when_it_connects_and_started_at_once() -> None:
    play = running(A, B)
    add(play, NEW)
    play.tell(s.NodeSpawned("new", 7))
    effects = play.connect("new")
    assert readers_told(effects) == ["new"]
    assert [effect.edge.route.sender for effect in only(e.GiveWriter, effects)] == ["a"]
    assert only(e.Start, effects)


def test_adding_does_not_touch_the_edges_of_others() -> None:
    play = running(A, B)
    before = {route.reader: route for route in play.supervisor.topology.routes}
    add(play, NEW)
    assert play.supervisor.topology.routes[0] == before["b"]
    assert all(effect.edge.route.reader != "b" for effect in only(e.GiveReader, play.connect("new")))


def test_a_node_that_is_added_during_the_start_is_waited_for() -> None:
    play = Play(A, B)
    play.spawn()
    add(play, NEW)
    assert only(e.Start, play.connect("a", "b")) == []
    assert {effect.node for effect in only(e.Start, play.connect("new"))} == {"a", "b", "new"}


def test_a_stop_during_an_add_stops_the_new_node_too() -> None:
    play = running(A, B)
    add(play, NEW)
    play.tell(s.StopRequested("Ctrl-C"))
    assert ("SignalNode", "new") in kinds(play.pass_time(1.0))
    for name in ("a", "b", "new"):
        play.exit(name, None, 15) if name == "new" else play.exit(name)
    assert not play.supervisor.has_failed


def test_nothing_is_added_to_a_dataflow_that_is_being_stopped() -> None:
    play = running(A, B)
    play.tell(s.StopRequested("Ctrl-C"))
    assert add(play, NEW) == []
    assert "new" not in play.supervisor.lives


def test_a_program_that_cannot_be_spawned_fails_alone() -> None:
    play = running(A, B)
    add(play, NEW)
    play.tell(s.SpawnRefused("new", 2, "no such file"))
    assert play.supervisor.lives["new"].phase is Phase.ENDED
    assert play.supervisor.lives["a"].is_alive


def test_an_added_dynamic_node_is_awaited_not_spawned() -> None:
    play = running(A, B)
    assert kinds(add(play, DYNAMIC)) == [("AdmitNode", "")]
    assert only(e.OpenLink, play.tell(s.NodeSaidHello("d")))


# -- removing


def test_a_removed_node_is_stopped_and_leaves_the_graph_when_it_has_ended() -> None:
    play = running(A, B)
    assert kinds(play.tell(s.NodeRemovalRequested("a", 5.0))) == [("SendStop", "a")]
    assert routes(play) == ["a -> b/a"]
    effects = play.exit("a")
    assert verdicts(effects) == [("closed", "")]
    assert kinds(effects)[-1] == ("ForgetNode", "a")
    assert routes(play) == []
    assert list(play.supervisor.lives) == ["b"]


def test_a_removed_node_that_does_not_stop_climbs_the_ladder() -> None:
    play = running(A, B)
    play.tell(s.NodeRemovalRequested("a", 5.0))
    assert kinds(play.pass_time(5.1)) == [("SignalNode", "a")]
    assert kinds(play.pass_time(5.0)) == [("KillNode", "a")]


def test_a_removed_node_is_not_restarted() -> None:
    play = running(A._replace(restart=RestartPolicy("always")), B)
    play.tell(s.NodeRemovalRequested("a", 5.0))
    assert not only(e.SpawnNode, play.exit("a", 1))


def test_a_node_that_crashes_while_it_is_removed_is_gone_all_the_same() -> None:
    play = running(A, B)
    play.tell(s.NodeRemovalRequested("a", 5.0))
    effects = play.exit("a", None, 11)
    assert verdicts(effects)[0][0] == "failed"
    assert "a" not in play.supervisor.lives


def test_a_node_that_waits_for_its_restart_is_removed_at_once() -> None:
    play = running(A._replace(restart=RestartPolicy("always", delay_s=5.0)), B)
    play.exit("a", 1)
    assert ("ForgetNode", "a") in kinds(play.tell(s.NodeRemovalRequested("a", 5.0)))


def test_a_failed_node_that_is_removed_does_not_fail_the_run() -> None:
    play = running(A, B, C)
    play.exit("a", 1)
    assert play.supervisor.has_failed
    play.tell(s.NodeRemovalRequested("a", 5.0))
    assert not play.supervisor.has_failed


def test_senders_of_a_removed_reader_are_told_that_it_is_gone() -> None:
    play = running(A, B)
    play.tell(s.NodeRemovalRequested("b", 5.0))
    assert [effect.edge.route.sender for effect in only(e.RemoveEdge, play.exit("b"))] == ["a"]


def test_a_name_can_be_used_again_after_a_removal() -> None:
    play = running(A, B, C)
    play.tell(s.NodeRemovalRequested("a", 5.0))
    play.exit("a")
    assert only(e.SpawnNode, add(play, A))
    play.tell(s.NodeSpawned("a", 9))
    assert only(e.Start, play.connect("a"))


def test_words_of_a_removed_node_are_ignored() -> None:
    play = running(A, B)
    play.tell(s.NodeRemovalRequested("a", 5.0))
    play.exit("a")
    assert play.tell(s.LinkLost("a"), s.OutputsClosed("a"), s.NodeReady("a")) == []


def test_removing_the_last_node_ends_the_run() -> None:
    play = running(A)
    play.tell(s.NodeRemovalRequested("a", 5.0))
    assert ("Finish", "") in kinds(play.exit("a"))


def test_a_node_for_which_the_start_waits_can_be_removed() -> None:
    play = Play(A, B)
    play.spawn()
    play.connect("b")
    play.tell(s.NodeRemovalRequested("a", 5.0))
    play.pass_time(1.0)
    assert [effect.node for effect in only(e.Start, play.exit("a", None, 15))] == ["b"]


def test_a_dynamic_node_is_forgotten_when_it_has_left() -> None:
    play = running(A, DYNAMIC)
    play.connect("d")
    assert kinds(play.tell(s.NodeRemovalRequested("d", 5.0))) == [("SendStop", "d")]
    assert ("ForgetNode", "d") in kinds(play.tell(s.LinkLost("d")))


# -- connecting


def test_a_connected_input_gets_an_edge_at_once() -> None:
    play = running(A, B, C)
    effects = connect(play, "c", "b", "more")
    assert kinds(effects) == [("GiveWriter", ""), ("GiveReader", "")]
    assert routes(play) == ["a -> b/a", "c -> b/more"]


def test_an_input_that_is_connected_while_its_node_restarts_is_wired_when_it_is_back() -> None:
    play = running(A, B._replace(restart=RestartPolicy("always", delay_s=1.0)), C)
    play.exit("b", 1)
    assert connect(play, "c", "b", "more") == []
    play.pass_time(1.0)
    play.tell(s.NodeSpawned("b", 8))
    assert readers_told(play.connect("b")) == ["b", "b"]


def test_an_input_that_is_connected_while_its_sender_restarts_is_wired_when_it_is_back() -> None:
    play = running(A, B, C._replace(restart=RestartPolicy("always", delay_s=1.0)))
    play.exit("c", 1)
    assert readers_told(connect(play, "c", "b", "more")) == ["b"]
    play.pass_time(1.0)
    play.tell(s.NodeSpawned("c", 8))
    assert [effect.edge.route.input for effect in only(e.GiveWriter, play.connect("c"))] == ["more"]


def test_an_input_that_is_moved_gets_its_new_edge_before_the_old_one_is_closed() -> None:
    play = running(A, B, C)
    effects = connect(play, "c", "b", "a")
    assert kinds(effects) == [("GiveWriter", ""), ("GiveReader", ""), ("RetireEdge", ""), ("SendVerdict", "")]


# -- disconnecting


def test_a_disconnected_input_is_closed_behind_what_is_queued() -> None:
    play = running(A, B)
    effects = disconnect(play, "b", "a")
    assert kinds(effects) == [("RetireEdge", ""), ("SendVerdict", "")]
    assert verdicts(effects) == [("closed", "")]


def test_a_sender_is_not_told_of_an_edge_of_a_reader_that_is_not_there() -> None:
    play = running(A, B._replace(restart=RestartPolicy("always", delay_s=1.0)))
    play.exit("b", 1)
    assert kinds(disconnect(play, "b", "a")) == [("RemoveEdge", ""), ("ForgetEdge", "")]


def test_an_input_whose_sender_restarts_is_closed_when_it_is_disconnected() -> None:
    play = running(A._replace(restart=RestartPolicy("always", delay_s=1.0)), B)
    play.exit("a", 1)
    assert verdicts(disconnect(play, "b", "a")) == [("closed", "")]


def test_a_node_whose_only_input_was_disconnected_is_not_restarted() -> None:
    play = running(A, B._replace(restart=RestartPolicy("always")))
    disconnect(play, "b", "a")
    assert not only(e.SpawnNode, play.exit("b"))


def test_a_node_restarts_without_the_input_that_was_disconnected() -> None:
    both = node("b", "a", "c", outputs=False)._replace(restart=RestartPolicy("always"))
    play = running(A, C, both)
    disconnect(play, "b", "a")
    play.exit("b", 1)
    play.tell(s.NodeSpawned("b", 8))
    effects = play.connect("b")
    assert [effect.edge.route.input for effect in only(e.GiveReader, effects)] == ["c"]
    assert list(play.supervisor.lives["b"].plan.inputs) == ["c"]


def test_an_input_can_be_connected_again() -> None:
    play = running(A, node("b", "a", "c", outputs=False), C)
    disconnect(play, "b", "a")
    assert kinds(connect(play, "a", "b", "a")) == [("GiveWriter", ""), ("GiveReader", "")]
    assert graph(play).unplugged == {}


# -- replacing


def replace(play: Play, plan: Node) -> list[e.Effect]:
    return play.tell(s.NodeReplaceRequested(str(plan.id), stated(plan), 5.0))


def test_a_replaced_node_is_stopped_then_spawned_with_its_new_plan() -> None:
    play = running(A, B)
    other = A._replace(path="other.py")
    assert kinds(replace(play, other)) == [("SendStop", "a")]
    effects = play.exit("a")
    assert verdicts(effects) == [("restarting", "")]
    assert [kind for kind in kinds(effects) if kind[0] in ("AdmitNode", "SpawnNode")] == [
        ("AdmitNode", ""),
        ("SpawnNode", "a"),
    ]
    assert play.supervisor.lives["a"].plan.path == "other.py"


def test_the_queue_of_a_replaced_reader_goes_to_the_new_one() -> None:
    play = running(A, B)
    first = play.supervisor.topology.routes[0]
    replace(play, B._replace(path="other.py"))
    (writer,) = only(e.GiveWriter, play.exit("b"))
    assert (writer.edge.route, writer.replaces) == (first, 1)
    play.tell(s.NodeSpawned("b", 8))
    assert only(e.GiveReader, play.connect("b")) == [e.GiveReader(writer.edge)]


def test_a_node_that_crashes_while_it_is_replaced_is_replaced() -> None:
    play = running(A, B)
    replace(play, A._replace(path="other.py"))
    assert only(e.SpawnNode, play.exit("a", None, 11))
    assert play.supervisor.lives["a"].plan.path == "other.py"


def test_a_stop_while_a_node_is_replaced_starts_nothing() -> None:
    play = running(A, B)
    replace(play, A._replace(path="other.py"))
    play.tell(s.StopRequested("Ctrl-C"))
    assert not only(e.SpawnNode, play.exit("a"))


def test_a_replaced_node_may_read_more_than_before() -> None:
    play = running(A, C, B)
    replace(play, node("b", "a", "c", outputs=False))
    play.exit("b")
    play.tell(s.NodeSpawned("b", 8))
    assert [effect.edge.route.input for effect in only(e.GiveReader, play.connect("b"))] == ["a", "c"]


def test_a_node_whose_source_is_removed_while_it_is_replaced_starts_without_it() -> None:
    play = running(A, C, B)
    replace(play, node("b", "a", "c", outputs=False))
    play.tell(s.NodeRemovalRequested("c", 5.0))
    play.exit("c")
    play.exit("b")
    assert routes(play) == ["a -> b/a"]


def test_a_node_that_is_removed_while_it_is_replaced_is_gone() -> None:
    play = running(A, B)
    replace(play, A._replace(path="other.py"))
    play.tell(s.NodeRemovalRequested("a", 5.0))
    assert ("ForgetNode", "a") in kinds(play.exit("a"))


def swap(play: Play, plan: Node) -> None:
    """The old node has ended, the new one is spawned."""
    replace(play, plan)
    play.exit(str(plan.id))
    play.tell(s.NodeSpawned(str(plan.id), 8))


def test_the_old_node_comes_again_when_the_new_one_ends_before_it_is_ready() -> None:
    play = running(A, B)
    swap(play, A._replace(path="broken.py"))
    effects = play.exit("a", 1)
    assert [kind for kind, _ in kinds(effects)][-3:] == ["CloseOutputs", "AdmitNode", "SpawnNode"]
    assert play.supervisor.lives["a"].plan.path == "a.py"
    assert play.supervisor.lives["a"].setback == "exited with code 1"
    assert not play.supervisor.has_failed


def test_the_old_node_comes_again_when_the_new_one_cannot_be_spawned() -> None:
    play = running(A, B)
    replace(play, A._replace(path="broken.py"))
    play.exit("a")
    assert only(e.SpawnNode, play.tell(s.SpawnRefused("a", 13, "Permission denied")))
    assert play.supervisor.lives["a"].plan.path == "a.py"


def test_the_queue_survives_a_replacement_that_fails() -> None:
    play = running(A, B)
    replace(play, B._replace(path="broken.py"))
    (writer,) = only(e.GiveWriter, play.exit("b"))
    play.tell(s.NodeSpawned("b", 8))
    play.exit("b", 1)
    play.tell(s.NodeSpawned("b", 9))
    assert only(e.GiveReader, play.connect("b")) == [e.GiveReader(writer.edge)]


def test_a_new_node_that_fails_after_it_was_started_has_failed() -> None:
    play = running(A, B)
    swap(play, A._replace(path="other.py"))
    play.connect("a")
    assert verdicts(play.exit("a", 1)) == [("failed", "exited with code 1")]


def test_an_old_node_that_fails_when_it_comes_again_has_failed() -> None:
    play = running(A, B)
    swap(play, A._replace(path="broken.py"))
    play.exit("a", 1)
    play.tell(s.NodeSpawned("a", 9))
    assert not only(e.SpawnNode, play.exit("a", 1))
    assert play.supervisor.has_failed


def test_a_new_node_that_is_stopped_before_it_is_ready_stays_stopped() -> None:
    play = running(A, B)
    swap(play, A._replace(path="other.py"))
    play.tell(s.NodeStopRequested("a", 5.0))
    assert not only(e.SpawnNode, play.exit("a", None, 15))
