/** Encoding: the roll-outs of codecs and the films that have a report; or, with a title's id behind it, that report. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { titlesQuery } from "../../api/queries";
import type { Backfill } from "../../api/types";
import buttons from "../../parts/button.module.css";
import { bytes, codecName, duration, percent } from "../../format";
import observe from "../observe/observe.module.css";
import { NoRows, Panel, Table } from "../observe/Panel";
import { backfillsQuery } from "./queries";
import { ReportPage } from "./ReportPage";

export function EncodingPage({ item }: { item: string }) {
  return item === "" ? <Overview /> : <ReportPage titleId={item} />;
}

function Overview() {
  const { data: backfills, error } = useQuery(backfillsQuery);
  const { data, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(titlesQuery);
  const titles = data?.pages.flatMap((page) => page.titles) ?? [];
  return (
    <Panel title="Encoding" data={backfills} error={error} testId="encoding-page">
      <Table caption="Codecs on their way" heads={["Codec", "State", "Titles", "Without", "Saved", "Processor", "Since catalogue"]}>
        {backfills?.map((backfill) => <Row key={backfill.id} backfill={backfill} />)}
        {backfills?.length === 0 && <NoRows columns={7}>No codec is being rolled out: kinema encode backfill --codec av1</NoRows>}
      </Table>
      <Table caption="Reports" heads={["Film", "Rungs", "Codecs"]}>
        {titles.map((title) => (
          <tr key={title.title_id}>
            <th scope="row">
              <Link
                to="/console/{-$page}/{-$item}"
                params={{ page: "encoding", item: title.title_id }}
                className={observe.link}
                data-testid="report-link"
              >
                {title.title}
              </Link>
            </th>
            <td>{title.rungs.length}</td>
            <td>{[...new Set(title.rungs.map((rung) => codecName(rung.codec)))].join(", ")}</td>
          </tr>
        ))}
        {data && titles.length === 0 && <NoRows columns={3}>No film is on yet.</NoRows>}
      </Table>
      {hasNextPage && (
        <button
          type="button"
          className={buttons.button}
          onClick={() => void fetchNextPage()}
          disabled={isFetchingNextPage}
        >
          Show more
        </button>
      )}
    </Panel>
  );
}

function Row({ backfill }: { backfill: Backfill }) {
  return (
    <tr data-testid="backfill-row" data-state={backfill.state}>
      <th scope="row">{backfill.codec}</th>
      <td>{backfill.state}</td>
      <td>
        {backfill.done} of {backfill.titles}
        {backfill.failed > 0 && <span className={observe.bad}>, {backfill.failed} failed</span>}
      </td>
      <td>{bytes(backfill.before_bytes)}</td>
      <td>
        {bytes(backfill.saved_bytes)}
        {backfill.before_bytes > 0 && ` (${percent(backfill.saved_bytes / backfill.before_bytes)})`}
      </td>
      <td>{duration(backfill.cpu_seconds)}</td>
      <td>{backfill.catalog_version}</td>
    </tr>
  );
}
