"""The operator's console in a real Chromium: every page shows what really happens, and axe finds nothing to complain about."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support.pages import axe_violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

PAGES = ("services", "instances", "resilience", "processes", "objectives")


@pytest.fixture
async def page(region_with_film, chromium):
    context = await chromium.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(region_with_film.claim_link())
    await page.get_by_test_id("nav-studio").wait_for()
    yield page
    await context.close()


async def test_the_console_shows_services_calls_and_the_waterfall_of_a_request(page, region_with_film, request):
    url = region_with_film.url
    await page.goto(f"{url}/console")
    await page.locator("[data-testid=map-node][data-name=catalog]").wait_for(timeout=30_000)
    await expect(page.get_by_test_id("map-call").filter(has_text="gateway").first).to_be_visible(timeout=30_000)
    assert await axe_violations(page) == []
    target = Path(request.config.rootpath) / "build" / "screenshots" / "console.png"  # docs/images has one of these
    target.parent.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=str(target))

    for name in PAGES:
        await page.goto(f"{url}/console/{name}")
        await page.get_by_test_id(f"{name}-page").locator("tbody tr").first.wait_for(timeout=30_000)
        assert await axe_violations(page) == [], name

    await page.goto(f"{url}/console/services/catalog")
    await expect(page.get_by_test_id("route-row").filter(has_text="/v1/home").first).to_be_visible(timeout=30_000)
    await page.locator("canvas").first.wait_for()
    assert await axe_violations(page) == []

    answer = region_with_film.ask("GET", f"/v1/titles/{region_with_film.film}")
    request_id = answer.headers["x-request-id"]
    await page.goto(f"{url}/console/traces")
    await page.get_by_test_id("trace-row").first.wait_for(timeout=30_000)
    assert await axe_violations(page) == []
    await page.get_by_test_id("trace-id").fill(request_id)
    await page.get_by_test_id("trace-go").click()
    spans = page.get_by_test_id("span-row")
    await expect(spans.filter(has_text="gateway").first).to_be_visible(timeout=30_000)
    await expect(spans.filter(has_text="catalog").last).to_be_visible(timeout=30_000)
    await spans.first.locator("summary").click()
    assert await axe_violations(page) == []


async def test_an_instance_is_taken_out_of_service_and_put_back(page, region):
    await page.goto(f"{region.url}/console/instances")
    row = page.locator("[data-testid=instance-row][data-instance=catalog-2]")
    await row.wait_for(timeout=60_000)
    await row.get_by_test_id("instance-leave").click()
    assert await axe_violations(page) == []
    await page.get_by_test_id("instance-confirm").click()
    await expect(row).to_have_attribute("data-status", "OUT_OF_SERVICE", timeout=15_000)
    assert region.ask("GET", "/v1/home").status == 200
    await row.get_by_test_id("instance-return").click()
    await expect(row).to_have_attribute("data-status", "UP", timeout=15_000)
