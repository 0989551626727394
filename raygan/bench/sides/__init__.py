"""What `raygan.bench.against` measures, each a process of its own that prints one line: images and seconds."""
