"""Fuzzing of everything that reads what others wrote: each input works, or ends in one error of tabgen's own.

    OMP_NUM_THREADS=1 python benchmarks/fuzz.py --inputs 100000 [--target bundle] [--seed 1]

Hypothesis draws inputs that are nearly right: files of tabgen's own with some of their values, members, lines or bytes
replaced. Each is varied ``VARIED`` times by edits that cost microseconds, where a draw costs milliseconds. An input is
a fault when another exception than a ``TabgenError`` escapes, its message is empty or cannot be printed, it takes more
than 10 processor seconds (10 minutes by the clock), or the process grows by more than 400 MB. Faults are told once for
each kind and place, by the smallest input that Hypothesis finds, or by the varied one; the script ends with 1 if there
is one.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import hashlib
import io
import json
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from tabgen.datasets import read_manifest
from tabgen.errors import TabgenError
from tabgen.experiment import plan
from tabgen.leaderboard.bundle import ENVIRONMENT, MANIFEST, ROWS, read_bundle
from tabgen.leaderboard.check import check_rows
from tabgen.leaderboard.merge import merge
from tabgen.models.checkpoints import load_directory
from tabgen.plugins import PluginChoice, Plugins, get_plugins
from tabgen.reader import ReadOptions, read_frame
from tabgen.spec import make_spec, read_preset, read_spec
from tabgen.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

SECONDS, MEGABYTES = 10.0, 400
MOST_BYTES = 3 << 30
"""What the whole process may take beyond what it has at its start: more is a MemoryError, hence a fault."""
BATCH = 10_000
"""Inputs of one run of Hypothesis: what it has found out is forgotten after so many, and another seed drawn."""
MEMORY_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""For the files of inputs: no disk is waited for."""

ODD_TEXTS = [
    "",
    " ",
    "\x00",
    "\ud800",
    "\u202e",
    "../x",
    "/",
    ".",
    "\n",
    "a" * 5000,
    "NaN",
    "1e999",
    "0",
    "true",
    "real",
]
# fmt: off
ODD_FIELDS = [
    '', '""', 'NA', 'nan', '1', '-1', '1.5', '1,5', '1e400', '1e-400', "9" * 25, '0x1F', '007', 'True',
    'false', 'yes', '2020-01-01', '01/02/2020', '31.12.1999', '2020-01-01T00:00:00Z', '0001-01-01',
    '9999-12-31', '24:00', '12%', '$3', 'inf', '-inf', '\xbd', '\u202e', '\x00', '"', '"a\nb"', '=1+1',
    "a" * 300, '\ufeff', '1_000', '\u0661\u0662', '1 000', "1'000", '2020-02-30',
    '2020-01-01 00:00:00+25:00', '-', '+', '.', ',', '1.', '.5', '1e5', '1E+05',
]
# fmt: on
ODD_NUMBERS = [0, -1, 1, 2, 10**6, 10**9, 2**53, 2**63, -(2**63), 10**30, 10**400, 0.0, -0.5, 1e-320, 1e308, -1e300]
texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=20), st.characters(codec=None))
numbers = st.one_of(st.sampled_from(ODD_NUMBERS), st.integers(), st.floats())
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)

Action = Callable[[Any], object]
Vary = Callable[[random.Random, Any], Any]
Target = tuple[st.SearchStrategy[Any], Action, Vary]
VARIED = 30
"""Variations of each input that Hypothesis draws."""


# --- edits ------------------------------------------------------------------------------------------------------


def edited(original: Any) -> st.SearchStrategy[Any]:
    """JSON values that are like ``original`` but for up to three edits at places of any depth."""
    places = list(_places(original))
    edit = st.tuples(st.sampled_from(places), st.sampled_from(["set", "drop", "add", "repeat"]), values, texts)
    return st.lists(edit, max_size=3).map(lambda edits: _apply(original, edits))


def _places(value: Any, here: tuple[Any, ...] = ()) -> Any:
    yield here
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*here, key))


def _apply(original: Any, edits: list[tuple[tuple[Any, ...], str, Any, str]]) -> Any:
    changed = json.loads(json.dumps(original))
    for place, kind, value, name in edits:
        if not place:
            changed = value if kind == "set" else changed
            continue
        parent = changed
        try:
            for key in place[:-1]:
                parent = parent[key]
            if kind == "set":
                parent[place[-1]] = value
            elif kind == "drop":
                del parent[place[-1]]
            elif isinstance(parent, list):
                parent.append(parent[place[-1]] if kind == "repeat" else value)
            elif isinstance(parent, dict):
                parent[name] = parent[place[-1]] if kind == "repeat" else value
        except (KeyError, IndexError, TypeError):  # an earlier edit took the place away
            continue
    return changed


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


NESTED = [b"[" * 3000, b'{"a":' * 3000, b"[" * 100_000 + b"]" * 100_000]


def damaged(original: bytes) -> st.SearchStrategy[bytes]:
    """Bytes like ``original`` but for up to four spans that are replaced, taken out or repeated."""
    span = st.tuples(
        st.integers(0, len(original)), st.integers(0, 8), st.one_of(st.binary(max_size=8), st.sampled_from(NESTED[:1]))
    )
    return st.tuples(st.lists(span, max_size=4), st.integers(0, 20)).map(lambda how: _damage(original, *how))


def _damage(data: bytes, spans: list[tuple[int, int, bytes]], cut: int) -> bytes:
    for start, length, new in spans:
        data = data[:start] + new + data[start + length :]
    return data[: len(data) // cut] if 0 < cut < 4 else data


# --- variations -------------------------------------------------------------------------------------------------

TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[\w.+-]+|[^\w\s]|\s')
ODD_TOKENS = [
    *(json.dumps(text).encode() for text in ODD_TEXTS),
    *(text.encode("utf-8", "surrogatepass") for text in ODD_FIELDS),
    *(str(number).encode() for number in ODD_NUMBERS),
    *(b"null", b"true", b"{}", b"[]", b"[[]]", b'{"a": 1}', b"[1, 2.5]", b"[null]", b"NaN", b"Infinity", b"1e400"),
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r\n", b"\r", b"\xc2\xa0", b"[" * 2000),
]


def varied(chance: random.Random, data: bytes) -> bytes:
    """Text with one to four of its tokens replaced, taken out, repeated or put elsewhere, or a byte of it changed."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        found = TOKEN.search(data, chance.randrange(len(data) + 1))
        start, end = found.span() if found else (len(data), len(data))
        how = chance.randrange(6)
        if how == 0:
            new = b""
        elif how == 1:
            new = 2 * data[start:end]
        elif how == 2:  # another token of the same text
            other = TOKEN.search(data, chance.randrange(len(data) + 1))
            new = other[0] if other else b""
        elif how == 3 and end > start:
            new = data[start : end - 1] + bytes([data[end - 1] ^ (1 << chance.randrange(8))])
        else:
            new = chance.choice(ODD_TOKENS)
        data = data[:start] + new + data[end:]
    return data[: chance.randrange(len(data) + 1)] if chance.random() < 0.02 else data


# --- targets ----------------------------------------------------------------------------------------------------


def _zipped(members: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # two members of one name
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name.encode("utf-8", "replace").decode()), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _bundle(lines: bytes, manifest: bytes | None = None, side: bytes = b"[]") -> bytes:
    """A bundle whose hashes fit, unless another manifest is given."""
    digests = {ROWS: hashlib.sha256(lines).hexdigest(), ENVIRONMENT: hashlib.sha256(side).hexdigest()}
    return _zipped([(MANIFEST, manifest or as_json(SAID | {"sha256": digests})), (ROWS, lines), (ENVIRONMENT, side)])


def _lines(rows: Any) -> bytes:
    return b"".join(as_json(row) + b"\n" for row in rows) if isinstance(rows, list) else as_json(rows)


def _rekeyed(rows: Any) -> Any:
    """Rows under the keys of what they say; one too odd to have a key goes as it is."""
    from leaderboard_rows import with_key

    out = []
    for row in rows if isinstance(rows, list) else []:
        try:
            out.append(with_key(row))
        except Exception:  # noqa: BLE001
            out.append(row)
    return out if isinstance(rows, list) else rows


SAID = {"format": "tabgen-bundle", "schema": 1, "rows": 6, "generators": [], "sha256": {ROWS: "", ENVIRONMENT: ""}}


def bundles(folder: Path, plugins: Plugins) -> Target:
    """Members, rows, manifest and bytes of a zip file; what passes `check` must merge."""
    from leaderboard_rows import make_rows

    rows = make_rows(("zero-shot", "real", "jitter"), datasets=2)[:6]

    def with_values(edits: list[tuple[int, str, Any]]) -> list[Any]:
        changed = [dict(row) for row in rows]
        for place, name, value in edits:
            changed[place][name] = value
        return changed

    fields = st.tuples(
        st.integers(0, 5), st.sampled_from(sorted(rows[2])), st.one_of(values, st.sampled_from(["1", []]))
    )
    inputs = st.one_of(
        st.lists(fields, min_size=1, max_size=3).map(with_values).map(_rekeyed).map(_lines).map(_bundle),
        edited(rows).map(_rekeyed).map(_lines).map(_bundle),
        edited(rows).map(_lines).map(_bundle),
        damaged(as_json(rows[0])).map(_bundle),
        damaged(_bundle(_lines(rows))),
        edited(SAID).map(lambda value: _bundle(_lines(rows), as_json(value))),
        damaged(as_json(SAID)).map(lambda value: _bundle(_lines(rows), value)),
        st.one_of(st.binary(max_size=50), values.map(as_json), st.sampled_from(NESTED)).map(
            lambda side: _bundle(_lines(rows), None, side)
        ),
        st.lists(
            st.tuples(st.one_of(st.sampled_from([MANIFEST, ROWS, ENVIRONMENT]), texts), st.binary(max_size=30)),
            max_size=4,
        ).map(_zipped),
    )
    path = folder / "b.zip"
    count = iter(range(10**12))
    seen: set[str] = set()

    def action(data: bytes) -> None:
        path.write_bytes(data)
        found = read_bundle(path)
        told = hashlib.sha256(repr(found).encode("utf-8", "replace")).hexdigest()
        if told in seen:  # the edit changed nothing that is read
            return
        seen.add(told)
        problems = [finding for finding in check_rows(found, plugins) if finding.problem]
        if not problems:
            target = folder / f"merged-{next(count)}"
            merge([path], target, plugins)
            for file in target.iterdir():
                file.unlink()
            target.rmdir()

    return inputs, action, _vary_bundle


def _vary_bundle(chance: random.Random, data: bytes) -> bytes:
    """Mostly other rows under hashes that fit."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest, lines, side = (archive.read(name) for name in (MANIFEST, ROWS, ENVIRONMENT))
    except Exception:  # noqa: BLE001 - zip files are broken in many ways
        return varied(chance, data)
    which = chance.random()
    if which < 0.1:
        return _bundle(lines, varied(chance, manifest), side)
    if which < 0.15:
        return _bundle(lines, None, varied(chance, side))
    if which < 0.25:
        return varied(chance, data)
    return _bundle(varied(chance, lines))


TABLE = "a,b,when,y\n" + "".join(
    f"{i / 3:.2f},{'xyz'[i % 3]},2020-01-{i % 28 + 1:02d},{'no' if i % 2 else 'yes'}\n" for i in range(30)
)


def manifests(folder: Path, plugins: Plugins) -> Target:  # noqa: ARG001
    """The manifest of a folder of tables; those that it lists are read."""
    (folder / "t.csv").write_text(TABLE)
    sound = {
        "name": "t",
        "file": "t.csv",
        "target": "y",
        "sha256": hashlib.sha256(TABLE.encode()).hexdigest(),
        "kinds": {"a": "numeric", "b": "categorical"},
        "reading": {"delimiter": ",", "decimal": ".", "encoding": "utf-8", "missing": ["?"], "day_first": True},
    }
    kinds = st.dictionaries(
        st.sampled_from(["a", "b", "when", "y", "z"]),
        st.one_of(
            scalars, st.sampled_from(["text", "drop", "integer", "datetime", "boolean", "categorical", "numeric"])
        ),
    )
    reading = st.fixed_dictionaries(
        {},
        optional={
            "delimiter": st.one_of(scalars, st.sampled_from(list(",;\t| ay\\"))),
            "decimal": st.one_of(scalars, st.sampled_from([".", ","])),
            "encoding": st.one_of(
                texts,
                st.sampled_from(
                    [
                        "utf-16",
                        "idna",
                        "rot13",
                        "base64",
                        "utf-7",
                        "cp037",
                        "undefined",
                        "unicode_escape",
                        "hex",
                        "punycode",
                        "zlib",
                    ]
                ),
            ),
            "missing": st.lists(scalars, max_size=3),
            "day_first": scalars,
        },
    )
    inputs = st.one_of(
        edited([sound]).map(as_json),
        st.tuples(kinds, reading).map(lambda how: as_json([{**sound, "kinds": how[0], "reading": how[1]}])),
        damaged(as_json([sound])),
        st.sampled_from(NESTED),
    )

    def action(data: bytes) -> None:
        (folder / "manifest.json").write_bytes(data)
        for dataset in read_manifest(folder):
            dataset.load()

    return inputs, action, varied


def _toml(value: Any) -> str:
    """Values as TOML; what it has no form for goes as JSON, which is mostly no TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def experiments(folder: Path, plugins: Plugins) -> Target:
    """An experiment's TOML, up to its plan."""
    (folder / "t.csv").write_text(TABLE)
    whole: dict[str, Any] = {
        "suite": "quick",
        "methods": ["zero-shot", "real", "jitter@augment:noise=0.2,ratio=2"],
        "mixing": ["replace"],
        "folds": 2,
        "arms": ["context", "fine-tune"],
        "tuning_seeds": 1,
        "draws": 1,
        "seeds": 1,
        "model": "tabgen-nano",
        "recipe": ["own"],
        "recipes": {"own": {"base": "nano", "steps": 3, "learning_rate": 0.001}},
        "max_train_rows": [100],
        "max_test_rows": 100,
        "seconds": 60.0,
        "memory": 2000.0,
        "phase_seconds": {"fit": 10.0},
        "fidelity": False,
        "text": "nearest",
    }
    of_table = {
        **{name: value for name, value in whole.items() if name != "suite"},
        "data": "t.csv",
        "target": "y",
        "kinds": {"a": "numeric"},
        "drop": ["when"],
        "reading": {"delimiter": ","},
    }

    def written(value: Any) -> bytes:
        if not isinstance(value, dict):
            return _toml(value).encode("utf-8", "surrogatepass")
        lines = [f"{json.dumps(str(key))} = {_toml(inner)}\n" for key, inner in value.items()]
        return "".join(lines).encode("utf-8", "surrogatepass")

    names = st.one_of(
        st.sampled_from(["zero-shot", "real", "jitter", "bootstrap", "corrupted", "oracle", "file"]), texts
    )
    knobs = st.sampled_from(["noise", "ratio", "recipe", "kind", "dose", "folder", "rows", "x", ""])
    methods = st.builds(
        lambda name, mixing, settings: (
            name + mixing + (":" + ",".join(f"{k}={v}" for k, v in settings) if settings else "")
        ),
        names,
        st.sampled_from(["", "@augment", "@replace", "@", "@x"]),
        st.lists(st.tuples(knobs, st.one_of(scalars.map(str), values.map(json.dumps), texts)), max_size=3),
    )
    recipe = read_preset("quick"), _recipe_fields()
    own = st.dictionaries(st.sampled_from(recipe[1]), values, max_size=3)
    inputs = st.one_of(
        edited(whole).map(written),
        edited(of_table).map(written),
        st.lists(methods, max_size=3).map(lambda those: written({**whole, "methods": those})),
        own.map(lambda how: written({**whole, "recipes": {"own": {"base": "nano", **how}}})),
        damaged(written(whole)),
        damaged(written(of_table)),
        st.sampled_from(
            [b"a = " + b"[" * 3000, b"a = " + b"{a=" * 3000, b"a." * 3000 + b"a = 1", b"[" + b"a." * 3000 + b"a]"]
        ),
    )

    def action(data: bytes) -> None:
        path = folder / "experiment.toml"
        path.write_bytes(data)
        plan(make_spec(read_spec(path), str(path)).build(plugins), plugins)

    return inputs, action, varied


def _recipe_fields() -> list[str]:
    from tabgen.models.recipes import get_recipe

    return sorted(get_recipe("nano").to_dict())


def checkpoints(folder: Path, plugins: Plugins) -> Target:  # noqa: ARG001
    """``config.json`` and the safetensors' header and bytes."""
    from paths import FIXTURE

    config = json.loads((FIXTURE / "config.json").read_text())
    weights = (FIXTURE / "model.safetensors").read_bytes()
    length = int.from_bytes(weights[:8], "little")
    header, body = json.loads(weights[8 : 8 + length]), weights[8 + length :]

    def with_header(value: Any) -> bytes:
        text = value if isinstance(value, bytes) else as_json(value)
        return len(text).to_bytes(8, "little") + text + body

    sizes = st.dictionaries(st.sampled_from([*config, "many_levels"]), st.one_of(numbers, scalars), max_size=3)
    configs = st.one_of(
        edited(config).map(as_json),
        sizes.map(lambda those: as_json({**config, **those})),
        damaged(as_json(config)),
        st.sampled_from(NESTED),
    )
    files = st.one_of(
        edited(header).map(with_header),
        damaged(as_json(header)).map(with_header),
        st.sampled_from(NESTED).map(with_header),
        st.tuples(numbers.filter(lambda n: isinstance(n, int) and 0 <= n < 2**64), st.binary(max_size=40)).map(
            lambda how: how[0].to_bytes(8, "little") + how[1]  # type: ignore[union-attr]
        ),
        st.integers(0, len(weights)).map(lambda cut: weights[:cut]),
    )
    inputs = st.one_of(st.tuples(configs, st.just(weights)), st.tuples(st.just(as_json(config)), files))

    def action(data: tuple[bytes, bytes]) -> None:
        (folder / "config.json").write_bytes(data[0])
        (folder / "model.safetensors").write_bytes(data[1])
        load_directory(folder)

    def vary(chance: random.Random, data: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        if chance.random() < 0.6:
            return varied(chance, data[0]), data[1]
        if chance.random() < 0.7:
            return data[0], with_header(varied(chance, as_json(header)))
        return data[0], varied(chance, data[1][:2000]) + data[1][2000:]

    return inputs, action, vary


def tables(folder: Path, plugins: Plugins) -> Target:  # noqa: ARG001
    """A table's file, from its bytes to a table that can be split."""
    cell = st.one_of(
        st.sampled_from(ODD_FIELDS),
        st.text(max_size=6),
        st.integers().map(str),
        st.floats().map(str),
    )
    delimiter = st.sampled_from([*list(",;\t| "), ", "])
    row = st.lists(cell, min_size=1, max_size=5)

    def written(columns: list[str], rows: list[list[str]], sign: str, end: str, repeat: int) -> bytes:
        lines = [sign.join([*columns, "y"])] if columns else []
        lines += [sign.join([*(one + [""] * 5)[: len(columns)], "ab"[n % 2]]) for n, one in enumerate(rows * repeat)]
        return end.join(lines).encode("utf-8", "surrogatepass")

    regular = st.builds(
        written,
        st.lists(
            st.one_of(st.sampled_from(["a", "b", "", " ", "y", "a", "Unnamed: 0", "1.5", "\x00"]), st.text(max_size=4)),
            max_size=5,
        ),
        st.lists(row, max_size=6),
        delimiter,
        st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
        st.integers(1, 30),
    )
    ragged = st.builds(
        lambda rows, sign: "\n".join(sign.join(r) for r in rows).encode("utf-8", "surrogatepass"),
        st.lists(row, max_size=8),
        delimiter,
    )
    arrow = _arrow_files()
    packed = [(ending, _packed(ending, TABLE.encode())) for ending in (".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip")]
    options = st.fixed_dictionaries(
        {},
        optional={
            "delimiter": st.sampled_from([*list(",;\t| .ay'\\0"), "\x00", "é", "�"]),
            "decimal": st.sampled_from([".", ","]),
            "encoding": st.sampled_from(
                [
                    "utf-8",
                    "latin-1",
                    "utf-16",
                    "utf-16-le",
                    "utf-32",
                    "cp037",
                    "utf-7",
                    "idna",
                    "unicode_escape",
                    "rot13",
                    "hex",
                    "undefined",
                    "raw_unicode_escape",
                    "mbcs",
                ]
            ),
            "missing": st.lists(cell, max_size=2),
            "day_first": st.booleans(),
        },
    )
    plain = st.one_of(
        regular,
        ragged,
        damaged(TABLE.encode()),
        st.binary(max_size=60),
        regular.map(lambda d: d.decode("utf-8", "replace").encode("utf-16")),
    )
    files = st.one_of(
        st.tuples(st.sampled_from([".csv", ".tsv", ".txt", ".parquet", ".xlsx"]), plain),
        st.tuples(st.just(".csv"), regular),
        st.sampled_from(packed + arrow).flatmap(lambda file: st.tuples(st.just(file[0]), damaged(file[1]))),
    )
    kinds = st.dictionaries(
        st.sampled_from(["a", "b", "y", "when"]),
        st.sampled_from(["numeric", "integer", "categorical", "boolean", "datetime", "text", "drop", "x"]),
        max_size=2,
    )
    inputs = st.tuples(
        files, st.one_of(st.just({}), options), st.one_of(st.just({}), kinds), st.sampled_from(["y", "a", "b", "z"])
    )

    def action(data: tuple[tuple[str, bytes], dict[str, Any], dict[str, str], str]) -> None:
        (ending, content), how, kinds, target = data
        path = folder / f"t{ending}"
        path.write_bytes(content)
        frame = read_frame(path, ReadOptions.from_dict(how))
        Table.from_frame(frame, target, kinds)

    def vary(chance: random.Random, data: tuple[tuple[str, bytes], dict[str, Any], dict[str, str], str]) -> Any:
        (ending, content), how, kinds, target = data
        return (ending, varied(chance, content)), how, kinds, target

    return inputs, action, vary


def _packed(ending: str, data: bytes) -> bytes:
    import bz2
    import gzip
    import lzma

    if ending.endswith(".zip"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", data)
        return buffer.getvalue()
    return {".csv.gz": gzip.compress, ".csv.bz2": bz2.compress, ".csv.xz": lzma.compress}[ending](data)


def _arrow_files() -> list[tuple[str, bytes]]:
    import pandas as pd

    frame = pd.read_csv(io.StringIO(TABLE))
    files = []
    for ending, write in ((".parquet", frame.to_parquet), (".feather", frame.to_feather)):
        buffer = io.BytesIO()
        write(buffer)  # type: ignore[operator]
        files.append((ending, buffer.getvalue()))
    return files


TARGETS: dict[str, Callable[[Path, Plugins], Target]] = {
    "bundle": bundles,
    "manifest": manifests,
    "experiment": experiments,
    "checkpoint": checkpoints,
    "table": tables,
}


# --- running ----------------------------------------------------------------------------------------------------


class FaultError(Exception):
    """What an input must not do."""


class _OverError(BaseException):
    """The time is over: ends Hypothesis's run at once, as it is no input's fault."""


class _Late(BaseException):
    """Raised by the alarm: passes every ``except Exception``."""


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def attempt(action: Action, data: Any) -> str | None:
    """Run one input; where it is a fault, its kind and place."""
    before = peak_mb()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        action(data)
    except TabgenError as error:
        message = str(error)
        try:
            message.encode()
        except UnicodeEncodeError:
            return f"a message that cannot be printed, {_place(error)}"
        if not message.strip():
            return f"an empty message, {_place(error)}"
    except _Late as error:
        return f"more than {SECONDS:.0f} processor seconds, {_place(error)}"
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return f"{type(error).__name__}, {_place(error)}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    grown = peak_mb() - before
    return f"{grown:.0f} MB" if grown > MEGABYTES else None


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/tabgen/" in frame.filename]
    frame = (own or list(frames))[-1]
    return f"{Path(frame.filename).name}:{frame.lineno} ({frame.name})"


@dataclass
class Tally:
    """How many inputs of a target ran, and its faults with an input of each."""

    name: str
    ran: int = 0
    known: dict[str, str] = field(default_factory=dict)

    def tell(self, fault: str, data: Any) -> None:
        self.known[fault] = repr(data)
        print(f"{self.name}: {fault}: {repr(data)[:1500]}", flush=True)


def fuzz(name: str, inputs: int, seed: int, until: float) -> Tally:
    """Inputs of a target until there are enough, or the time is over."""
    plugins = get_plugins(PluginChoice(external=False))
    tally = Tally(name)

    def late(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise _Late

    faulthandler.enable()  # where native code ends the interpreter
    signal.signal(signal.SIGPROF, late)
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER) as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target = TARGETS[name](Path(scratch), plugins)
        while tally.ran < inputs and time.monotonic() < until:
            _batch(target, tally, min(BATCH, inputs - tally.ran), seed + tally.ran, until)
            gc.collect()
            print(f"{name}: {tally.ran:,} inputs", flush=True)
    faulthandler.cancel_dump_traceback_later()
    return tally


def _batch(target: Target, tally: Tally, inputs: int, seed: int, until: float) -> None:
    """Inputs of one seed, up to the first drawn one that is an unknown fault, which is made small and told."""
    strategy, action, vary = target
    chance = random.Random(seed)
    found: list[tuple[str, Any]] = []

    @seeded(seed)
    @settings(
        max_examples=max(1, inputs // (VARIED + 1)),
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(strategy)
    def run(data: Any) -> None:
        if time.monotonic() > until:
            raise _OverError
        faulthandler.dump_traceback_later(60 * SECONDS, exit=True)  # where it sleeps, or C code hears no alarm
        tally.ran += 1
        fault = attempt(action, data)
        if fault is not None and fault not in tally.known:
            if not _costly(fault):
                found.append((fault, data))
                raise FaultError(fault)
            tally.tell(fault, data)
        for _ in range(0 if found else VARIED):
            changed = vary(chance, data)
            tally.ran += 1
            fault = attempt(action, changed)
            if fault is not None and fault not in tally.known:
                tally.tell(fault, changed)

    with contextlib.suppress(FaultError, _OverError):
        run()
    if found:
        tally.tell(*found[-1])


def _costly(fault: str) -> bool:
    """Whether an input of this fault costs too much to be made small."""
    return fault.endswith("MB") or fault.startswith("more than")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=10_000, help="inputs of each target")
    parser.add_argument("--target", choices=list(TARGETS), action="append", help="repeatable; all if none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e6, help="of each target at most")
    arguments = parser.parse_args()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, used + MOST_BYTES))
    faults = 0
    for name in arguments.target or TARGETS:
        began = time.monotonic()
        tally = fuzz(name, arguments.inputs, arguments.seed, began + 60 * arguments.minutes)
        faults += len(tally.known)
        told = (
            f"{tally.ran:,} inputs in {time.monotonic() - began:.0f} s ({time.process_time():.0f} s of processor time)"
        )
        print(f"{name}: {told}, {len(tally.known)} kinds of faults", flush=True)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
