"""A program that uses py-eureka-client, in a process of its own: the client goes on sending heartbeats after stop().

argv: registries (comma), application, port. It takes commands on standard input, one a line, and answers each with a line of JSON.
"""

import asyncio
import json
import sys

answers, sys.stdout = sys.stdout, sys.stderr  # the client logs to standard output

from py_eureka_client import eureka_client  # noqa: E402


def say(answer: object) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


async def main() -> None:
    registries, app, port = sys.argv[1:]
    client = await eureka_client.init_async(
        eureka_server=registries,
        app_name=app,
        instance_host="127.0.0.1",
        instance_ip="127.0.0.1",
        instance_port=int(port),
        renewal_interval_in_secs=1,
        duration_in_secs=2,
        metadata={"started-by": "test"},
    )
    loop = asyncio.get_running_loop()
    say("started")
    while command := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        match command:
            case ["apps"]:
                answer = {
                    application.name: {one.instanceId: one.status for one in application.instances}
                    for application in client.applications.applications
                }
            case ["status", status]:
                await client.status_update(status)
                answer = status
            case ["restore"]:
                await client.delete_status_override()
                answer = "restored"
            case ["ask", name]:
                answer = await client.do_service(name, "/", return_type="string")
            case ["stop"]:
                await client.stop()
                answer = "stopped"
        say(answer)


asyncio.run(main())
