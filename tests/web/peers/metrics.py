"""Parses the metrics of a hub with Prometheus' own client library, in both formats.

Arguments: the port of the hub, and a file with a token. Prints a line for each sample, with the
format first.
"""

import sys
import urllib.request

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as text

FORMATS = {
    "text": ("text/plain", "text/plain; version=0.0.4; charset=utf-8", text),
    "openmetrics": (
        "application/openmetrics-text; version=1.0.0",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        openmetrics,
    ),
}

port, token = sys.argv[1], open(sys.argv[2]).read().strip()
for name, (accepted, expected, parser) in FORMATS.items():
    fields = {"Accept": accepted, "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=fields)
    with urllib.request.urlopen(request) as answer:
        kind = answer.headers["Content-Type"]
        assert kind == expected, kind
        page = answer.read().decode()
    for family in parser.text_string_to_metric_families(page):
        assert family.documentation, family
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            print(name, family.type, f"{sample.name}{{{labels}}}", float(sample.value))
