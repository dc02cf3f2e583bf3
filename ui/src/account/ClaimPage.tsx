import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { claim } from "../api/actions";
import { isTransient, sentence } from "../api/request";
import { Message } from "../parts/Message";
import { usePageTitle } from "../parts/usePageTitle";
import { Waiting } from "../parts/Waiting";
import buttons from "../parts/button.module.css";
import { signedInAs } from "./signedInAs";

/** Read once: the fragment is taken off the address before anything else can see it. */
const token = (() => {
  if (location.pathname !== "/claim") return "";
  const found = decodeURIComponent(location.hash.slice(1));
  history.replaceState(history.state, "", "/claim");
  return found;
})();

/** Another link pasted over this page changes only the fragment, for which browsers do not load anything. */
addEventListener("hashchange", () => {
  if (location.pathname === "/claim" && location.hash.length > 1) location.reload();
});

let pending: ReturnType<typeof claim> | null = null;

/** The one-time link is used up by its first request, so a second drawing of the page must not send another. */
async function claimOnce() {
  pending ??= claim(token);
  try {
    return await pending;
  } catch (error) {
    if (isTransient(error)) pending = null;
    throw error;
  }
}

export function ClaimPage() {
  usePageTitle("Claim");
  const client = useQueryClient();
  const navigate = useNavigate();
  const [error, setError] = useState<unknown>(token === "" ? new Error("This claim link has no token in it.") : null);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    if (token === "") return undefined;
    let left = false;
    claimOnce().then(
      async (who) => {
        if (left) return;
        await signedInAs(client, who);
        await navigate({ to: "/", replace: true });
      },
      (cause: unknown) => {
        if (!left) setError(cause);
      },
    );
    return () => {
      left = true;
    };
  }, [attempt, client, navigate]);

  const again = () => {
    setError(null);
    setAttempt(attempt + 1);
  };

  if (error === null) return <Waiting label="Opening the door" />;
  return (
    <Message
      title="This link does not open"
      testId="claim-failed"
      actions={
        <>
          {isTransient(error) && (
            <button type="button" className={buttons.main} onClick={again}>
              Try again
            </button>
          )}
          <Link to="/sign-in" className={isTransient(error) ? buttons.button : buttons.main}>
            Sign in
          </Link>
        </>
      }
    >
      <p role="alert">{sentence(error)}</p>
      <p>A claim link works once and for a day. The operator makes a new one with “kinema claim”.</p>
    </Message>
  );
}
