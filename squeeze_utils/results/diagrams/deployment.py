"""The diagram of the ways from a trained network to a device."""

from __future__ import annotations

from matplotlib.figure import Figure

from squeeze_utils.results.diagrams.drawing import Diagram, tint

LAPTOP, PI, BROWSER = "laptop, server", "Raspberry Pi", "browser"
# Each file with how it is made, its height in the diagram, and the forms that it comes in.
FILES = {
    ".sqz": ("save_sqz", 2.75, ()),
    ".onnx": ("export", 1.83, ("float", "int8")),
    ".tflite": ("convert", 0.9, ("float", "int8")),
}
# Each runtime with the file that it reads, its height, and the devices of chapter 17.
RUNTIMES = {
    "torch": (".sqz", 2.75, (LAPTOP,)),
    "ONNX Runtime": (".onnx", 2.11, (LAPTOP, PI)),
    "ONNX Runtime Web": (".onnx", 1.55, (BROWSER,)),
    "LiteRT": (".tflite", 0.9, (LAPTOP, PI)),
}
NOTE = """\
A .sqz is decoded into a torch network before it runs. The committed float files have 16-bit
weights. An int8 file needs some training images, which set its ranges."""


def deployment_paths() -> Figure:
    """From a torch network through files and runtimes to the devices of chapter 17."""
    drawing, files = Diagram(), {}
    for x, name in ((0.8, "network"), (3.2, "files"), (5.2, "runtimes"), (7.65, "devices")):
        drawing.title(x, 3.28, name)
    words = "torch network,\ntrained"
    network = drawing.box(0.8, FILES[".onnx"][1], 1.15, 0.6, words, tint("grey", 0.3))
    trunk = network.right[0] + 0.2
    drawing.line(network.right, (trunk, network.y))
    for name, (how, y, forms) in FILES.items():
        files[name] = drawing.box(3.2, y, 1.3, 0.7 if forms else 0.4, fill=tint("blue", 0.3))
        drawing.text(3.2, y + 0.19 if forms else y, name)
        for x, form in zip((2.9, 3.5), forms, strict=False):
            drawing.box(x, y - 0.12, 0.52, 0.28, form, tint("sky", 0.25))
        drawing.arrow((trunk, network.y), (trunk, y), files[name].left)
        drawing.line(files[name].right, (files[name].right[0] + 0.2, y))
        drawing.text((trunk + files[name].left[0]) / 2, y + 0.13, how)
    for name, (file, y, devices) in RUNTIMES.items():
        start, runtime = files[file], drawing.box(5.2, y, 1.4, 0.4, name, tint("orange", 0.3))
        fork = start.right[0] + 0.2
        drawing.arrow((fork, start.y), (fork, y), runtime.left)
        for x, device in zip((7.0, 8.3), devices, strict=False):
            drawing.box(x, y, 1.15, 0.4, device, tint("green", 0.3))
        drawing.arrow(runtime.right, (7.0 - 1.15 / 2, y))
    drawing.text(4.5, 0.25, NOTE)
    return drawing.figure
