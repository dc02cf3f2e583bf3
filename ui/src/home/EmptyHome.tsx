import { Link } from "@tanstack/react-router";

import { Message } from "../parts/Message";
import buttons from "../parts/button.module.css";

/** The house before its first film. */
export function EmptyHome({ operator }: { operator: boolean }) {
  if (!operator) {
    return (
      <Message title="The screen is still dark" testId="home-empty">
        <p>No film has been put on yet. It will appear here by itself as soon as the first one is ready.</p>
      </Message>
    );
  }
  return (
    <Message
      title="The screen is still dark"
      testId="home-empty"
      actions={
        <Link to="/studio" className={buttons.main}>
          Add a film
        </Link>
      }
    >
      <p>Films appear here by themselves, as soon as their first quality is ready to play.</p>
    </Message>
  );
}
