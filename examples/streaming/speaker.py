import pyarrow as pa
from dora import Node

node = Node()
sentences = ["The arm is ready", "Please step back"]
for number, sentence in enumerate(sentences):
    words = sentence.split()
    segment = node.stream_segment("words", session_id="greeting", segment_id=number)
    for word in words[:-1]:
        segment.send(pa.array([word]))
    segment.send(pa.array([words[-1]]), fin=True)
