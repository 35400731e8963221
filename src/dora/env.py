"""The table of the environment variables that dora reads or sets."""

from __future__ import annotations

from typing import Final

NODE_CONFIG: Final = "DORA_NODE_CONFIG"
HOME: Final = "DORA_HOME"
HOT_RELOAD: Final = "DORA_HOT_RELOAD"
API: Final = "DORA_API"
RUNTIME_TYPE_CHECK: Final = "DORA_RUNTIME_TYPE_CHECK"
FINISH_DRAIN_GRACE_SECS: Final = "DORA_FINISH_DRAIN_GRACE_SECS"
TEST_WITH_INPUTS: Final = "DORA_TEST_WITH_INPUTS"
TEST_WRITE_OUTPUTS_TO: Final = "DORA_TEST_WRITE_OUTPUTS_TO"
TEST_NO_OUTPUT_TIME_OFFSET: Final = "DORA_TEST_NO_OUTPUT_TIME_OFFSET"

VARIABLES: Final[dict[str, str]] = {
    NODE_CONFIG: "set by the runner for each node: control socket, node id and token, as JSON",
    HOME: "directory for runtime files (first choice before XDG_RUNTIME_DIR/dora)",
    HOT_RELOAD: "`1` makes operators reload their files when these are saved (`dora run --hot-reload` sets it)",
    API: "`0.1` makes a node receive `(input_id, bytes)`, as in dora 0.1; for the `env` of a node",
    FINISH_DRAIN_GRACE_SECS: "seconds (120; `off`: for ever) that a node may run on when nothing can come any more",
    "DORA_LOG_LEVEL": "default of --log-level",
    "DORA_LOG_FORMAT": "default of --log-format",
    "DORA_LOG_FILTER": "default of --log-filter",
    "DORA_ALLOW_SHELL_NODES": "`true` allows nodes with `path: shell`",
    RUNTIME_TYPE_CHECK: "`warn` (also `1`, `true`) or `error`: check what is sent against `output_types`",
    "DORA_NO_TIMESTAMP": "`1` leaves the automatic `timestamp` out of the metadata that a node receives",
    TEST_WITH_INPUTS: "`Node()` runs without a dataflow and receives the events of this JSON file",
    TEST_WRITE_OUTPUTS_TO: "where such a node's outputs are written (default: `outputs.jsonl` beside the inputs)",
    TEST_NO_OUTPUT_TIME_OFFSET: "set: such outputs are written without their times",
    "DORA_COORDINATOR_ADDR": "default of --coordinator-addr: the service on another machine",
    "DORA_COORDINATOR_PORT": "default of --coordinator-port",
    "DORA_COORDINATOR_INTERFACE": "default of `dora up --interface`",
    "DORA_AUTH_TOKEN": "the token of a service on TCP, for the service and its clients",
    "DORA_ARENA_BYTES": "address space reserved per output (default 64 GiB, sparse)",
}
