"""The snippets of dora's guides as programs: the text as it is published, completed only where it is a fragment.

Strategy: `seeds/` holds the snippets word for word (`test_guide.py` compares them with the guides' texts).  A fragment
is completed with what the guide says around it: imports, `node = Node()`, the values that it names but does not make
(`raw_bytes`, `frame`, `i`), the functions that are the reader's (`process`, `fetch_data`), and nodes that send to it or
print what it sends.  Each function here adds one of them to a dataflow, under names of its own, so that one run
shows many.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from end_to_end.running import Flow

SEEDS = Path(__file__).parent / "seeds"
NODE = "from dora import Node\nnode = Node()\n"


def snippet(name: str, folder: str = "guide") -> str:
    """A snippet, word for word."""
    return (SEEDS / folder / name).read_text()


def print_inputs(flow: Flow, name: str, **inputs: str) -> None:
    """Add a node that prints what arrives on these inputs."""
    flow.node(name, PRINTER, inputs=_roomy(**inputs))


def _roomy(**inputs: str) -> dict[str, dict[str, str | int]]:
    """Inputs whose queues hold everything, however slow the machine is: not of a guide's node, but of those that print.

    What a relay sends comes as fast as what it receives, and yet it waits in between: its sends are no burst.
    """
    return {name: {"source": source, "queue_size": 100} for name, source in inputs.items()}


PRINTER = """
from dora import Node
for event in Node():
    if event["type"] == "INPUT":
        print(event["id"], event["value"].to_pylist())
"""

PROCESS = """
def process(input_id, value):
    print(input_id, value.type, value.to_pylist())
"""


def arrays(flow: Flow) -> None:
    """The common patterns of Arrow data; what is sent is read by the event loop with `match`."""
    flow.node("first", NODE + "import pyarrow as pa\nnode.send_output('out', pa.array([42]))\n", outputs=["out"])
    before = NODE + "event = node.next()\nraw_bytes = bytes([0, 127, 255])\n"
    outputs = ["count", "names", "point", "frame"]
    code = before + snippet("arrays.py") + "print(values)\n"
    flow.node("arrays", code, inputs={"in": "first/out"}, outputs=outputs)
    inputs = {output: f"arrays/{output}" for output in outputs}
    flow.node("match", NODE + PROCESS + snippet("match.py") + "print('left')\n", inputs=inputs)


def logs(flow: Flow) -> None:
    """`node.log` with a dict, and Python's `logging`."""
    flow.node("log-by-node", NODE + "i = 7\n" + snippet("node-log.py"))
    flow.node("log-by-logging", NODE + "i = 7\n" + snippet("logging.py"))


COUNT = """
import pyarrow as pa
from dora import Node
node = Node()
for number in range({count}):
    node.send_output("out", pa.array([number]))
"""
FETCH = """
import pyarrow as pa
async def fetch_data(value):
    await asyncio.sleep(0)
    return pa.array([None if value is None else value[0].as_py() * 2])
"""


def asynchronous(flow: Flow, name: str, count: int) -> None:
    """The asyncio node, fed with so many messages at once; the guide's loop takes 50 events at most."""
    flow.node(f"{name}-source", COUNT.format(count=count), outputs=["out"])
    code = "import asyncio\n" + FETCH + snippet("async.py")
    flow.node(name, code, inputs={"in": f"{name}-source/out"}, outputs=["result"])
    print_inputs(flow, f"{name}-reader", result=f"{name}/result")


FRAME = "import numpy as np\nframe = np.full((1080, 1920, 3), 7, dtype=np.uint8)\n"
FRAME_READER = """
from dora import Node
for event in Node():
    if event["type"] == "INPUT":
        value = event["value"].to_numpy()
        print(event["id"], value.dtype, len(value), value.min(), value.max(), event["metadata"].get("width"))
"""


def raw(flow: Flow) -> None:
    """`send_output_raw`: the context manager, the manual form, and the inline use of the safety contract."""
    flow.node("raw-with", NODE + FRAME + snippet("raw-with.py"), outputs=["frame"])
    size = "height, width = 1080, 1920\n"
    flow.node("raw-manual", NODE + FRAME + size + snippet("raw-manual.py"), outputs=["frame"])
    inline = "with node.send_output_raw('frame', 3) as buf:\n" + textwrap.indent(snippet("raw-inline.py"), "    ")
    flow.node("raw-inline", NODE + "import numpy as np\nframe = [7, 7, 7]\n" + inline, outputs=["frame"])
    inputs = {name: f"raw-{name}/frame" for name in ("with", "manual", "inline")}
    flow.node("frames", FRAME_READER, inputs=inputs)


SAFETY = """
import numpy as np

def refused(action):
    try:
        action()
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[0])

sample = node.send_output_raw("frame", 3)
buf = sample.as_buffer()
view = memoryview(buf)
refused(sample.send)
view.release()
sample.send()
refused(sample.send)
refused(lambda: memoryview(buf))

def hold_a_view():
    with node.send_output_raw("frame", 3) as buf:
        held.append(np.asarray(buf, dtype=np.uint8))

held = []
refused(hold_a_view)
"""


def safety(flow: Flow) -> None:
    """What the safety contract says in words: each of its three rules broken, and one view held past the block."""
    flow.node("safety", NODE + SAFETY, outputs=["frame"])


def hello_world(flow: Flow) -> None:
    """The three files of the first example."""
    for name in ("sender.py", "receiver.py"):
        (flow.folder / name).write_text(snippet(name))
    flow.use_file(snippet("hello-world.yml"))


def doubler(flow: Flow) -> None:
    """The operator, fed by a timer node; a further node prints what it sends."""
    (flow.folder / "doubler_op.py").write_text(snippet("doubler_op.py"))
    (flow.folder / "show.py").write_text(PRINTER)
    flow.use_file(snippet("doubler.yml") + _more_node("show", "doubled: doubler/doubled"))


def timers(flow: Flow) -> None:
    """The timer node, and a second one with the other form that the guide names, `dora/timer/hz/30`."""
    (flow.folder / "my_node.py").write_text(PRINTER)
    (flow.folder / "show.py").write_text(PRINTER)
    hz = "  - id: hz\n    path: dora/timer/hz/30\n    outputs:\n      - tick\n"
    flow.use_file(snippet("timers.yml") + hz + _more_node("show", "tick: hz/tick"))


def _more_node(name: str, wiring: str) -> str:
    return f"  - id: {name}\n    path: {name}.py\n    inputs:\n      {wiring}\n"


VISION = """
import importlib.metadata, subprocess, sys
from dora import Node
print("iniconfig", importlib.metadata.version("iniconfig"), sys.prefix)
for command in (["pip"], [sys.executable, "-m", "pip"]):
    print(subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout.split()[3])
Node()
"""


def vision(flow: Flow) -> list[str]:
    """The node with a `build`, beside a `requirements.txt`; returns the commands of the guide."""
    (flow.folder / "vision.py").write_text(VISION)
    (flow.folder / "requirements.txt").write_text("iniconfig==2.0.0\n")
    (flow.folder / "dataflow.yml").write_text("nodes:\n" + snippet("vision.yml"))
    return snippet("vision.sh").splitlines()


OLD = "python-api-0.1"
OLD_API = {"DORA_API": "0.1"}
COUNTER = """
        self.counter = getattr(self, "counter", 0) + 1
        send_output("counter", bytes([self.counter]))
        return DoraStatus.STOP if self.counter == 3 else DoraStatus.CONTINUE
"""
STATUS = """
from collections.abc import Callable
from enum import Enum
class DoraStatus(Enum):
    CONTINUE = 0
    STOP = 1
"""


def old_node(flow: Flow) -> None:
    """Tuples from `next()`, then from the iterator, of what `send_output` with bytes sends."""
    sender = NODE + snippet("send.py", OLD) * 2
    flow.node("old-sender", sender, outputs=["string"], env=OLD_API)
    code = NODE + _with_body(snippet("next.txt", OLD), "print(input_id, value)")
    flow.node("old-printer", code, inputs={"string": "old-sender/string"}, env=OLD_API)


def _with_body(text: str, line: str) -> str:
    """The two forms of the snippet, each with something to do; "or" means one after the other here."""
    return text.replace("# or", line + "\n# or") + f"    {line}\nprint(node.next())\n"


def old_operator(flow: Flow) -> None:
    """The class with `on_input`, with the body of a counter; its status is an enum of its own."""
    sender = NODE + snippet("send.py", OLD) * 5
    flow.node("string-sender", sender, outputs=["string"], env=OLD_API)
    code = STATUS + snippet("op.txt", OLD) + COUNTER
    counter = flow.operator("counter", code, inputs={"string": "string-sender/string"}, outputs=["counter"])
    flow.runtime("counting", counter)
    print_inputs(flow, "counts", counter="counting/counter/counter")
