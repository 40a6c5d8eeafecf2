"""Ways to damage an input, each a function of a random generator: bytes, JSON, pickles, zips, safetensors."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import pickletools
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import Any


@dataclasses.dataclass
class Material:
    """Material for damage: tokens that the format knows, and other inputs to take pieces from."""

    tokens: Sequence[bytes]
    corpus: Sequence[bytes]


Mutation = Callable[[random.Random, bytes, Material], bytes]

_WHOLE_NUMBERS = (
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**53,
    2**63 - 1,
    2**64 - 1,
)


def damage_bytes(rng: random.Random, data: bytes, material: Material) -> bytes:
    """One change anywhere, without regard for the format."""
    if not data:
        return rng.choice(material.tokens or (b"\0",))
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((1, 2, 4, 8, 64, 4096)))
    change = rng.randrange(10)
    if change == 0:
        at = min(at, len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if change == 1:
        return data[:at] + rng.randbytes(end - at) + data[end:]
    if change == 2:
        return data[:at] + data[end:]
    if change == 3:
        return data[:at]
    if change == 4:
        return data[:at] + data[at:end] * rng.choice((2, 3, 100)) + data[end:]
    if change == 5:
        width, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
        number = rng.choice(_WHOLE_NUMBERS) & ((1 << 8 * width) - 1)
        return data[:at] + number.to_bytes(width, order) + data[at + width :]
    if change == 6:
        other = rng.choice(material.corpus)
        return data[:at] + other[rng.randrange(len(other) + 1) :]
    token = rng.choice(material.tokens) if material.tokens else rng.randbytes(4)
    if change == 7:
        return data[:at] + token + data[at + len(token) :]
    if change == 8 and (present := [t for t in material.tokens if t in data]):
        return data.replace(rng.choice(present), token, rng.choice((1, -1)))
    return data[:at] + token + data[at:]


# ---- JSON ----

_DEEP, _HUGE, _LONG = "@deep@", "@huge@", "@long@"
_RAW = {_DEEP: "[" * 20_000 + "]" * 20_000, _HUGE: "9" * 5_000, _LONG: json.dumps("x" * 100_000)}
_VALUES = (
    *(None, True, False, 0, 1, -1, 3, 0.5, 1e308, -1e-320, 2**31, 2**63, -(2**70), float("nan"), float("inf")),
    *("", " ", "0", "-1", "x", "../../escape", "/etc/hostname", "a/../b", "\x00", "\x1b[31mred\r\n", "\ud83d"),
    *("\u202egpj", "NaN", "1e400", "\ufeff", "\u2028", "<script>alert(1)</script>", "a" * 300),
    *([], {}, [[]], [None], {"": None}, [0, 0], [5, 3], [1, 2, 3, 4], [[0, 0, 1, 1]], {"0": [1, 1, 2, 2]}),
    *(_DEEP, _HUGE, _LONG),
)  # fmt: skip


class _Pairs(list):
    """An object as (key, value) pairs, which may hold a key twice."""


def damage_json(rng: random.Random, data: bytes, material: Material) -> bytes:
    """One change of a value, a key or the structure of JSON; other text is damaged as bytes."""
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return damage_bytes(rng, data, material)
    holder = [value]
    places = list(_places(holder))
    parent, index = rng.choice(places)
    _change(rng, parent, index, [holder, *(p for p, _ in places)])
    text = _dump(holder[0]) if holder else ""
    for name, raw in _RAW.items():
        text = text.replace(json.dumps(name), raw)
    encoded = text.encode("utf-8", "surrogatepass")
    return b"\xef\xbb\xbf" + encoded if rng.random() < 0.02 else encoded


def damage_lines(rng: random.Random, data: bytes, material: Material) -> bytes:
    """One change in one line of JSON, or of the order and number of the lines."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    change = rng.randrange(8)
    if change == 0:
        return b"\n".join(lines[:at] + lines[at + 1 :])
    if change == 1:
        return b"\n".join([*lines[:at], lines[at], *lines[at:]])
    if change == 2:
        return damage_bytes(rng, data, material)
    lines[at] = damage_json(rng, lines[at], material)
    return b"\n".join(lines)


def _places(value: Any):
    """(list, index) of every value within a list; of pairs, the index of the pair."""
    pending = [value]
    while pending:
        node = pending.pop()
        for index, item in enumerate(node):
            yield node, index
            inner = item[1] if isinstance(node, _Pairs) else item
            if isinstance(inner, list):
                pending.append(inner)


def _change(rng: random.Random, parent: list, index: int, lists: Sequence[list]) -> None:
    pair = isinstance(parent, _Pairs)
    change = rng.randrange(7)
    if change == 0 and (pair or len(parent) > 1):
        del parent[index]
    elif change == 1:
        parent.insert(rng.randrange(len(parent) + 1), parent[index])
    elif change == 2 and pair:
        key = rng.choice([k for k in _VALUES if isinstance(k, str)])
        parent[index] = (rng.choice((key, rng.choice(parent)[0])), parent[index][1])
    elif change == 3:
        other = rng.choice(lists)
        if other:
            taken = rng.choice(other)
            taken = taken[1] if isinstance(other, _Pairs) else taken
            # A copy, as a value must not hold itself.
            taken = json.loads(_dump(taken), object_pairs_hook=_Pairs)
            parent[index] = (parent[index][0], taken) if pair else taken
    elif change == 4 and not pair and parent:
        parent[index:index] = [parent[index]] * 200
    else:
        value = rng.choice(_VALUES)
        value = _Pairs(value.items()) if isinstance(value, dict) else value
        parent[index] = (parent[index][0], value) if pair else value


def _dump(value: Any) -> str:
    if isinstance(value, _Pairs):
        return "{" + ", ".join(f"{json.dumps(key)}: {_dump(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dump, value)) + "]"
    return json.dumps(value)


# ---- checkpoints ----


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def _doubled(levels: int, opening: bytes, closing: bytes) -> bytes:
    """A container that holds twice the container that holds twice ..."""
    code = opening + b"q\xb4"
    for level in range(180, 180 + levels):
        code += opening + b"(h%ch%c" % (level, level) + closing + b"q%c" % (level + 1)
    return code


_SNIPPETS = (
    *(b"N", b"]", b"}", b")", b"(", b"0", b"1", b"2", b"t", b"l", b"d", b"e", b"u", b"a", b"s", b"\x85"),
    *(b"\x86", b"\x8f", b"R", b"b", b"Q", b"\x81", b"\x92", b"\x93", b"o", b".", b"h\x00", b"q\x00", b"\x94"),
    *(b"j\xff\xff\xff\xff", b"K\x00", b"I" + b"9" * 6000 + b"\n"),
    *(b"J\xff\xff\xff\xff", b"\x8a\x09" + b"\xff" * 8 + b"\0", b"\x8b\x00\x02\x00\x00" + b"\x7f" * 512),
    *(b"G\x7f\xf8" + bytes(6), _text("model"), _text("\x1b[31mred\r\nsecond line"), _text("x" * 10_000)),
    *(_doubled(40, b"]", b"e"), _doubled(20, b"}", b"u"), b"2" * 50_000, b"(" * 1_001, b"\x85" * 600),
    *(_text("module."), b"]" * 2000 + b"a" * 1999),
    *(b"c%s\n)R" % name for name in (b"collections\nOrderedDict", b"collections\ndefaultdict", b"builtins\nrange")),
    *(b"c%s\n" % name for name in (b"torch\nFloatStorage", b"torch._utils\n_rebuild_tensor_v2", b"numpy\ndtype")),
    *(b"c%s\n" % name for name in (b"numpy.core.multiarray\n_reconstruct", b"numpy\nndarray", b"yacs.config\nCfgNode")),
    *(b"cnumpy.core.multiarray\nscalar\n", b"c_codecs\nencode\n", b"cos\nsystem\n", b"cbuiltins\neval\n"),
)  # fmt: skip


def damage_pickle(rng: random.Random, data: bytes, material: Material) -> bytes:
    """One change of the opcodes of a pickle, or of several pickles that follow each other."""
    pieces = _opcodes(data)
    if len(pieces) < 2 or rng.random() < 0.2:
        return damage_bytes(rng, data, material)
    at = rng.randrange(len(pieces))
    end = min(len(pieces), at + rng.choice((1, 1, 2, 4, 16)))
    change = rng.randrange(6)
    if change == 0:
        pieces[at:end] = []
    elif change == 1:
        pieces[at:at] = pieces[at:end] * rng.choice((1, 2, 50))
    elif change == 2:
        other = rng.randrange(len(pieces))
        pieces[at], pieces[other] = pieces[other], pieces[at]
    elif change == 3:
        pieces[at:end] = [rng.choice(_SNIPPETS)]
    else:
        pieces.insert(at, rng.choice(_SNIPPETS))
    return b"".join(pieces)


def _opcodes(data: bytes) -> list[bytes]:
    """The bytes of every opcode of the pickles at the start, and what follows them as one piece."""
    starts, stream, end = [], io.BytesIO(data), 0
    try:
        while end < len(data) and len(starts) < 20_000:
            # Positions count from the start of the stream.
            for opcode, _, position in pickletools.genops(stream):
                starts.append(position)
                end = stream.tell() if opcode.name == "STOP" else end
    except Exception:  # whatever follows is no pickle
        pass
    bounds = [*(start for start in starts if start < end), end, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


def damage_zip(rng: random.Random, data: bytes, material: Material) -> bytes:
    """One change within an entry of a zip, which is then packed again with right checksums; or of its directory."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # a zip that was damaged before
        return damage_bytes(rng, data, material)
    if not entries or rng.random() < 0.15:
        return damage_bytes(rng, data, material)
    at = rng.randrange(len(entries))
    if rng.random() < 0.6:
        at = next((i for i, (name, _) in enumerate(entries) if name.endswith(".pkl")), at)
    name, content = entries[at]
    change, compression = rng.randrange(8), zipfile.ZIP_STORED
    if change == 0:
        del entries[at]
    elif change == 1:
        new = rng.choice(
            ("archive/data/0", "../../escape", "/etc/x", "a\x1b[31m\n", "archive/constants.pkl", "n" * 500)
        )
        entries[at] = (new, content)
    elif change == 2:
        compression = zipfile.ZIP_DEFLATED
        entries[at] = (name, content + bytes(rng.choice((0, 2**20, 2**24))))
    else:
        damage = damage_pickle if name.endswith(".pkl") else damage_bytes
        entries[at] = (name, damage(rng, content, material))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return packed.getvalue()


def damage_safetensors(rng: random.Random, data: bytes, material: Material) -> bytes:
    """One change of the header, whose length stays right, or of any byte."""
    length = int.from_bytes(data[:8], "little")
    if rng.random() < 0.3 or not 0 < length <= len(data) - 8:
        return damage_bytes(rng, data, material)
    header = damage_json(rng, data[8 : 8 + length], material)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def damage_member(rng: random.Random, data: bytes, material: Material) -> bytes:
    """One change in one file of a folder, given as its name, a NUL and its content."""
    name, separator, content = data.partition(b"\0")
    damage = damage_json if content.startswith(b"{") else damage_bytes
    return name + separator + damage(rng, content, material)


def damage_sealed(rng: random.Random, data: bytes, material: Material) -> bytes:
    """One change of sealed JSON (`data_pipeline.shards.entries.seal`), line by line, mostly sealed again."""
    from stvg_jax.core.files import seal

    whole = data.split(b"\n") if data.startswith(b"\n") else [data]
    at = rng.randrange(len(whole))
    body, found, _ = whole[at].rpartition(b', "sha256": "')
    if not found or rng.random() < 0.2:
        return damage_bytes(rng, data, material)
    body = damage_json(rng, body + b"}", material)
    if body.endswith(b"}"):
        whole[at] = seal(body.decode("utf-8", "replace")).encode()
    return b"\n".join(whole)
