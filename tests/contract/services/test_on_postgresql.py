"""The services' own scenarios on PostgreSQL: what holds on SQLite holds there too."""

import secrets

import psycopg
import pytest

from tests.contract.storage.storage_servers import postgresql
from tests.unit.catalog import test_catalog as catalog
from tests.unit.configuration import test_configuration as configuration
from tests.unit.members import test_members as members
from tests.unit.playback import test_plays as playback
from tests.unit.telemetry import test_telemetry as telemetry

SCENARIOS = [
    (catalog, catalog.test_racing_instances_lose_no_change),
    (catalog, catalog.test_rungs_join_without_moving_the_title),
    (catalog, catalog.test_pinning_rolls_back_and_unpinning_returns),
    (catalog, catalog.test_what_a_dead_process_left_unannounced_is_published_later),
    (catalog, catalog.test_collection_keeps_what_is_in_use),
    (configuration, configuration.test_of_racing_changes_based_on_one_state_exactly_one_is_made),
    (configuration, configuration.test_a_value_ends_by_itself_and_the_trail_says_so),
    (configuration, configuration.test_rolling_back_puts_back_what_held_before_a_change),
    (members, members.test_a_claim_works_once_even_when_many_try),
    (members, members.test_a_name_belongs_to_one_account),
    (members, members.test_a_new_password_needs_the_old_one_and_ends_other_sessions),
    (members, members.test_bearer_tokens_are_listed_and_revoked),
    (playback, playback.test_a_play_keeps_its_version_and_its_lease),
    (playback, playback.test_a_repeated_start_is_one_play),
    (playback, playback.test_old_plays_are_forgotten),
    (telemetry, telemetry.test_both_instances_show_what_either_was_told),
    (telemetry, telemetry.test_a_trace_is_put_together_from_what_several_processes_report),
    (telemetry, telemetry.test_the_number_of_spans_is_bounded_and_errors_go_last),
    (telemetry, telemetry.test_minutes_of_objectives_become_hours_and_lose_nothing),
]


@pytest.fixture(scope="module")
def server():
    with postgresql() as url:
        yield url


@pytest.fixture
def database(server):
    """Return the url of an empty database."""
    name = f"services_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


@pytest.mark.parametrize(("service", "scenario"), SCENARIOS, ids=lambda value: value.__name__.rpartition(".")[2])
async def test_on_postgresql(tmp_path, database, service, scenario):
    async with service.opened(tmp_path, database) as running:
        await scenario(running)
