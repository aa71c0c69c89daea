"""OpenAI's own OpenAPI description (tests/fixtures/openai-openapi.tgz) as a validator of bodies."""
import functools
import json
import tarfile
from pathlib import Path

import jsonschema
import referencing
import referencing.jsonschema
import yaml

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "tests/fixtures/openai-openapi.tgz"
URI = "urn:openai"


def _plain(node):
    """OpenAPI's dialect of JSON schema as JSON schema; one of several shapes need not be the only one that fits."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        if key == "$ref" and isinstance(value, str):
            out[key] = URI + value
        elif key == "oneOf":
            out.setdefault("anyOf", []).extend(_plain(value))
        elif key == "anyOf":
            out.setdefault("anyOf", []).extend(_plain(value))
        elif key not in ("discriminator", "example", "examples", "nullable", "x-oaiMeta", "format", "deprecated"):
            out[key] = _plain(value)
    if node.get("nullable") is True:
        return {"anyOf": [out, {"type": "null"}]}
    return out


@functools.cache
def components():
    """Every schema of the description, by name."""
    with tarfile.open(ARCHIVE) as archive:
        text = archive.extractfile("openapi.yaml").read()
    # Only this part: the paths are most of the file.
    text = text[text.index(b"\ncomponents:\n") : text.index(b"\nx-oaiMeta:")]
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return _plain(yaml.load(text, loader)["components"]["schemas"])


@functools.cache
def validator(name):
    """The validator of one of them."""
    document = {"components": {"schemas": components()}}
    resource = referencing.Resource.from_contents(document, default_specification=referencing.jsonschema.DRAFT202012)
    registry = referencing.Registry().with_resource(URI, resource)
    return jsonschema.Draft202012Validator({"$ref": f"{URI}#/components/schemas/{name}"}, registry=registry)


@functools.cache
def properties(name):
    """The fields that an object of this schema may have at its top."""
    found = set()

    def walk(node):
        if "$ref" in node:
            walk(components()[node["$ref"].rsplit("/", 1)[-1]])
        found.update(node.get("properties", {}))
        for part in node.get("allOf", []) + node.get("anyOf", []):
            walk(part)

    walk(components()[name])
    return found


def wrong(name, body, foreign=()):
    """What is wrong with a body, in a line, or None. `foreign`: fields at the top that it may have besides its own."""
    unknown = set(body) - properties(name) - set(foreign)
    if unknown and properties(name):
        return f"{name} has no {sorted(unknown)}"
    errors = sorted(validator(name).iter_errors(body), key=lambda e: len(list(e.absolute_path)))
    if not errors:
        return None
    error = jsonschema.exceptions.best_match(errors)
    return f"{name}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]} in {json.dumps(error.instance)[:200]}"
