/** What is promised, how it is kept, and how fast the error budget is being used. */
import { useQuery } from "@tanstack/react-query";

import type { ObjectiveState } from "../../api/types";
import { precise, share, shortTime, windowName } from "./figures";
import styles from "./observe.module.css";
import { Figure, Panel, Table } from "./Panel";
import { objectivesQuery } from "./queries";

export function ObjectivesPage() {
  const { data, error } = useQuery(objectivesQuery);
  return (
    <Panel title="Objectives" data={data} error={error} testId="objectives-page">
      {data?.objectives.map((objective) => <Objective key={objective.name} objective={objective} />)}
      {data?.objectives.length === 0 && <p>No objective is declared.</p>}
    </Panel>
  );
}

function Objective({ objective }: { objective: ObjectiveState }) {
  const firing = objective.alerts.filter((alert) => alert.firing);
  const good = objective.under_seconds ? `answered within ${shortTime(objective.under_seconds)}` : "answered without an error";
  return (
    <section className={styles.objective} aria-label={objective.name} data-testid="objective" data-firing={firing.length > 0}>
      <h2 className={styles.subtitle}>{objective.name}</h2>
      <p>
        {objective.description} Promised is that {precise(objective.objective)} are {good}, over {objective.window_days} days.
      </p>
      <dl className={styles.figures}>
        <Figure name="Kept" value={precise(objective.sli)} bad={objective.sli !== null && objective.sli < objective.objective} />
        <Figure name="Budget left" value={share(objective.budget_left)} bad={objective.budget_left < 0} />
        <Figure name="Requests" value={objective.total.toLocaleString("en")} />
        <Figure
          name="Alerts"
          value={firing.length === 0 ? "none" : firing.map((alert) => alert.severity).join(", ")}
          bad={firing.length > 0}
        />
      </dl>
      <Table caption={`${objective.name}: burn rates`} heads={["Alert", "Fires above", "Long window", "Short window", "Now"]}>
        {objective.alerts.map((alert) => (
          <tr key={`${alert.severity} ${alert.factor}`}>
            <th scope="row">{alert.severity}</th>
            <td>{alert.factor}</td>
            <td>
              {windowName(alert.long_seconds)}: {burn(objective, alert.long_seconds)}
            </td>
            <td>
              {windowName(alert.short_seconds)}: {burn(objective, alert.short_seconds)}
            </td>
            <td className={alert.firing ? styles.bad : undefined}>{alert.firing ? "fires" : "quiet"}</td>
          </tr>
        ))}
      </Table>
    </section>
  );
}

function burn(objective: ObjectiveState, seconds: number): string {
  return objective.burn.find((one) => one.window_seconds === seconds)?.rate.toFixed(1) ?? "–";
}
