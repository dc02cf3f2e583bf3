"""Dynamic properties: values that operators change while everything runs, as in Netflix's Archaius.

    BODY_LIMIT = Property("gateway.body_limit", 1 << 20, "The largest body of a request, in bytes.", at_least(0))

    properties[BODY_LIMIT]                   the value at this moment: one look-up
    properties.watch(BODY_LIMIT, callback)   calls back at once and at every change
    properties.explain(BODY_LIMIT)           the value, and what each layer says

A value is looked for in four layers; the strongest that has one wins:

    runtime      set by an operator through the configuration service, by scope and until a time (property_scope.py)
    environment  KINEMA_PROPERTY_ and the name in capitals, its dots as underscores: KINEMA_PROPERTY_GATEWAY_BODY_LIMIT
    file         <data>/properties.toml, read again when it changes (property_file.py)
    default      what the declaration says

A value that a property does not accept is never used: it is logged with the sentence that says why, and the next layer
counts. Nothing here waits or does I/O; whoever learns of a change hands it in, on the event loop that callbacks run on.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Literal, TypeGuard, TypeVar, cast

import msgspec

from kinema.core import log
from kinema.core.clock import Clock, SystemClock
from kinema.core.errors import BadInput
from kinema.core.property_scope import Override, Place, Scope, matches, weakness

Value = bool | int | float | str | tuple[str, ...]
T = TypeVar("T", bound=Value)
Layer = Literal["default", "file", "environment", "runtime"]

PREFIX = "KINEMA_PROPERTY_"
LONGEST_TEXT = 1000
MOST_TEXTS = 100
MOST_LETTERS = 10_000
_MOST_SAID = 1000
_LARGEST = 2**53  # whole numbers up to here survive JSON everywhere
_GREATEST = 1e300  # neither infinite nor "not a number"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*(\.[a-z][a-z0-9]*(_[a-z0-9]+)*)+")
_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", tuple: "a list of texts"}
_log = log.get_logger(__name__)


class PropertyRefused(BadInput):
    """A value that its property does not accept."""

    code = "property-refused"
    title = "The property does not accept this value"


class Check(msgspec.Struct, frozen=True):
    """A condition on values. `allowed` completes "allowed is ..." of texts, "... a number, ...", "... a list, each ...".

    `choices` are all values, when they can be listed.
    """

    allowed: str
    accepts: Callable[[Any], bool]
    choices: tuple[str, ...] = ()


def between(low: float, high: float) -> Check:
    """Accept numbers from `low` to `high`, both included."""
    return Check(f"from {_plain(low)} to {_plain(high)}", lambda value: low <= value <= high)


def at_least(low: float) -> Check:
    """Accept numbers from `low` on."""
    return Check(f"at least {_plain(low)}", lambda value: low <= value)


def one_of(*choices: str) -> Check:
    """Accept these texts, or lists of nothing but these."""
    known = frozenset(choices)
    shown = ", ".join(choices)
    return Check(
        f"one of {shown}", lambda value: known.issuperset((value,) if isinstance(value, str) else value), choices
    )


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


class Property(msgspec.Struct, Generic[T], frozen=True):
    """A declaration, made once as a constant of the module that uses it. Its type is that of the default.

    The name is of lower-case words joined by dots, its first part the owner's: `gateway.body_limit`. Times are in seconds
    and sizes in bytes, which the description says. Raises ValueError when the declaration contradicts itself.
    """

    name: str
    default: T
    description: str
    check: Check | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > 100:
            raise ValueError(f"{self.name!r} is no name of a property; write lower-case words with a dot: part.value")
        try:
            self.accept(self.default)
        except PropertyRefused as error:
            raise ValueError(f"The default contradicts the declaration: {error}") from error

    @property
    def kind(self) -> type[Value]:
        """The type of the values: bool, int, float, str or tuple (of texts)."""
        return cast("type[Value]", type(self.default))

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper().replace(".", "_")

    @property
    def allowed(self) -> str:
        """What is accepted, in words: "a whole number, from 1 to 100"."""
        if self.check is None:
            return _KINDS[self.kind]
        if self.kind is str:
            return self.check.allowed
        return ("a list, each " if self.kind is tuple else f"{_KINDS[self.kind]}, ") + self.check.allowed

    def accept(self, value: object) -> T:
        """Return a value from TOML or JSON as this property's type. Raises PropertyRefused, which says what is allowed."""
        found = _typed(self.kind, value)
        if found is None or (self.check is not None and not self.check.accepts(found)):
            raise PropertyRefused(f"The property {self.name} cannot be {_shown(value)}; allowed is {self.allowed}.")
        return cast("T", found)

    def parse(self, text: str) -> T:
        """Return the value that a text stands for: flags as true/false, lists with commas. Raises PropertyRefused."""
        return self.accept(meant(self.kind, text.strip()))


class LayerValue(msgspec.Struct, frozen=True):
    """What a layer says: its value as found, for the runtime layer also scope and expiry; `refused` says why it is not used."""

    layer: Layer
    value: object
    scope: Scope = Scope()
    expires_at: float | None = None
    refused: str = ""


class Explanation(msgspec.Struct, frozen=True):
    """A property's value, the layer that it comes from, and every layer that says something, the strongest first."""

    name: str
    value: Value
    layer: Layer
    layers: tuple[LayerValue, ...]


class _View:
    """The live values of one place, and who watches them."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.live: dict[str, Value] = {}
        self.watchers: dict[str, list[Callable[[Any], object]]] = {}


class _Shared:
    """The layers, which all views of a process have in common."""

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        self.clock = clock
        self.environment = {name: text for name, text in environment.items() if name.startswith(PREFIX)}
        self.file: dict[str, object] = {}
        self.overrides: dict[str, tuple[Override, ...]] = {}
        self.next_end = float("inf")
        self.views: list[_View] = []
        self.declared: dict[str, Property[Any]] = {}
        self.said: set[tuple[Layer, str]] = set()

    def refused(self, layer: Layer, error: PropertyRefused) -> None:
        """Log that a value cannot be used, once."""
        if (layer, str(error)) not in self.said and len(self.said) < _MOST_SAID:
            self.said.add((layer, str(error)))
            _log.error("a property's value is not used", layer=layer, error=str(error))

    def resolve(self, wanted: Property[Any], place: Place) -> tuple[Value, Layer]:
        """Return a property's value at a place, and the layer that it comes from."""
        self.declared[wanted.name] = wanted
        for said, value in self.layers(wanted, place):
            if value is not None:
                return value, said.layer
        return wanted.default, "default"

    def layers(self, wanted: Property[Any], place: Place) -> Iterator[tuple[LayerValue, Value | None]]:
        """Yield what the layers say, the strongest first, each with the value that follows, or None when it is refused."""
        now = self.clock.now()
        for one in self.overrides.get(wanted.name, ()):
            if matches(one, place, now):
                yield self._judge(LayerValue("runtime", one.value, one.scope, one.expires_at), wanted.accept)
        if wanted.variable in self.environment:
            yield self._judge(LayerValue("environment", self.environment[wanted.variable]), wanted.parse)
        if wanted.name in self.file:
            yield self._judge(LayerValue("file", self.file[wanted.name]), wanted.accept)
        yield LayerValue("default", wanted.default), wanted.default

    def _judge(self, said: LayerValue, accept: Callable[[Any], Value]) -> tuple[LayerValue, Value | None]:
        try:
            return said, accept(said.value)
        except PropertyRefused as error:
            self.refused(said.layer, error)
            return msgspec.structs.replace(said, refused=str(error)), None


class Properties:
    """The live values of one place: a process, or one of its services (`at`). Without arguments: defaults alone."""

    def __init__(
        self,
        place: Place | None = None,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._shared = _Shared(environment or {}, clock or SystemClock())
        self._look_from(place or Place())

    def _look_from(self, place: Place) -> None:
        self._view = _View(place)
        self._live = self._view.live
        self._shared.views.append(self._view)

    @property
    def place(self) -> Place:
        """From where these properties are looked at."""
        return self._view.place

    def at(self, service: str, instance: str) -> "Properties":
        """Return the view of one service instance of this process, over the same layers."""
        place = msgspec.structs.replace(self.place, services=(service,), instances=(instance,))
        seen = object.__new__(Properties)
        seen._shared = self._shared
        seen._look_from(place)
        return seen

    def __getitem__(self, wanted: Property[T]) -> T:
        """Return the value at this moment."""
        try:
            return cast("T", self._live[wanted.name])
        except KeyError:
            value = self._live[wanted.name] = self._shared.resolve(wanted, self.place)[0]
            return cast("T", value)

    def watch(self, wanted: Property[T], callback: Callable[[T], object]) -> Callable[[], None]:
        """Call back with the value now and after every change; returns what ends that. A callback that raises is logged."""
        value = self[wanted]
        callbacks = self._view.watchers.setdefault(wanted.name, [])
        callbacks.append(callback)
        _call(wanted.name, callback, value)

        def unwatch() -> None:
            if callback in callbacks:
                callbacks.remove(callback)

        return unwatch

    def explain(self, wanted: Property[T]) -> Explanation:
        """Return the value with its layer, and what the others say."""
        value, layer = self._shared.resolve(wanted, self.place)
        return Explanation(
            wanted.name, value, layer, tuple(said for said, _ in self._shared.layers(wanted, self.place))
        )

    def imagined(self, place: Place, overrides: Iterable[Override]) -> "Properties":
        """Return what holds at another place with other overrides, over this process's file and environment."""
        other = Properties(place, self._shared.environment, self._shared.clock)
        other._shared.file = self._shared.file
        other._shared.said = self._shared.said
        other.replace_overrides(overrides)
        return other

    def replace_file(self, values: Mapping[str, object]) -> None:
        """Put what the file says (values by full name) in the place of what it said before.

        A value that cannot be used leaves in force what the file said before.
        """
        shared, fresh = self._shared, dict(values)
        for name, declared in tuple(shared.declared.items()):
            if name in fresh and name in shared.file:
                try:
                    declared.accept(fresh[name])
                except PropertyRefused as error:
                    shared.refused("file", error)
                    fresh[name] = shared.file[name]
        shared.file = fresh
        self._refresh()

    def replace_overrides(self, overrides: Iterable[Override]) -> None:
        """Put these overrides in the place of the runtime layer, all at once."""
        by_name: dict[str, list[Override]] = {}
        for override in overrides:
            by_name.setdefault(override.name, []).append(override)
        self._shared.overrides = {name: tuple(sorted(found, key=weakness)) for name, found in by_name.items()}
        self._refresh()

    def expire(self) -> None:
        """Let go of overrides whose time is over. Call it each second; it costs nothing while there are none."""
        if self._shared.clock.now() >= self._shared.next_end:
            self._refresh()

    def unknown(self, declared: Iterable[Property[Any]]) -> tuple[str, ...]:
        """Return what the file and the environment name that is none of these properties, as it is written there."""
        shared, every = self._shared, tuple(declared)
        names, variables = {one.name for one in every}, {one.variable for one in every}
        return (*sorted(shared.environment.keys() - variables), *sorted(shared.file.keys() - names))

    def _refresh(self) -> None:
        """Work every value out anew, then call those who watch what has changed."""
        shared = self._shared
        now = shared.clock.now()
        ends = (one.expires_at for found in shared.overrides.values() for one in found if one.expires_at is not None)
        shared.next_end = min((end for end in ends if end > now), default=float("inf"))
        changes: list[tuple[_View, str, Value]] = []
        for view in shared.views:
            for name, before in tuple(view.live.items()):
                value, _ = shared.resolve(shared.declared[name], view.place)
                if value != before:
                    changes.append((view, name, value))
        for view, name, value in changes:
            view.live[name] = value
        for view, name, value in changes:
            for callback in tuple(view.watchers.get(name, ())):
                _call(name, callback, value)


def _call(name: str, callback: Callable[[Any], object], value: Value) -> None:
    try:
        callback(value)
    except Exception as error:  # noqa: BLE001 -- whoever watches a property must not keep the others from it
        _log.error("a property's change was not taken up", property=name, exc_info=error)


def _typed(kind: type[Value], value: object) -> Value | None:
    """Return a value as this kind, or None when it is none of it: flags are no numbers, whole numbers are also numbers."""
    if kind is bool:
        return value if isinstance(value, bool) else None
    if kind is int:
        return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST else None
    if kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _GREATEST
        return float(cast("float", value)) if fits else None
    if kind is str:
        return value if _is_text(value) else None
    if not isinstance(value, list | tuple) or len(value) > MOST_TEXTS or not all(_is_text(one) for one in value):
        return None
    return tuple(value) if sum(map(len, value)) <= MOST_LETTERS else None


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and value.isprintable()


def meant(kind: type[Value], text: str) -> Value:
    """Return what a text from the environment or a command line means; what is no such thing stays a text."""
    if kind is bool:
        return _FLAGS.get(text.lower(), text)
    if kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return text if kind is str else kind(text)
    except ValueError:
        return text


def _shown(value: object) -> str:
    shown = ", ".join(map(repr, value)) if isinstance(value, list | tuple) else repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
