"""The whole gateway, all built-in filters on, against Envoy with the same duties, Traefik and Caddy: answers per CPU-second on one core.

    python -m benchmarks.gateway [--seconds 2] [--rounds 3] [--connections 32]

All pass the same request (a signed-in browser's GET of an API path, 1 KB of JSON as the answer) on to the same two upstreams, which are
one nginx on the load's core. Ours authenticates, seals the identity, limits by address and account, looks into its cache, negotiates
compression, checks CORS, path and body, picks by health and load, ejects outliers, and has breakers and limits for each instance.
Envoy routes, ejects outliers, has a retry budget and a local rate limit; Traefik routes, retries and has a rate limit; Caddy
routes, retries and takes failing upstreams out (a rate limit is not in it). Rounds alternate; figures are medians.

`added p50` is the median of one connection's waits less that of a direct call. The last line is one JSON object.
Targets: gateway / Envoy >= 1.2, gateway / Traefik and Caddy >= 1.5.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec

from benchmarks.processes import LOAD_CORE, free_port, load, median_of, nginx_command, started

TARGETS = {"envoy": 1.2, "traefik": 1.5, "caddy": 1.5}
NAMES = ("gateway", "envoy", "traefik", "caddy")

REQUEST = (
    "GET /v1/home HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n"
    "Accept: application/json\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdef\r\nSec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: http://127.0.0.1:8080/\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n\r\n"
)

GATEWAY = """
[cors]
origins = ["https://app.example"]
[rate_limit]
address = {per_second = 1e6, burst = 1000000}
account = {per_second = 1e6, burst = 1000000}
"""

UPSTREAM = """
worker_processes 1; daemon off; pid {directory}/upstream.pid; error_log {directory}/upstream.log; user root;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 75; default_type application/json;
    server {{
        listen 127.0.0.1:{first} backlog=1024; listen 127.0.0.1:{second} backlog=1024;
        location / {{ add_header Cache-Control "private, no-cache"; return 200 '{body}'; }}
        location /v1/internal/sessions/verify {{ return 200 '{who}'; }}
    }}
}}
"""
WHO = '{"account": "acc_bench", "name": "Bench", "role": "viewer", "session": "ses_bench"}'

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
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: "/v1/" }}
                route:
                  cluster: service
                  timeout: 30s
                  retry_policy: {{ retry_on: "connect-failure,refused-stream,reset,retriable-status-codes", num_retries: 2, retriable_status_codes: [503] }}
          http_filters:
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limit
              token_bucket: {{ max_tokens: 1000000, tokens_per_fill: 1000000, fill_interval: 1s }}
              filter_enabled: {{ default_value: {{ numerator: 100, denominator: HUNDRED }} }}
              filter_enforced: {{ default_value: {{ numerator: 100, denominator: HUNDRED }} }}
              enable_x_ratelimit_headers: DRAFT_VERSION_03
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: service
    type: STATIC
    connect_timeout: 1s
    lb_policy: LEAST_REQUEST
    outlier_detection: {{ consecutive_5xx: 5, interval: 10s, base_ejection_time: 30s, max_ejection_percent: 10 }}
    circuit_breakers:
      thresholds:
      - {{ max_connections: 1024, max_requests: 4096, retry_budget: {{ budget_percent: {{ value: 20.0 }}, min_retry_concurrency: 3 }} }}
    load_assignment:
      cluster_name: service
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {first} }} }} }}
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {second} }} }} }}
"""

TRAEFIK = """
entryPoints: {{ web: {{ address: "127.0.0.1:{port}" }} }}
providers: {{ file: {{ filename: "{directory}/traefik-routes.yaml" }} }}
log: {{ level: ERROR }}
global: {{ checkNewVersion: false, sendAnonymousUsage: false }}
"""
TRAEFIK_ROUTES = """
http:
  routers: {{ all: {{ rule: "PathPrefix(`/v1/`)", service: service, middlewares: [limit, again] }} }}
  middlewares:
    limit: {{ rateLimit: {{ average: 1000000, burst: 1000000 }} }}
    again: {{ retry: {{ attempts: 2 }} }}
  services:
    service: {{ loadBalancer: {{ servers: [{{ url: "http://127.0.0.1:{first}" }}, {{ url: "http://127.0.0.1:{second}" }}] }} }}
"""

CADDY = """
{{
    admin off
    auto_https off
    persist_config off
    log {{
        level ERROR
    }}
}}
http://127.0.0.1:{port} {{
    bind 127.0.0.1
    reverse_proxy /v1/* 127.0.0.1:{first} 127.0.0.1:{second} {{
        lb_policy least_conn
        lb_retries 2
        max_fails 5
        fail_duration 30s
        transport http {{
            keepalive 75s
            keepalive_idle_conns_per_host 128
        }}
    }}
}}
"""


def _commands(directory: Path, first: int, second: int, ports: dict[str, int]) -> dict[str, list[str]]:
    def written(name: str, text: str, port: int = 0) -> str:
        path = directory / name
        path.write_text(text.format(directory=directory, port=port, first=first, second=second))
        return str(path)

    binaries = Path(sys.executable).parent
    (directory / "gateway.toml").write_text(GATEWAY)
    written("traefik-routes.yaml", TRAEFIK_ROUTES)
    server = [sys.executable, "-m", "benchmarks.gateway_server"]
    envoy = written("envoy.yaml", ENVOY, ports["envoy"])
    caddy = written("Caddyfile", CADDY, ports["caddy"])
    return {
        "gateway": [*server, str(ports["gateway"]), f"{first},{second}", str(directory), "all"],
        "envoy": [
            *(str(binaries / "envoy"), "-c", envoy, "--concurrency", "1"),
            *("--log-level", "error", "--disable-hot-restart"),
        ],
        "traefik": [str(binaries / "traefik"), f"--configFile={written('traefik.yaml', TRAEFIK, ports['traefik'])}"],
        "caddy": [str(binaries / "caddy"), "run", "--config", caddy, "--adapter", "caddyfile"],
    }


def main() -> None:
    """Run all proxies in turn and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--only", nargs="*", default=NAMES, choices=NAMES)
    arguments = options.parse_args()
    names = tuple(name for name in NAMES if name in arguments.only)
    with tempfile.TemporaryDirectory(prefix="kinema-bench-") as text, ExitStack() as servers:
        directory = Path(text)
        first, second = free_port(), free_port()
        ports = {name: free_port() for name in NAMES}
        body = '{"rows": ["' + "x" * 985 + '"]}'
        origin = nginx_command(
            directory, UPSTREAM.format(directory=directory, first=first, second=second, body=body, who=WHO)
        )
        direct_pids = servers.enter_context(started(origin, first, core=LOAD_CORE))
        commands = _commands(directory, first, second, ports)
        pids = {name: servers.enter_context(started(commands[name], ports[name])) for name in names}
        many: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        one: dict[str, list[dict[str, float]]] = {name: [] for name in ("direct", *names)}
        for _ in range(arguments.rounds):
            for name in names:
                many[name].append(
                    load(
                        ports[name], [REQUEST], pids[name], connections=arguments.connections, seconds=arguments.seconds
                    )
                )
            for name, done in one.items():
                port = first if name == "direct" else ports[name]
                done.append(
                    load(port, [REQUEST], pids.get(name, direct_pids), connections=1, seconds=arguments.seconds / 4)
                )
    _report(many, one)


def _report(many: dict[str, list[dict[str, float]]], one: dict[str, list[dict[str, float]]]) -> None:
    rate = {name: median_of(done, "per_cpu_second") for name, done in many.items()}
    alone = {name: median_of(done, "p50_ms") for name, done in one.items()}
    added = {name: alone[name] - alone["direct"] for name in many}
    print(
        f"{'':10} {'answers/CPU-s':>14} {'gateway /':>10} {'target':>7} {'p50 ms':>8} {'p99 ms':>8} {'added p50 ms':>13}"
    )
    for name, done in many.items():
        print(
            f"{name:10} {rate[name]:14,.0f} {rate['gateway'] / rate[name] if 'gateway' in rate else 0.0:10.2f}"
            f" {TARGETS.get(name, 1.0):7.1f} {median_of(done, 'p50_ms'):8.2f} {median_of(done, 'p99_ms'):8.2f} {added[name]:13.3f}"
        )
    ratios = {name: rate["gateway"] / rate[name] for name in rate if name in TARGETS and "gateway" in rate}
    result = {
        "benchmark": "gateway",
        "gateway_to": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "targets": TARGETS,
        "met": all(ratio >= TARGETS[name] for name, ratio in ratios.items()),
        "per_cpu_second": {name: round(value) for name, value in rate.items()},
        "added_p50_ms": {name: round(value, 3) for name, value in added.items()},
        "direct_p50_ms": round(alone["direct"], 3),
    }
    print(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    main()
