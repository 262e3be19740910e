#!/usr/bin/env python3
"""Prints rfc7208-tests.yml as JSON, so that the tests need no YAML reader.

./convert.py >rfc7208-tests.json; needs python3-yaml. A scenario given twice, or a name
twice in one scenario, is an error: nothing may be lost.
"""

import json
import pathlib
import sys

import yaml


class Loader(yaml.BaseLoader):
    """Every scalar is a text."""


def mapping(loader, node):
    pairs = [(loader.construct_object(key), loader.construct_object(value, deep=True))
             for key, value in node.value]
    if len(dict(pairs)) != len(pairs):
        sys.exit(f"given twice: {[key for key, _ in pairs]}")
    return dict(pairs)


Loader.add_constructor("tag:yaml.org,2002:map", mapping)

KEPT = ["spec", "helo", "host", "mailfrom", "result", "explanation"]
folder = pathlib.Path(__file__).parent
scenarios = []
for document in yaml.load_all((folder / "rfc7208-tests.yml").read_text(), Loader):
    tests = {}
    for name, test in document["tests"].items():
        test = {key: test[key] for key in KEPT if key in test}
        if isinstance(test["result"], str):
            test["result"] = [test["result"]]
        tests[name] = test
    scenarios.append({
        "description": document["description"],
        "tests": tests,
        "zonedata": document["zonedata"],
    })
json.dump(scenarios, sys.stdout, indent=1)
print()
