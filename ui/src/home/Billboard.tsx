import { Link } from "@tanstack/react-router";

import type { Title } from "../api/types";
import { Icon } from "../parts/Icon";
import buttons from "../parts/button.module.css";
import { Facts } from "../title/Facts";
import styles from "./billboard.module.css";

/** The featured film: its picture over the whole width, its name in large letters. */
export function Billboard({ title }: { title: Title }) {
  const params = { titleId: title.title_id };
  return (
    <section className={styles.billboard} aria-labelledby="billboard-title" data-testid="billboard">
      {title.billboard ? (
        <img className={styles.picture} src={title.billboard} alt="" fetchPriority="high" />
      ) : (
        <div className={styles.dark} />
      )}
      <div className={styles.shade} />
      <div className={styles.words}>
        <h1 id="billboard-title" className={styles.title} data-long={title.title.length > 22 || undefined}>
          {title.title}
        </h1>
        <Facts title={title} />
        {title.synopsis && <p className={styles.synopsis}>{title.synopsis}</p>}
        <div className={styles.actions} data-nav-row>
          <Link to="/watch/$titleId" params={params} className={buttons.large} data-testid="billboard-play">
            <Icon name="play" />
            Play<span className="unseen"> {title.title}</span>
          </Link>
          <Link to="/titles/$titleId" params={params} className={buttons.largeQuiet}>
            About<span className="unseen"> {title.title}</span>
          </Link>
        </div>
      </div>
    </section>
  );
}
