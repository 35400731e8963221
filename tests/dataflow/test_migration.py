"""Files of older versions, rewritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from dora.dataflow.load import load_dataflow
from dora.dataflow.migration import migrate_text
from dora.errors import DescriptorError

OLD = """\
# my robot
communication:
  zenoh:
    prefix: /x
_unstable_debug:
  enable_debug_inspection: true   # for now

nodes:
  # the camera
  - id: camera
    custom:  # as in 0.2
      # how it is started
      source: camera.py  # a script
      envs:
        DEVICE: "0"   # first one
      outputs:
        - image

      build: |
        pip install x
          --quiet
    _unstable_deploy: {machine: big}
  - id: detect
    operator:
      python: detect.py
      # nothing else
    inputs:
      image: camera/image
    outputs: [boxes]

  - custom:
      run: python plot.py --title 'a b'
      inputs: {boxes: detect/boxes}
    id: plot
"""
NEW = """\
# my robot
debug:
  enable_debug_inspection: true   # for now

nodes:
  # the camera
  - id: camera
    # as in 0.2
    # how it is started
    path: camera.py  # a script
    env:
      DEVICE: "0"   # first one
    outputs:
      - image

    build: |
      pip install x
        --quiet
    deploy: {machine: big}
  - id: detect
    operator:
      python: detect.py
      # nothing else
      inputs:
        image: camera/image
      outputs: [boxes]

  - path: python
    args: 'plot.py --title ''a b'''
    inputs: {boxes: detect/boxes}
    id: plot
"""


def migrated(text: str) -> str:
    found = migrate_text(text, "f.yml")
    assert found.left == []
    return found.text


def test_old_keys_are_today_s_and_everything_else_stays() -> None:
    assert migrated(OLD) == NEW


def test_rewritten_file_means_the_same_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "old.yml").write_text(OLD)
    (tmp_path / "new.yml").write_text(NEW)
    old, new = (load_dataflow(tmp_path / name, env={}) for name in ("old.yml", "new.yml"))
    assert old.raw == new.raw
    assert (bool(old.warnings), new.warnings) == (True, ())


def test_rewriting_twice_changes_nothing() -> None:
    assert migrate_text(NEW, "f.yml") == (NEW, [], [])


def test_changes_are_told_with_their_lines() -> None:
    found = migrate_text("nodes:\n- id: a\n  custom:\n    source: a.py\n", "f.yml").changes
    assert found == ["4: 'source' is 'path'", "3: the keys of 'custom' are the node's"]


MORE = [
    (
        "nodes:\n- id: a\n  operator:\n  python: a.py\n  inputs:\n    t: dora/timer/secs/1\n",
        "nodes:\n- id: a\n  operator:\n    python: a.py\n    inputs:\n      t: dora/timer/secs/1\n",
    ),
    (
        "nodes:\n- id: a\n  inputs: {t: dora/timer/secs/1}\n  operator:\n    python: a.py",
        "nodes:\n- id: a\n  operator:\n    python: a.py\n    inputs: {t: dora/timer/secs/1}\n",
    ),
    ("version: 0.3\nname: x\nnodes:\n- id: a\n  path: a.py\n", "nodes:\n- id: a\n  path: a.py\n"),
    ("nodes:\n- {id: a, path: a.py, envs: {A: 1}}\n", "nodes:\n- {id: a, path: a.py, env: {A: 1}}\n"),
    ("nodes:\r\n- id: a\r\n  custom:\r\n    run: a b\r\n", "nodes:\r\n- id: a\r\n  path: a\r\n  args: b\r\n"),
    ("nodes:\n- id: a\n  custom:\n    run: ./a  # it\n", "nodes:\n- id: a\n  path: ./a  # it\n"),
    (
        "nodes:\n- id: a\n  custom:\n    source: a\n    inputs:\n    - x\n    outputs:\n    - y\n- id: b\n  path: b\n",
        "nodes:\n- id: a\n  path: a\n  inputs:\n  - x\n  outputs:\n  - y\n- id: b\n  path: b\n",
    ),
    (
        "module: {name: m}\nname: x\nnodes: [{id: a, path: a}]\n",
        "module: {name: m}\nname: x\nnodes: [{id: a, path: a}]\n",
    ),
    ("x", "x"),
    ("", ""),
]


@pytest.mark.parametrize(("old", "new"), MORE)
def test_other_forms_are_rewritten(old: str, new: str) -> None:
    assert migrated(old) == new


LEFT = [
    ("nodes: [{id: a, custom: {source: a.py}}]", "1:17: write the keys of 'custom' without it"),
    ("nodes:\n- id: a\n  env: {}\n  envs: {}\n  path: a", "4:3: 'envs' and 'env' are both there: keep one"),
    ("nodes:\n- id: a\n  outputs: [x]\n  custom:\n    path: a\n    outputs: [y]", "4:3: 'outputs' is there twice"),
    ("{version: 1, nodes: []}", "1:2: remove 'version'"),
    ('nodes:\n- id: a\n  "envs": {}\n  path: a', "3:3: write 'env' for 'envs'"),
    ("nodes:\n- id: a\n  custom:\n    run: [x]", "4:5: write 'path' and 'args' for 'run'"),
    ("nodes:\n- id: a\n  custom:\n    run: 'a # b'", "4:5: write 'path' and 'args' for 'run'"),
    ("nodes:\n- id: a\n  operator: {python: a}\n  inputs: {}", "4:3: move 'inputs' into 'operator'"),
    ("nodes:\n- id: a\n  python: a\n  operator:\n  inputs: {}", "4:3: indent what belongs to 'operator'"),
    ("nodes:\n- id: a\n  operator:\n  env: {}\n  python: a", "3:3: indent what belongs to 'operator'"),
]


@pytest.mark.parametrize(("text", "left"), LEFT)
def test_what_cannot_be_done_by_moving_lines_is_left_and_said(text: str, left: str) -> None:
    found = migrate_text(text, "f.yml")
    assert left in found.left


def test_file_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(DescriptorError, match=r"f.yml:2:1: not valid YAML"):
        migrate_text("nodes: [", "f.yml")


def test_source_beside_the_path_of_a_custom_block_goes() -> None:
    old = "nodes:\n  - id: a\n    custom:\n      path: a.py  # mine\n      source: Local\n    outputs: [o]\n"
    new = "nodes:\n  - id: a\n    path: a.py  # mine\n    outputs: [o]\n"
    assert migrate_text(old, "f.yml")[::2] == (new, [])


def test_old_switch_of_inspection_gets_its_new_name() -> None:
    old = "_unstable_debug:\n  publish_all_messages_to_zenoh: true  # for echo\nnodes: []\n"
    assert migrate_text(old, "f.yml").text == "debug:\n  enable_debug_inspection: true  # for echo\nnodes: []\n"
