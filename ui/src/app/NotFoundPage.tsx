import { Link } from "@tanstack/react-router";

import { Message } from "../parts/Message";
import { usePageTitle } from "../parts/usePageTitle";
import buttons from "../parts/button.module.css";

export function NotFoundPage() {
  usePageTitle("Nothing here");
  return (
    <Message
      title="No film on this reel"
      testId="not-found"
      actions={
        <Link to="/" className={buttons.main}>
          To the films
        </Link>
      }
    >
      <p>There is no page at this address. It may have been withdrawn, or the link is incomplete.</p>
    </Message>
  );
}
