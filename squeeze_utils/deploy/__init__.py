"""ONNX and LiteRT files: writing, timing, scoring and running them; a network of one's own."""
