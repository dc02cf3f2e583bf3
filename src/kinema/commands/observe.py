"""`kinema observe ...`: what Prometheus and Grafana need to watch a region, written to a directory."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from kinema.commands.options import Data, data_dir
from kinema.observe import dashboards as grafana
from kinema.observe import objectives
from kinema.observe.rules import rules as rule_file
from kinema.observe.scraping import scrape_configuration

Out = Annotated[Path, Parameter(help="The directory to write to; made when missing.")]


def rules(*, out: Out, data: Data = None) -> None:
    """Write kinema-slo.yaml: recording and alerting rules for Prometheus, from the built-in objectives and <data>/slo.toml."""
    _write(out / "kinema-slo.yaml", rule_file(objectives.load(data_dir(data))))


def dashboards(*, out: Out) -> None:
    """Write the Grafana dashboards, one JSON file each."""
    for dashboard in grafana.DASHBOARDS:
        _write(out / f"kinema-{dashboard.name}.json", grafana.encode(dashboard))


def scrape(*, out: Out, data: Data = None) -> None:
    """Write prometheus.yaml, which finds every process of the region and loads the rules that lie beside it."""
    _write(out / "prometheus.yaml", scrape_configuration(data_dir(data)))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print(path)
