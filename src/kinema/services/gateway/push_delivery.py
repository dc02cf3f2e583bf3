"""Sending to devices: whichever gateway takes a message hands it to all of them, so that it gets wherever a device listens.

    an operator    public port of any gateway     POST /v1/push/messages   -> send
    a service      private port of any gateway    POST /v1/push/messages   -> send         (signed identity of a service)
    send           deliver here, and to the private port of every other gateway: POST /v1/internal/push/messages

Each gateway has a private port on loopback and registers it as an instance of `push`, so services find it as they find one
another. Delivery is at most once, to the devices that are connected at this moment and, for `seconds_to_live`, to those that
come back. A message that is sent again under the same Idempotency-Key, at any gateway within an hour, reaches only
devices that it did not reach before, and gets the answer of the first time.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlsplit

import msgspec

from kinema.core import problem
from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Conflict, Forbidden, KinemaError, NotFound, TooLarge, Unauthenticated
from kinema.core.identity import HEADER as IDENTITY
from kinema.core.identity import Identity, Role, unseal
from kinema.core.ids import new_id
from kinema.core.keys import KeyRing
from kinema.core.log import get_logger
from kinema.core.properties import Check, Properties, Property
from kinema.http import Exchange, spawn
from kinema.model.discovery import Instance
from kinema.model.push import HandedMessage, MoveAddresses, PushMessage, PushReport, Taken
from kinema.rpc.badge import Badge
from kinema.rpc.client import Rpc
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.push import Push
from kinema.services.gateway.push_event import OWN_TYPES

MESSAGES = "/v1/push/messages"
ADDRESSES = "/v1/push/addresses"
HANDED = "/v1/internal/push/messages"
SERVICE = "push"
SERVICES = "services"

LARGEST_DATA = 4_096  # bytes
_LARGEST_BODY = 16 * 1024
_HOP_SECONDS = 2.0
_KEY = re.compile(rb"[\x21-\x7e]{1,128}")
_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")
_message_decoder = msgspec.json.Decoder(PushMessage)
_handed_decoder = msgspec.json.Decoder(HandedMessage)
_taken_decoder = msgspec.json.Decoder(Taken)
_log = get_logger(__name__)


def is_address(text: str) -> bool:
    """Say whether a text is the address of a region: http or https, a host, perhaps a port, and nothing else."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        return False


MOVE_ADDRESSES: Property[tuple[str, ...]] = Property(
    "gateway.move_addresses",
    (),
    "Other regions to which a `move` message may send browsers, as https://host[:port].",
    Check("an address like https://eu.example.org", lambda value: all(is_address(one) for one in value)),
)


class _Move(msgspec.Struct, frozen=True):
    address: str


class Delivery:
    """Takes messages and hands them on. `instance` is the name under which this gateway's private port is registered."""

    def __init__(
        self, push: Push, rpc: Rpc, keys: KeyRing, clock: Clock, properties: Properties, instance: str
    ) -> None:
        self._push = push
        self._rpc = rpc
        self._keys = keys
        self._clock = clock
        self._properties = properties
        self._instance = instance
        self._badge = Badge(instance, keys, clock)

    # -- who asks ----------------------------------------------------------------------------------------------------

    def __call__(self, passage: Passage) -> None:
        """Endpoint of the public port: messages of operators, and where browsers may be sent."""
        session, exchange = passage.session, passage.exchange
        if session is None:
            raise Unauthenticated("Sign in first.")
        reply = partial(self._reply, passage)
        if (exchange.method, passage.path) == ("POST", MESSAGES):
            if session.who.role != "operator":
                raise Forbidden("This needs the role operator; you are signed in as viewer. Ask the operator.")
            spawn(exchange, self._answered(passage, self._take(exchange, session.who.account, reply)))
        elif exchange.method in {"GET", "HEAD"} and passage.path == ADDRESSES:
            reply(MoveAddresses(self._properties[MOVE_ADDRESSES]))
        else:
            raise NotFound(f"There is nothing at {exchange.method} {passage.path[:200]}.")

    def inner(self, exchange: Exchange) -> None:
        """Handle a request on the private port: services send messages, other gateways hand them on."""
        if exchange.method == "GET" and exchange.path == "/healthz":
            exchange.reply(200, (_JSON,), b'{"state":"ready"}')
            return
        reply = partial(_reply_inside, exchange)
        if exchange.method == "POST" and exchange.path == MESSAGES:
            identity = self._require(exchange, "operator")
            # Services have their keys in common: two instances that send the same are one sender.
            account = SERVICES if identity.role == "service" else identity.account
            spawn(exchange, self._take(exchange, account, reply))
        elif exchange.method == "POST" and exchange.path == HANDED:
            self._require(exchange, "service")
            spawn(exchange, self._take_handed(exchange, reply))
        else:
            raise NotFound(f"There is nothing at {exchange.method} {exchange.path[:200]}.")

    def _require(self, exchange: Exchange, role: Role) -> Identity:
        sealed = exchange.headers.get(IDENTITY.encode())
        if not sealed:
            raise Unauthenticated("The request carries no identity; this port is for services.")
        identity = unseal(sealed.decode("latin-1"), self._keys, self._clock.now())
        identity.require(role)
        return identity

    # -- a message ---------------------------------------------------------------------------------------------------

    async def _take(self, exchange: Exchange, account: str, reply: Callable[[msgspec.Struct], None]) -> None:
        key = exchange.headers.get(b"idempotency-key")
        if key is not None and not _KEY.fullmatch(key):
            raise BadInput("The Idempotency-Key must be 1 to 128 visible ASCII characters; a UUID serves well.")
        message = self._checked(await exchange.body(_LARGEST_BODY))
        reply(await self.send(message, account, key or b""))

    async def _take_handed(self, exchange: Exchange, reply: Callable[[msgspec.Struct], None]) -> None:
        try:
            handed = _handed_decoder.decode(await exchange.body(4 * _LARGEST_BODY))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"This is no message that another gateway hands on: {error}.") from error
        reply(await self._push.deliver(handed))

    async def send(self, message: PushMessage, account: str, key: bytes) -> PushReport:
        """Hand a message to every gateway. Raises Conflict when the key was used with another message."""
        message_id = new_id("msg", self._clock)
        unique = hashlib.sha256(b"%b\n%b" % (account.encode(), key)).hexdigest() if key else message_id
        handed = HandedMessage(
            message=message,
            message_id=message_id,
            expires_at=self._clock.now() + message.seconds_to_live,
            key=unique,
            digest=hashlib.sha256(msgspec.json.encode(message)).hexdigest(),
        )
        taken = await self._push.deliver(handed)
        handed = msgspec.structs.replace(handed, message_id=taken.message_id)
        others = [one for one in self._rpc.directory.instances(SERVICE) if one.instance != self._instance]
        answers = await asyncio.gather(*(self._hand(one, handed) for one in others))
        reached = [answer for answer in answers if answer is not None]
        return PushReport(
            message_id=taken.message_id,
            devices=taken.devices + sum(answer.devices for answer in reached),
            gateways=1 + len(reached),
            unreached=len(answers) - len(reached),
        )

    async def _hand(self, other: Instance, handed: HandedMessage) -> Taken | None:
        """Hand a message to another gateway; None when it does not answer."""
        fields = (self._badge.header(), _JSON)
        try:
            answer = await self._rpc.client.fetch(
                other.address, "POST", HANDED, fields, msgspec.json.encode(handed), timeout=_HOP_SECONDS
            )
            if answer.status == 200:
                return _taken_decoder.decode(answer.body)
            error: Exception = problem.error_of(answer.status, answer.body)
        except (KinemaError, msgspec.DecodeError) as failed:
            error = failed
        if isinstance(error, Conflict):
            raise error
        _log.warning("a gateway could not be handed a message", gateway=other.instance, error=str(error))
        return None

    def _checked(self, body: bytes) -> PushMessage:
        """Read a message. Raises BadInput with what is wrong."""
        try:
            message = _message_decoder.decode(body)
            data = msgspec.json.format(bytes(message.data), indent=-1)
            msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput(f"This is no message: {error}; see docs/parts/push.md.") from error
        if len(data) > LARGEST_DATA:
            raise TooLarge(f"The data of a message has {len(data)} bytes; at most {LARGEST_DATA} are taken.")
        if message.type in OWN_TYPES:
            raise BadInput(f"The type {message.type} is the region's own; choose another.")
        if message.type == "move":
            self._check_move(data)
        return msgspec.structs.replace(message, data=msgspec.Raw(data))

    def _check_move(self, data: bytes) -> None:
        try:
            address = msgspec.json.decode(data, type=_Move).address
        except msgspec.DecodeError as error:
            raise BadInput('The data of a move is {"address": "https://..."}.') from error
        if address not in self._properties[MOVE_ADDRESSES]:
            raise BadInput(
                f"{address[:200]!r} is not among the property {MOVE_ADDRESSES.name}; add it there, and browsers obey."
            )

    # -- answers -----------------------------------------------------------------------------------------------------

    async def _answered(self, passage: Passage, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 (it becomes this request's answer)
            passage.refuse(error)

    def _reply(self, passage: Passage, answer: msgspec.Struct) -> None:
        passage.reply(200, [_JSON, _NO_STORE], msgspec.json.encode(answer))


def _reply_inside(exchange: Exchange, answer: msgspec.Struct) -> None:
    exchange.reply(200, (_JSON, _NO_STORE), msgspec.json.encode(answer))
