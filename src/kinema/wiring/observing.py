"""What a process shows of itself while it runs: its metrics page, its reports, its spans to a collector."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kinema.wiring.parts import Parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from kinema.core.metrics import Sample
    from kinema.observe.resilience import ResilienceMeter


@asynccontextmanager
async def observed(parts: Parts) -> AsyncIterator[ResilienceMeter]:
    """Show what the process does for as long as the block runs; what sheds requests makes itself known to what is yielded."""
    from kinema.core import log
    from kinema.observe.lines import TraceLines
    from kinema.observe.listener import MetricsPage
    from kinema.observe.reporter import Reporter
    from kinema.observe.resilience import ResilienceMeter
    from kinema.observe.usage import UsageMeter

    chosen, process = parts.settings, parts.placement.process
    labels = {"region": chosen.region, "zone": chosen.zone}
    meter, lines = UsageMeter(parts.metrics), TraceLines(parts.clock)
    resilience = ResilienceMeter(parts.rpc.balancer.snapshot, parts.metrics, parts.clock)
    _show_pools(parts)
    log.keep(lines)
    page = MetricsPage(parts.metrics, parts.clock, parts.data_dir, process, labels)
    otlp = None
    if chosen.otlp_endpoint:
        from kinema.observe.otlp import OtlpExport

        otlp = OtlpExport(chosen.otlp_endpoint, chosen.region, chosen.zone, parts.metrics)
    reporter = Reporter(
        process=process,
        services=parts.placement.services,
        metrics=parts.metrics,
        spans=parts.spans,
        rpc=parts.rpc,
        clock=parts.clock,
        usage=meter.report,
        resilience=resilience.report,
        lines=lines,
        export=otlp.offer if otlp is not None else None,
    )
    await page.start()
    await reporter.start()
    try:
        yield resilience
    finally:
        await reporter.close()
        if otlp is not None:
            await asyncio.to_thread(otlp.close)
        await page.close()
        meter.close()


def _show_pools(parts: Parts) -> None:
    """Count what the process has of connections to others, and whom it knows."""
    from kinema.core.metrics import sample

    metrics, client, directory = parts.metrics, parts.client, parts.directory
    metrics.gauge("kinema_pool_in_use", lambda: client.connections, pool="calls")
    metrics.gauge("kinema_pool_waiting", lambda: client.waiting, pool="calls")
    metrics.counted("kinema_pool_errors_total", lambda: client.refused, pool="calls")

    def known() -> Iterator[Sample]:
        counts = Counter(instance.service for instance in directory.everybody())
        return (sample("kinema_discovery_instances", count, service=service) for service, count in counts.items())

    metrics.source(known)
