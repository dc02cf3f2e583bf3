import { useQuery } from "@tanstack/react-query";

import { homeQuery, sessionQuery } from "../api/queries";
import { sentence } from "../api/request";
import { Message } from "../parts/Message";
import { usePageTitle } from "../parts/usePageTitle";
import { Waiting } from "../parts/Waiting";
import { useWarmPlayer } from "../player/warmUp";
import { Billboard } from "./Billboard";
import { EmptyHome } from "./EmptyHome";
import styles from "./home.module.css";
import { InTheMaking } from "./InTheMaking";
import { Shelf } from "./Shelf";

export function HomePage() {
  usePageTitle("Films");
  useWarmPlayer();
  const { data: home, error } = useQuery(homeQuery);
  const { data: who } = useQuery(sessionQuery);
  const operator = who?.role === "operator";

  if (error && !home) return <Message title="The films cannot be shown">{sentence(error)}</Message>;
  if (!home) return <Waiting label="Loading the films" />;
  return (
    <div className={styles.home}>
      {home.billboard ? <Billboard title={home.billboard} /> : <EmptyHome operator={operator} />}
      <div className={styles.below}>
        {operator && <InTheMaking />}
        {home.rows.map((row, index) => (
          <Shelf key={row.name} row={row} eager={index === 0} />
        ))}
      </div>
    </div>
  );
}
