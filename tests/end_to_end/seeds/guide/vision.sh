dora build --uv dataflow.yml
dora run --uv dataflow.yml
