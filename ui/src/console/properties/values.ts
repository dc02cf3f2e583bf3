/** Values, scopes and times of properties: as people type and read them, and as the region takes them. */
import type { PropertyChange, PropertyScope, PropertyState } from "../../api/types";

export type PropertyValue = PropertyState["value"];
export type PropertyKind = PropertyState["kind"];

/** What a value looks like in a sentence; an empty text or list has to be seen too. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length > 0 ? value.join(", ") : "(empty list)";
  return value === "" ? "(empty)" : String(value);
}

/** What a value looks like in the field where it is edited: lists have a line for each text. */
export function editable(value: PropertyValue): string {
  return Array.isArray(value) ? value.join("\n") : String(value);
}

/** The value that was typed. Throws an Error whose message says what was expected. */
export function parsed(kind: PropertyKind, text: string): PropertyValue {
  const trimmed = text.trim();
  if (kind === "text") return trimmed;
  if (kind === "flag") return trimmed === "true";
  if (kind === "list") {
    return text
      .split(/\n/)
      .map((line) => line.trim())
      .filter(Boolean);
  }
  const number = Number(trimmed);
  if (trimmed === "" || !Number.isFinite(number)) throw new Error(`${trimmed || "Nothing"} is no number; write one such as 10.`);
  if (kind === "whole number" && !Number.isSafeInteger(number)) {
    throw new Error(`${trimmed} is no whole number; write one such as 10.`);
  }
  return number;
}

export type ScopeKind = "everywhere" | "service" | "instance" | "zone" | "region";

export interface Draft {
  value: string;
  where: ScopeKind;
  name: string;
  percent: string;
  /** Seconds until the value ends by itself; 0: it does not. */
  seconds: number;
  reason: string;
}

/** What the form says, as the region takes it. Throws an Error with a sentence for people. */
export function changeOf(kind: PropertyKind, draft: Draft): PropertyChange {
  const name = draft.name.trim();
  if (draft.where !== "everywhere" && name === "") throw new Error(`Name the ${draft.where} that the value is for.`);
  const percent = parsed("number", draft.percent) as number;
  if (percent <= 0 || percent > 100) throw new Error(`${draft.percent} is no share; write a percentage up to 100.`);
  const scope: PropertyScope = { instance: "", service: "", zone: "", region: "", percent };
  if (draft.where !== "everywhere") scope[draft.where] = name;
  return {
    value: parsed(kind, draft.value),
    scope,
    expires_in: draft.seconds > 0 ? draft.seconds : null,
    reason: draft.reason.trim(),
  };
}

/** "10 % of catalog in zone b". */
export function scopeWords(scope: PropertyScope): string {
  const share = scope.percent < 100 ? `${scope.percent} % of ` : "";
  const who = scope.instance || scope.service || (share ? "instances" : "everywhere");
  const of = scope.instance && scope.service ? ` of ${scope.service}` : "";
  const zone = scope.zone ? ` in zone ${scope.zone}` : "";
  const region = scope.region ? ` in region ${scope.region}` : "";
  return `${share}${who}${of}${zone}${region}`;
}

/** "everywhere" or "for 10 % of catalog". */
export function forWhom(scope: PropertyScope): string {
  const words = scopeWords(scope);
  return words === "everywhere" ? words : `for ${words}`;
}

/** A key by which the overrides of one property are told apart. */
export function scopeKey(scope: PropertyScope): string {
  return [scope.instance, scope.service, scope.zone, scope.region, scope.percent < 100].join("/");
}

/** The properties in which all words are found: in the name, the description, a value or a scope. */
export function found(properties: PropertyState[], search: string, changedOnly: boolean): PropertyState[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return properties.filter((property) => {
    if (changedOnly && property.layer === "default" && property.overrides.length === 0) return false;
    const text = [
      property.name,
      property.description,
      shown(property.value),
      ...property.overrides.map((override) => `${shown(override.value)} ${scopeWords(override.scope)}`),
    ]
      .join(" ")
      .toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** "14:05" for a time of today, "25 Nov 14:05" for another day's. */
export function timeWords(iso: string, now: Date = new Date()): string {
  const time = new Date(iso);
  const clock = time.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  if (time.toDateString() === now.toDateString()) return clock;
  return `${time.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })} ${clock}`;
}
