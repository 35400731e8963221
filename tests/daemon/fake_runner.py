"""A runner that is none: the real admin socket, in a thread, with a run that does what the test says."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dora.messages import runner_daemon as messages
from dora.runner.admin import AdminServer, Refusal, Visitor
from dora.runner.reactor import Reactor
from dora.transport import control
from dora.version import VERSION


class FakeRunner:
    """One run, with nodes that exist only here.

    Attributes:
        asked: the requests that it was sent, but for those that only look.
        ends_on_stop: it ends well when it is told to stop.
        params: of its nodes.
    """

    def __init__(self, base: Path, name: str, *, origin: str = messages.BACKGROUND, request: str = "{}") -> None:
        self.folder = base / f"run-{name}"
        self.folder.mkdir(mode=0o700)
        self.asked: list[messages.Request] = []
        self.ends_on_stop = True
        self.params: dict[str, dict[str, str]] = {}
        node = messages.NodeState("camera", messages.RUNNING, pid=os.getpid(), outputs=["image"])
        self.now = messages.Described(
            f"id-of-{name}",
            name,
            "/x/dataflow.yml",
            origin,
            messages.RUNNING,
            os.getpid(),
            5,
            VERSION,
            nodes=[node],
            request=request,
        )
        self._watchers: list[Visitor] = []
        self._work: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._wake_read, self._wake_write = os.pipe()
        self._listener = control.listen(str(self.folder / "admin.sock"))
        self.requests: Mapping[type, Callable[[Any, Visitor], None]] = {
            messages.Describe: lambda _, visitor: visitor.say(self.now),
            messages.Watch: self._watch,
            messages.Stop: self._stop,
            messages.StopNode: self._control_node,
            messages.RestartNode: self._control_node,
            messages.GetParams: lambda _, visitor: visitor.say(messages.Params(self.params)),
            messages.SetParam: self._set_param,
            messages.DeleteParam: self._set_param,
        }
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def forget(self, visitor: Visitor) -> None:
        """A watcher has left."""
        if visitor in self._watchers:
            self._watchers.remove(visitor)

    def change(self, state: str) -> None:
        """The run gets into that state, and the watchers hear of it."""

        def act() -> None:
            self.now = replace(self.now, state=state)
            self._tell(messages.Changed(state, self.now.nodes))

        self._do(act)

    def end(self, state: str = messages.FINISHED, report: str = "") -> None:
        """The run ends, and says so."""
        self._do(lambda: self._end(state, report))
        self._thread.join()

    def pause(self) -> None:
        """Hang up on everybody, and answer nobody until `resume`, as when its build is over."""
        self._do(lambda: self._server.close())

    def resume(self) -> None:
        """Answer again."""
        self._do(self._serve)

    def kill(self) -> None:
        """It is gone without a word."""
        self._work.put(None)
        os.write(self._wake_write, b"x")
        self._thread.join()

    def close(self) -> None:
        """End it if it still runs."""
        if self._thread.is_alive():
            self.kill()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _do(self, act: Callable[[], object]) -> None:
        self._work.put(act)
        os.write(self._wake_write, b"x")

    def _run(self) -> None:
        self._reactor = Reactor()
        self._serve()
        self._is_over = False
        self._reactor.add_reader(self._wake_read, self._work_off)
        while not self._is_over:
            self._reactor.wait(None)
        (self.folder / "admin.sock").unlink()
        self.folder.rmdir()
        self._server.close()
        self._listener.close()
        self._reactor.close()

    def _serve(self) -> None:
        self._server = AdminServer(self._listener, self._reactor, self, version=VERSION)

    def _work_off(self) -> None:
        os.read(self._wake_read, 1)
        act = self._work.get()
        if act is None:
            self._is_over = True
        else:
            act()

    def _end(self, state: str, report: str) -> None:
        self.now = replace(self.now, state=state)
        code = 1 if state == messages.FAILED else 0
        self._tell(messages.Ended(code, report, 1000, self.now, params=self.params))
        self._is_over = True

    def _tell(self, news: messages.Reply) -> None:
        for watcher in list(self._watchers):
            watcher.say(news)

    def _watch(self, _: messages.Watch, visitor: Visitor) -> None:
        self._watchers.append(visitor)
        visitor.say(self.now)

    def _stop(self, request: messages.Stop, visitor: Visitor) -> None:
        self.asked.append(request)
        visitor.say(messages.Done())
        if self.ends_on_stop:
            self._end(messages.FINISHED, "")

    def _control_node(self, request: messages.StopNode | messages.RestartNode, visitor: Visitor) -> None:
        if request.node != "camera":
            raise Refusal(messages.UNKNOWN_NODE, f"there is no node `{request.node}` (nodes: camera)")
        self.asked.append(request)
        visitor.say(messages.Done())

    def _set_param(self, request: messages.SetParam | messages.DeleteParam, visitor: Visitor) -> None:
        if request.node != "camera":
            raise Refusal(messages.UNKNOWN_NODE, f"there is no node `{request.node}` (nodes: camera)")
        self.asked.append(request)
        mine = self.params.setdefault("camera", {})
        if isinstance(request, messages.SetParam):
            mine[request.key] = request.value
        else:
            mine.pop(request.key, None)
        visitor.say(messages.Done())
