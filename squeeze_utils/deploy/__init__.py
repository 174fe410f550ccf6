"""From a trained network to something that runs without torch: ONNX Runtime and LiteRT."""
