"""What a suite holds, as Croissant metadata (MLCommons, version 1.0): JSON-LD that dataset search engines read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tabgen.datasets import Dataset, Suite
from tabgen.errors import DataError

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def describe(suite: Suite, folder: Path | None = None) -> dict[str, Any]:
    """The suite as JSON-LD: a file and a set of records for every dataset, a field for every column.

    Paths are those of the files from ``folder`` on, where the suite's manifest lies, or else beside it; licences are
    those that the manifest tells.

    Raises
    ------
    DataError
        If a dataset is no Parquet file, so that its columns have no types.
    """
    licences = sorted({str(dataset.facts["licence"]) for dataset in suite.datasets if dataset.facts.get("licence")})
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": suite.name,
        "description": f"The suite '{suite.name}' of tabgen: {suite.summary}.",
        "version": suite.version,
        **({"license": licences if len(licences) > 1 else licences[0]} if licences else {}),
        "distribution": [_file(dataset, folder) for dataset in suite.datasets],
        "recordSet": [_records(dataset, folder) for dataset in suite.datasets],
    }


def _place(dataset: Dataset, folder: Path | None) -> str:
    """Where a table's file lies, from the manifest on."""
    return dataset.path.name if folder is None else dataset.path.resolve().relative_to(folder.resolve()).as_posix()


def _file(dataset: Dataset, folder: Path | None) -> dict[str, Any]:
    if dataset.path.suffix != ".parquet" or not dataset.path.is_file():
        raise DataError(f"dataset '{dataset.name}': {dataset.path} is no Parquet file, whose columns have types.")
    place = _place(dataset, folder)
    return {
        "@type": "cr:FileObject",
        "@id": place,
        "name": place,
        "contentUrl": place,
        "encodingFormat": "application/vnd.apache.parquet",
        "sha256": dataset.sha256 or hashlib.sha256(dataset.path.read_bytes()).hexdigest(),
    }


def _records(dataset: Dataset, folder: Path | None) -> dict[str, Any]:
    title = str(dataset.facts.get("title") or dataset.facts.get("summary") or dataset.name)
    return {
        "@type": "cr:RecordSet",
        "@id": dataset.name,
        "name": dataset.name,
        "description": f"{title.rstrip('.')}. To predict: {dataset.target}.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{dataset.name}/{column.name}",
                "name": column.name,
                "dataType": _type(column.type),
                "source": {"fileObject": {"@id": _place(dataset, folder)}, "extract": {"column": column.name}},
            }
            for column in pq.read_schema(dataset.path)
        ],
    }


def _type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "sc:Float"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "sc:Date"
    return "sc:Text"
