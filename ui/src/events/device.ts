/** The id that this browser gives itself, so that messages can be sent to it alone. It says nothing about who uses it. */
const KEY = "kinema.device";
const FORM = /^[A-Za-z0-9._~-]{8,64}$/;

function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `browser-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** The same id each time, or a new one where nothing can be kept. */
export function deviceId(): string {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept !== null && FORM.test(kept)) return kept;
    const made = newId();
    localStorage.setItem(KEY, made);
    return made;
  } catch {
    return newId();
  }
}
