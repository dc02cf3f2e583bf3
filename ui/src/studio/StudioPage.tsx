import { useQuery } from "@tanstack/react-query";

import { sessionQuery } from "../api/queries";
import { Message } from "../parts/Message";
import { usePageTitle } from "../parts/usePageTitle";
import { Invite } from "./Invite";
import { JobList } from "./JobList";
import styles from "./studio.module.css";
import { TitleList } from "./TitleList";
import { UploadPanel } from "./UploadPanel";
import { WithdrawnList } from "./WithdrawnList";

export function StudioPage() {
  usePageTitle("Studio");
  const { data: who } = useQuery(sessionQuery);
  if (who?.role !== "operator") {
    return (
      <Message title="For operators" testId="studio-closed">
        <p>Films are added by the people who run this house. Ask one of them if something is missing.</p>
      </Message>
    );
  }
  return (
    <div className={styles.studio}>
      <h1 className={styles.title}>Studio</h1>
      <div className={styles.columns}>
        <div className={styles.column}>
          <UploadPanel />
          <TitleList />
          <WithdrawnList />
        </div>
        <div className={styles.column}>
          <JobList />
          <Invite />
        </div>
      </div>
    </div>
  );
}
