"""`kinema status`: what runs on this machine's region, as its supervisor, its registries and its jobs tell it."""

import json
import time

import msgspec

from kinema.cluster import region_file
from kinema.cluster.inside import Inside
from kinema.cluster.region_file import Region
from kinema.commands.options import AsJson, Data, data_dir
from kinema.core.errors import KinemaError
from kinema.model.discovery import Instance
from kinema.model.encoding import Job, JobPage


def status(*, data: Data = None, as_json: AsJson = False) -> int:
    """Show processes, services, instances and the newest jobs. Exit code 1 unless the region is ready."""
    directory = data_dir(data)
    region = region_file.read(directory)
    inside = Inside(directory)
    try:
        instances = inside.instances()
        jobs = msgspec.json.decode(inside.call("encoding", "GET", "/v1/jobs?limit=20").body, type=JobPage).jobs
    except KinemaError:
        instances, jobs = (), ()
    if as_json:
        print(json.dumps(_document(region, instances, jobs)))
    else:
        _show(region, instances, jobs)
    return 0 if region.state == "ready" else 1


def _document(region: Region, instances: tuple[Instance, ...], jobs: tuple[Job, ...]) -> dict[str, object]:
    services: dict[str, list[object]] = {}
    for instance in instances:
        services.setdefault(instance.service, []).append(msgspec.to_builtins(instance))
    return {
        "state": region.state,
        "url": region.url,
        "pid": region.pid,
        "gateway": region.gateway,
        "edge": region.edge,
        "registries": region.registries,
        "processes": msgspec.to_builtins(region.processes),
        "services": services,
        "jobs": msgspec.to_builtins(jobs),
    }


def _show(region: Region, instances: tuple[Instance, ...], jobs: tuple[Job, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"The region at {region.url} is {region.state}.", highlight=False)
    processes = Table("process", "state", "pid", "restarts", "up", box=None, header_style="bold", pad_edge=False)
    for process in region.processes:
        up = f"{time.time() - process.started_at:.0f} s" if process.pid else ""
        processes.add_row(process.name, process.state, str(process.pid or ""), str(process.restarts), up)
    console.print(processes)
    console.print()
    services = Table("instance", "address", "zone", "version", box=None, header_style="bold", pad_edge=False)
    for instance in sorted(instances, key=lambda one: (one.service, one.instance)):
        services.add_row(instance.instance, instance.address, f"{instance.region}/{instance.zone}", instance.version)
    console.print(services)
    if jobs:
        console.print()
        table = Table("job", "title", "state", "step", "done", box=None, header_style="bold", pad_edge=False)
        for job in jobs:
            table.add_row(job.id, job.title[:40], job.state, job.step, f"{job.progress:.0%}")
        console.print(table)
