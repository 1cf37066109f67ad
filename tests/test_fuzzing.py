"""Damaged and hostile files give hopfax's own errors: no crash, no hang, no memory that their size does not justify."""

import json
import struct
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from readers import IDX, OWN, READERS, SLACK, TIMES, attempt

STRANGE = [
    b"\xff" * 8,
    b"\0" * 8,
    b"\x7f" + b"\xff" * 7,
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"{}",
    b"[",
    b"99999999999",
]
QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def damaged(draw, content):
    """`content` with a few bytes changed, cut off, put in or repeated."""
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(content))), draw(st.integers(0, 8))
        put = draw(st.sampled_from(STRANGE) | st.binary(max_size=8) | st.just(content[start : start + 64]))
        content = draw(
            st.sampled_from(
                [
                    content[:start],
                    content[:start] + put + content[start:],
                    content[:start] + put + content[start + length :],
                ]
            )
        )
    return content


@st.composite
def rewritten(draw, content):
    """JSON with something in it replaced."""
    tree = json.loads(content)
    node, path = tree, []
    while isinstance(node, dict | list) and node and (not path or draw(st.integers(0, 3))):
        keys = sorted(node) if isinstance(node, dict) else range(len(node))
        path.append(draw(st.sampled_from(keys)))
        node = node[path[-1]]
    inner = tree
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = draw(JSON)
    return json.dumps(tree).encode()


def attempt_within_bounds(name, content):
    tracemalloc.start()
    try:
        attempt(READERS[name], content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= SLACK + TIMES * len(content)


@pytest.mark.parametrize("name", READERS)
def test_the_whole_file_is_read(name, tmp_path):
    READERS[name].read(tmp_path, READERS[name].valid)


@pytest.mark.parametrize("name", READERS)
def test_damaged_files(name):
    @QUICK
    @given(damaged(READERS[name].valid))
    def check(content):
        attempt_within_bounds(name, content)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.json", "run.json", "settings"])
def test_rewritten_descriptions(name):
    @QUICK
    @given(rewritten(READERS[name].valid))
    def check(content):
        attempt_within_bounds(name, content)

    check()


def safetensors(header, length=None):
    """A file that announces a header of `length` bytes, by default its own."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


def npy(shape):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(8)


HUGE = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
NONE = {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("idx", IDX[:4] + b"\x00\x00\x7f\xff" * 2 + bytes(99)),
        ("idx", b"\0\0\x08\x20" + b"\xff\xff\xff\xff" * 32),
        ("npy", npy((2**40, 2))),
        ("npy", npy((2**62, 2**62))),
        ("npy", npy((-1, 4))),
        ("npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1)),
        *((name, safetensors({"x": HUGE})) for name in ("memory", "checkpoint", "weights.safetensors")),
        *((name, safetensors({"x": NONE})) for name in ("memory", "checkpoint", "weights.safetensors")),
        *((name, safetensors({}, 2**63)) for name in ("memory", "checkpoint", "weights.safetensors")),
        ("model.json", READERS["model.json"].valid.replace(b"2\n", b"1099511627776\n")),
        ("settings", b'{"kind": "Tanh", "slope": ' + b"9" * 4000 + b"}"),
        ("metrics.jsonl", b"[" * 10**5),
        ("run.json", b'{"a":' * 10**5),
    ],
)
def test_what_a_header_announces_is_not_believed(name, content, tmp_path):
    tracemalloc.start()
    try:
        with pytest.raises(OWN):
            READERS[name].read(tmp_path, content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= SLACK + TIMES * len(content)
