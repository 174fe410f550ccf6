from __future__ import annotations

import pytest

from squeeze_utils.deploy import processor


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("flags : sse2 avx2 fma", "AVX2, no VNNI"),
        ("flags\t\t: avx2 avx512f avx512_vnni", "AVX2, AVX-512, VNNI"),
        ("flags : avx2 avx_vnni", "AVX2, VNNI"),
        ("Features : fp asimd asimddp", "dot product (ARM)"),
        ("Features : fp asimd evtstrm crc32 cpuid", "no dot product"),
        ("nothing of the kind", "unknown"),
    ],
)
def test_the_instructions_of_a_processor(info, said):
    assert processor.instructions(info) == said


def test_versions_of_runtimes_are_named_even_where_there_are_none(monkeypatch):
    def version(name):
        if name == "onnxruntime":
            raise processor.PackageNotFoundError(name)
        return "2.0"

    monkeypatch.setattr(processor, "version", version)
    assert processor.runtimes() == {"onnxruntime": "not installed", "ai-edge-litert": "2.0"}
