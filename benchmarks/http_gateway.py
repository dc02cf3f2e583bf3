"""The gateway as a proxy against Envoy and nginx: answers per CPU-second of the proxy, on one core.

    python -m benchmarks.http_gateway [--seconds 2] [--rounds 3] [--connections 32]

All three pass requests on to the same upstream (nginx, which answers from memory, on the load's core). Our gateway is the real
one, once with three Python filters and once with all that an open route has; Envoy has its router filter only, nginx is a bare
proxy_pass with kept connections. Rounds alternate; figures are medians. The last line is one JSON object.

Target: gateway with three filters / Envoy >= 1.3.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec

from benchmarks.http_edge import REQUEST
from benchmarks.processes import LOAD_CORE, free_port, load, median_of, nginx_command, started

PATH = "/v1/manifests/token/ast_bench/1/hls.m3u8"
TARGET = 1.3

UPSTREAM = """
worker_processes 1; daemon off; pid {directory}/upstream.pid; error_log {directory}/upstream.log; user root;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 75;
    server {{
        listen 127.0.0.1:{port} backlog=1024; default_type application/vnd.apple.mpegurl;
        location / {{ return 200 "{body}"; }}
    }}
}}
"""

NGINX = """
worker_processes 1; daemon off; pid {directory}/proxy.pid; error_log {directory}/proxy.log; user root;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 75;
    upstream service {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto http;
        }}
    }}
}}
"""

ENVOY = """
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }} }}
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          route_config:
            virtual_hosts:
            - {{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: service }} }}] }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: service
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: service
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {upstream} }} }} }}
"""


def _commands(directory: Path, upstream: int, ports: dict[str, int]) -> dict[str, list[str]]:
    envoy = directory / "envoy.yaml"
    envoy.write_text(ENVOY.format(port=ports["envoy"], upstream=upstream))
    nginx_directory = directory / "nginx"
    nginx_directory.mkdir()
    nginx = NGINX.format(directory=nginx_directory, port=ports["nginx"], upstream=upstream)
    # All of the load comes from one address, which production would slow down.
    (directory / "gateway.toml").write_text("[rate_limit]\naddress = { per_second = 1e9, burst = 1_000_000_000 }\n")
    module = [sys.executable, "-m", "benchmarks.gateway_server"]
    return {
        "three filters": [*module, str(ports["three filters"]), str(upstream), str(directory), "three"],
        "all filters": [*module, str(ports["all filters"]), str(upstream), str(directory), "all"],
        "envoy": [
            str(Path(sys.executable).parent / "envoy"),
            *("-c", str(envoy), "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"),
        ],
        "nginx": nginx_command(nginx_directory, nginx),
    }


def main() -> None:
    """Run all proxies in turn and print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--connections", type=int, default=32)
    arguments = options.parse_args()
    names = ("three filters", "all filters", "envoy", "nginx")
    with tempfile.TemporaryDirectory(prefix="kinema-bench-") as text, ExitStack() as servers:
        directory = Path(text)
        upstream = free_port()
        ports = {name: free_port() for name in names}
        origin = nginx_command(directory, UPSTREAM.format(directory=directory, port=upstream, body="x" * 1000))
        servers.enter_context(started(origin, upstream, core=LOAD_CORE))
        commands = _commands(directory, upstream, ports)
        pids = {name: servers.enter_context(started(commands[name], ports[name])) for name in names}
        results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        request = REQUEST.format(path=PATH, range="")
        for _ in range(arguments.rounds):
            for name, done in results.items():
                done.append(
                    load(
                        ports[name],
                        [request],
                        pids[name],
                        connections=arguments.connections,
                        seconds=arguments.seconds,
                    )
                )
        _report(results)


def _report(results: dict[str, list[dict[str, float]]]) -> None:
    rate = {name: median_of(done, "per_cpu_second") for name, done in results.items()}
    print(f"{'':14} {'answers/CPU-s':>14} {'/ Envoy':>8} {'p50 ms':>8} {'p99 ms':>8}")
    for name, done in results.items():
        print(
            f"{name:14} {rate[name]:14,.0f} {rate[name] / rate['envoy']:8.2f}"
            f" {median_of(done, 'p50_ms'):8.2f} {median_of(done, 'p99_ms'):8.2f}"
        )
    ratios = {
        "gateway_to_envoy": round(rate["three filters"] / rate["envoy"], 3),
        "gateway_all_filters_to_envoy": round(rate["all filters"] / rate["envoy"], 3),
        "gateway_to_nginx": round(rate["three filters"] / rate["nginx"], 3),
        "target_to_envoy": TARGET,
        "per_cpu_second": {name: round(value) for name, value in rate.items()},
    }
    print(msgspec.json.encode(ratios).decode())


if __name__ == "__main__":
    main()
