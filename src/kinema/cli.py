"""`kinema VERB ...`: one verb, one line. Errors are one sentence on standard error and exit code 1 (2 for wrong usage)."""

import os
import sys

from cyclopts import App, CycloptsError

from kinema import __version__
from kinema.commands.encode_film import encode_film
from kinema.core.errors import KinemaError

app = App(
    name="kinema",
    help="Your own streaming service: adaptive video, a CDN, microservices and failover, started by one command.",
    version=__version__,
    result_action="return_value",
)
catalog = App(name="catalog", help="The published catalogue.")
observe = App(name="observe", help="What Prometheus and Grafana need to watch a region.")
encode = App(
    name="encode", help="Encode a film in a directory, without a region; or roll a codec out over a region's titles."
)
encode.default(encode_film)
keys = App(name="keys", help="The keys that sign tokens.")
properties = App(name="property", help="What can be changed while a region runs.")

app.command("kinema.commands.up:up", help="Start a region and keep it running.")
app.command("kinema.commands.add:add", help="Upload a film; it is encoded and published.")
app.command("kinema.commands.access:token", help="Print a new bearer token for scripts.")
app.command("kinema.commands.access:claim", help="Print a new claim link: whoever opens it first has an account.")
app.command("kinema.commands.status:status", help="Show processes, services, instances and jobs.")
app.command("kinema.commands.restart:restart", help="Restart processes in turn while the region serves on.")
app.command("kinema.commands.doctor:doctor", help="Check this machine: what is missing, and how to get it.")
app.command("kinema.commands.serve:serve", help="Run one service alone.")
app.command("kinema.commands.serve:worker", help="Run one more encoding worker.")
app.command("kinema.commands.upkeep:gc", help="Delete what no title, play or job refers to any more.")
app.command("kinema.commands.upkeep:openapi", help="Write each service's OpenAPI document to a directory.")
app.command("kinema.commands.upkeep:autoscalers", help="Print HorizontalPodAutoscalers for Kubernetes.")
app.command("kinema.commands.demo:demo_studio", help="Put the demo catalogue into a running region.")
app.command(catalog)
app.command(encode)
app.command(keys)
app.command(observe)
app.command(properties)
catalog.command("kinema.commands.upkeep:pin", help="Serve this version of the catalogue; `latest` lets go again.")
encode.command("kinema.commands.backfill:backfill", help="Add a codec to the titles that are there; pause, roll back.")
observe.command("kinema.commands.observe:rules", help="Write recording and alerting rules for the objectives.")
observe.command("kinema.commands.observe:dashboards", help="Write the Grafana dashboards.")
observe.command("kinema.commands.observe:scrape", help="Write a configuration for Prometheus.")
keys.command("kinema.commands.upkeep:rotate", help="Sign with new keys from now on; what is signed stays valid.")
properties.command("kinema.commands.properties:list_all", name="list", help="Show all with their values.")
properties.command("kinema.commands.properties:get", help="Show one, and what each layer says.")
properties.command(
    "kinema.commands.properties:set_", name="set", help="Set a value, for all or some, for good or a while."
)
properties.command("kinema.commands.properties:unset", help="Take a value back.")
properties.command("kinema.commands.properties:audit", help="Show who changed what, when and why.")
properties.command("kinema.commands.properties:rollback", help="Put back what held before a change.")


def main() -> None:
    """Run the command line and exit."""
    try:
        code = app(print_error=False, exit_on_error=False)
    except CycloptsError as error:
        _fail(f"{error}".strip().replace("\n", " ") + " See: kinema --help", 2)
    except KinemaError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("Stopped.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(sentence: str, code: int) -> None:
    print(f"kinema: {sentence}", file=sys.stderr)
    sys.exit(code)
