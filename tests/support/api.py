"""Hostile and random requests against a served app, from its own OpenAPI document: nothing may answer with a fault of ours."""

import json
from collections.abc import Mapping

import msgspec
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from litestar import Litestar

from tests.support.services import served

EXAMPLES = 15  # for each operation


def no_faults(app: Litestar, headers: Mapping[str, str]) -> None:
    """Call every operation with generated requests; raises AssertionError for a 5xx answer other than 503."""
    schema = schemathesis.openapi.from_dict(json.loads(msgspec.json.encode(app.openapi_schema.to_schema())))
    with served(app) as address:
        for found in schema.get_all_operations():
            _exercise(found.ok(), address, headers)


def _exercise(operation: object, address: str, headers: Mapping[str, str]) -> None:
    strategy: st.SearchStrategy[schemathesis.Case] = operation.as_strategy()

    @given(strategy)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: schemathesis.Case) -> None:
        response = case.call(base_url=address, headers=dict(headers))
        assert response.status_code < 500 or response.status_code == 503, (
            f"{case.method} {case.formatted_path} answered {response.status_code}: {response.text[:300]}"
        )

    call()
