import type { ReactNode } from "react";

import styles from "./message.module.css";

interface MessageProps {
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
  testId?: string;
}

/** A page that has one thing to say: nothing here, not found, something failed. */
export function Message({ title, children, actions, testId }: MessageProps) {
  return (
    <div className={styles.message} data-testid={testId}>
      <h1 className={styles.title}>{title}</h1>
      {children && <div className={styles.text}>{children}</div>}
      {actions && (
        <div className={styles.actions} data-nav-row>
          {actions}
        </div>
      )}
    </div>
  );
}
