"""Nodes that come from elsewhere, in a real run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from end_to_end.running import Flow

NODE = """
import os
from dora import Node
node = Node()
print(os.getcwd(), flush=True)
print(os.path.dirname(os.path.abspath(__file__)), flush=True)
node.send_output("text", b"x")
"""
READER = """
from dora import Node
for event in Node():
    print(event["type"], flush=True)
"""


def test_node_of_a_repository_runs_in_its_clone(flow: Flow, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "camera.py").write_text(NODE)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    flow.other_node("camera", "camera.py", git=f"file://{repository}", build="test -e camera.py", outputs=["text"])
    flow.node("reader", READER, inputs={"text": "camera/text"})
    ended = flow.run()
    assert ended.code == 0, ended
    cwd, folder = flow.said("camera")
    assert cwd == folder
    assert cwd.startswith(str(flow.folder / "git" / "localhost"))
    assert flow.said("reader")[0] == "INPUT"
