"""The configuration with which Prometheus reads a region: where its processes are, and the rules beside it."""

from pathlib import Path

from kinema.observe.listener import DIRECTORY


def scrape_configuration(data_dir: Path, rule_file: str = "kinema-slo.yaml") -> str:
    """Return a prometheus.yaml for the region that keeps its data in this directory."""
    files = str(data_dir / DIRECTORY / "*.json").replace("'", "''")
    return f"""# Written by `kinema observe scrape`. Exemplars need: prometheus --enable-feature=exemplar-storage
global:
  scrape_interval: 15s
  evaluation_interval: 15s
rule_files:
  - '{rule_file}'
scrape_configs:
  - job_name: kinema
    file_sd_configs:
      - files: ['{files}']
        refresh_interval: 15s
"""
