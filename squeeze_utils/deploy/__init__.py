"""Networks as files: for ONNX Runtime and LiteRT, timed, and what makes, judges and asks them."""
