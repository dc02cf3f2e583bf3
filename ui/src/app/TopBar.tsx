import { Link } from "@tanstack/react-router";

import type { Who } from "../api/types";
import { Logo } from "../parts/Logo";
import styles from "./topbar.module.css";

const link = { className: styles.link, activeProps: { className: `${styles.link ?? ""} ${styles.current ?? ""}` } };

export function TopBar({ who }: { who: Who | null }) {
  return (
    <header className={styles.bar} data-nav-row>
      <Link to="/" className={styles.brand} aria-label="Kinema, home">
        <Logo />
        <span className={styles.word}>Kinema</span>
      </Link>
      {who && (
        <nav aria-label="Main" className={styles.nav}>
          <Link to="/" {...link} activeOptions={{ exact: true }}>
            Films
          </Link>
          {who.role === "operator" && (
            <>
              <Link to="/studio" {...link} data-testid="nav-studio">
                Studio
              </Link>
              <Link to="/console/{-$page}/{-$item}" {...link} data-testid="nav-console">
                Console
              </Link>
            </>
          )}
          <Link to="/account" {...link} data-testid="nav-account">
            Account
          </Link>
        </nav>
      )}
    </header>
  );
}
