import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { titleQuery } from "../api/queries";
import { ApiError, sentence } from "../api/request";
import type { Title } from "../api/types";
import { NotFoundPage } from "../app/NotFoundPage";
import { bitrate, codecName } from "../format";
import { Icon } from "../parts/Icon";
import { Message } from "../parts/Message";
import { Poster } from "../parts/Poster";
import { usePageTitle } from "../parts/usePageTitle";
import { Waiting } from "../parts/Waiting";
import { useWarmPlayer } from "../player/warmUp";
import buttons from "../parts/button.module.css";
import { Facts } from "./Facts";
import styles from "./title.module.css";

export function TitlePage() {
  const { titleId } = useParams({ from: "/titles/$titleId" });
  const { data: title, error } = useQuery(titleQuery(titleId));
  if (title) return <TitleView title={title} />;
  if (error instanceof ApiError && error.status === 404) return <NotFoundPage />;
  if (error) return <Message title="This film cannot be shown">{sentence(error)}</Message>;
  return <Waiting label="Loading the film" />;
}

function TitleView({ title }: { title: Title }) {
  usePageTitle(title.title);
  useWarmPlayer();
  return (
    <article className={styles.page}>
      {title.billboard && <img className={styles.backdrop} src={title.billboard} alt="" />}
      <div className={styles.shade} />
      <div className={styles.layout}>
        <div className={styles.poster}>
          <Poster title={title} eager />
        </div>
        <div className={styles.words}>
          <h1 className={styles.title}>{title.title}</h1>
          <Facts title={title} />
          <p data-nav-row>
            <Link
              to="/watch/$titleId"
              params={{ titleId: title.title_id }}
              className={buttons.large}
              data-testid="play-button"
            >
              <Icon name="play" />
              Play
            </Link>
          </p>
          {title.synopsis && <p className={styles.synopsis}>{title.synopsis}</p>}
          <Card title={title} />
        </div>
      </div>
    </article>
  );
}

/** The card in the archive's drawer. */
function Card({ title }: { title: Title }) {
  const rungs = [...title.rungs].sort((a, b) => b.height - a.height || b.average_bandwidth - a.average_bandwidth);
  return (
    <dl className={styles.card}>
      {title.genres.length > 0 && (
        <div>
          <dt>Kind</dt>
          <dd>{title.genres.join(", ")}</dd>
        </div>
      )}
      {title.credits && (
        <div>
          <dt>Credits</dt>
          <dd>{title.credits}</dd>
        </div>
      )}
      <div>
        <dt>Qualities</dt>
        <dd>
          <ul className={styles.rungs} data-testid="title-rungs">
            {rungs.map((rung) => (
              <li key={rung.name}>
                <span>
                  {rung.width} × {rung.height}
                </span>
                <span>{codecName(rung.codec)}</span>
                <span>{bitrate(rung.average_bandwidth)}</span>
              </li>
            ))}
          </ul>
          {!title.complete && <p className={styles.more}>More qualities are on their way.</p>}
        </dd>
      </div>
    </dl>
  );
}
