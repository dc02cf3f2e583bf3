"""`kinema demo-studio`, and the process that `kinema up --demo` starts beside a region: the demo catalogue is put in."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from kinema.cluster import region_file
from kinema.commands.access_local import local_token
from kinema.commands.options import Data, data_dir
from kinema.demo import seed

_LOOK_SECONDS = 0.05


def demo_studio(*, data: Data = None) -> None:
    """Render the demo films and upload them, as `kinema up --demo` does."""
    directory = data_dir(data)
    region = region_file.read(directory)
    asyncio.run(_until_signal(seed.run(f"http://{region.gateway}", local_token(directory), directory)))


def beside_region() -> None:
    """Do the same for a region that is starting, which puts the token into a file as soon as there is one."""
    from kinema.core import log

    log.configure(json=True)
    log.bind(service="demo", instance="demo")
    path = Path(os.environ["KINEMA_DEMO_TOKEN_FILE"])

    async def token() -> str:
        while not path.exists():  # noqa: ASYNC110, ASYNC240 -- another process makes it, at most once
            await asyncio.sleep(_LOOK_SECONDS)
        return path.read_text()  # noqa: ASYNC240 -- 50 bytes

    asyncio.run(_until_signal(seed.run(os.environ["KINEMA_DEMO_URL"], token, data_dir(None))))


async def _until_signal(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()


if __name__ == "__main__":
    beside_region()
