"""dora in a notebook: a real Jupyter kernel attaches as a dynamic node, shows graphs and runs dataflows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest

from end_to_end.node_sources import TICKER, TICKS
from end_to_end.running import Flow, wait_until

pytest.importorskip("ipykernel", reason="no Jupyter kernel here (pip install ipykernel jupyter_client)")
client = pytest.importorskip("jupyter_client", reason="no Jupyter client here (pip install ipykernel jupyter_client)")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # of Jupyter's packages


class Cells:
    """A notebook: runs cells, and keeps what they give.

    Attributes:
        shown: the rich result of the last cell, by MIME type.
    """

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.shown: dict[str, Any] = {}
        self._kernel = client.KernelManager(connection_file=str(folder / "kernel.json"))
        own = {"IPYTHONDIR": str(folder / "ipython")}
        self._kernel.start_kernel(env=environment | own, cwd=folder, stdout=DEVNULL, stderr=DEVNULL)
        self._client = self._kernel.blocking_client()
        try:
            self._client.start_channels()
            self._client.wait_for_ready(timeout=60)
        except BaseException:
            self.close()
            raise

    def run(self, code: str) -> str:
        """Run a cell; returns what it printed, or the value of its last line as text."""
        printed: list[str] = []
        self.shown = {}

        def hear(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.append(content["text"])
            elif message["msg_type"] == "execute_result":
                self.shown = content["data"]

        reply = self._client.execute_interactive(code, output_hook=hear, timeout=60)["content"]
        assert reply["status"] == "ok", "\n".join(reply["traceback"])
        return "".join(printed) or str(self.shown.get("text/plain", ""))

    @property
    def pid(self) -> int:
        """The kernel's process."""
        return int(self._kernel.provisioner.pid)

    def close(self) -> None:
        """End the kernel."""
        self._client.stop_channels()
        self._kernel.shutdown_kernel(now=True)


@pytest.fixture
def cells(flow: Flow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cells]:
    """A notebook beside the dataflow."""
    opened = Cells(flow.environment, tmp_path_factory.mktemp("nb"))
    yield opened
    opened.close()


def descriptors_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_kernel_attaches_as_a_dynamic_node_20_times_without_a_trace(flow: Flow, cells: Cells) -> None:
    flow.node("source", TICKER, inputs=TICKS, outputs=["out"])
    flow.other_node("probe", "dynamic", inputs={"in": "source/out"}, outputs=["found"])
    run = flow.start()
    run.wait_nodes("source")
    cells.run("from dora import Node; import os\nnode = Node('probe')\nnode.next()\ndel node")
    own, threads = descriptors_of(cells.pid), cells.run("len(os.listdir('/proc/self/task'))")
    before = descriptors_of(run.process.pid)
    for _ in range(20):
        assert cells.run("node = Node('probe')\nnode.next()['type']") == "'INPUT'"
        assert cells.run("del node\nlen(os.listdir('/proc/self/task'))") == threads
    wait_until(lambda: descriptors_of(run.process.pid) <= before)
    assert descriptors_of(cells.pid) < own + 10, "Jupyter itself opens and closes a few"
    assert run.stop().code == 0


def test_notebook_shows_a_graph_and_runs_a_dataflow_twice(flow: Flow, cells: Cells) -> None:
    cells.run(f"import os; os.chdir({str(flow.folder)!r})")
    (flow.folder / "hello.py").write_text("from dora import Node\nNode()\nprint('hello')\n")
    cells.run(
        "from dora.builder import DataflowBuilder\nflow = DataflowBuilder()\nflow.add_node('a', path='hello.py');"
    )
    cells.run("flow.graph()")
    assert "<svg" in cells.shown["text/html"]
    assert cells.shown["image/svg+xml"].startswith("<svg")
    for _ in range(2):
        assert cells.run("flow.run()").rstrip().endswith("hello")
