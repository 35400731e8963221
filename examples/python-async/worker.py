import asyncio

import pyarrow as pa
from dora import Node


async def fetch_data(value: pa.Array) -> pa.Array:
    """Stands for a request over the network."""
    await asyncio.sleep(0.001)
    return pa.array([value[0].as_py() * 2])


async def main() -> None:
    node = Node()
    async for event in node:
        if event["type"] == "INPUT":
            result = await fetch_data(event["value"])
            node.send_output("result", result)


asyncio.run(main())
