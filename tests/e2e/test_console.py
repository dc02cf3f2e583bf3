"""An operator's way through the console's properties in a real Chromium, until every process of the region has followed."""

import time
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import expect

from kinema.cluster import topology
from kinema.core.property_scope import Override
from kinema.model.configuration import RuntimeLayer
from kinema.services.gateway.limits import BODY_LIMIT
from tests.support.pages import axe_violations

pytestmark = pytest.mark.timeout(180)

TRIES = 20  # each on a connection of its own, which either gateway may take


async def statuses(region, count):
    """Return what requests with a body of this size are answered, by whichever gateway."""
    return {region.ask("PUT", "/v1/account/password", b"x" * count).status for _ in range(TRIES)}


async def until_answered(region, count, status, seconds=10.0):
    """Wait until every gateway answers a body of this size with this status."""
    deadline = time.monotonic() + seconds
    while (found := await statuses(region, count)) != {status}:
        assert time.monotonic() < deadline, found


@pytest.mark.browser
async def test_an_operator_changes_a_property_and_every_gateway_follows(region, chromium):
    context = await chromium.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    await page.goto(region.claim_link())
    await page.get_by_test_id("nav-console").click()
    await page.get_by_test_id("console-properties").click()
    await page.get_by_test_id("property-search").fill("body_limit")
    row = page.locator('[data-testid=property-row][data-name="gateway.body_limit"]')
    await expect(page.get_by_test_id("property-row")).to_have_count(1)
    assert await axe_violations(page) == [], "the list"

    await row.get_by_test_id("property-edit").click()
    await page.get_by_test_id("property-input").fill("many")
    await page.get_by_test_id("property-save").click()
    await expect(page.get_by_test_id("property-error")).to_contain_text("many is no number")
    await page.get_by_test_id("property-input").fill("-5")
    await page.get_by_test_id("property-save").click()
    await expect(page.get_by_test_id("property-error")).to_contain_text(
        "cannot be -5; allowed is a whole number, from 0"
    )
    assert await axe_violations(page) == [], "the dialog with an error"

    await page.get_by_test_id("property-input").fill("500")
    await page.get_by_test_id("property-ends").select_option(label="For an hour")
    await page.get_by_test_id("property-reason").fill("to see it work")
    await page.keyboard.press("Enter")
    await expect(row.get_by_test_id("property-value")).to_have_text("500")
    await expect(row.get_by_test_id("override-row")).to_contain_text("to see it work")
    await until_answered(region, 501, 413)
    assert 413 not in await statuses(region, 500)

    await row.get_by_test_id("property-history").click()
    change = page.get_by_test_id("trail-row").first
    await expect(change).to_contain_text("500")
    assert await axe_violations(page) == [], "with a value that is set, and its history"
    await change.get_by_test_id("trail-rollback").press("Enter")
    await expect(row.get_by_test_id("property-value")).to_have_text(str(1 << 20))
    await expect(page.get_by_test_id("trail-row").first).to_have_attribute("data-action", "rolled back")
    await until_answered(region, 501, 400)
    await context.close()


def test_a_region_starts_without_configuration_and_with_what_was_last_known(own_region):
    built_in = Path(topology.__file__).with_name("topology.toml").read_text()
    own_region.data_dir.mkdir(parents=True)
    (own_region.data_dir / "topology.toml").write_text(built_in.replace(', "configuration"', ""))
    kept = own_region.data_dir / "run" / "properties.json"
    kept.parent.mkdir()
    kept.write_bytes(msgspec.json.encode(RuntimeLayer((Override(BODY_LIMIT.name, 500),))))
    own_region.start()
    assert own_region.ask("GET", "/v1/properties").status == 503
    assert own_region.ask("PUT", "/v1/account/password", b"x" * 501).status == 413
    assert own_region.ask("PUT", "/v1/account/password", b"x" * 500).status == 400
