import asyncio

import uvloop


def pytest_asyncio_loop_factories(config, item):
    """Every test here that needs a loop runs on both: plain asyncio and uvloop."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
