import pyarrow as pa
from dora import Node

node = Node()
for number in range(5):
    request_id = node.send_service_request("request", pa.array([number]))
    response = node.recv_service_response(request_id, server="server", timeout=10)
    print(f"{number} squared is {response['value'][0].as_py()}")

event = node.next()  # what came while the client waited for its replies is still there
print(f"the timer ticked meanwhile: {event['id'] == 'tick'}")
