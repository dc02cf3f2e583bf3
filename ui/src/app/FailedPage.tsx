import type { ErrorComponentProps } from "@tanstack/react-router";

import { sentence } from "../api/request";
import { Message } from "../parts/Message";
import { usePageTitle } from "../parts/usePageTitle";
import buttons from "../parts/button.module.css";

/** Shown when a page could not be drawn at all. */
export function FailedPage({ error, reset }: ErrorComponentProps) {
  usePageTitle("Something failed");
  return (
    <Message
      title="The film tore"
      actions={
        <>
          <button type="button" className={buttons.main} onClick={reset}>
            Try again
          </button>
          <a href="/" className={buttons.button}>
            To the films
          </a>
        </>
      }
    >
      <p role="alert">{sentence(error)}</p>
    </Message>
  );
}
