/** Which instances a registry knows, when it last heard of each, and the way to take one out of service and back in. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { overrideStatus, restoreStatus } from "../../api/actions";
import type { LeaseState, RegistryState } from "../../api/types";
import buttons from "../../parts/button.module.css";
import { Dialog } from "../../parts/Dialog";
import dialogs from "../../parts/dialog.module.css";
import { Fault } from "../../parts/Fault";
import { duration } from "../../format";
import styles from "./observe.module.css";
import { Figure, NoRows, Panel, Table } from "./Panel";
import { registryQuery } from "./queries";

export function InstancesPage() {
  const { data, error } = useQuery(registryQuery);
  const [leaving, setLeaving] = useState<LeaseState | null>(null);
  const client = useQueryClient();
  const returning = useMutation({
    mutationFn: (lease: LeaseState) => restoreStatus(serviceOf(lease), lease.instance),
    onSettled: () => client.invalidateQueries({ queryKey: registryQuery.queryKey }),
  });
  return (
    <Panel title="Instances" data={data} error={error ?? returning.error} testId="instances-page">
      {data && <Facts state={data} />}
      <Table
        caption={`As ${data?.registry ?? "the registry"} knows them`}
        heads={["Service", "Instance", "Address", "Status", "Heard of", "Lease", "Change"]}
      >
        {data?.instances.map((lease) => (
          <Row
            key={`${lease.application} ${lease.instance}`}
            lease={lease}
            onLeave={() => setLeaving(lease)}
            onReturn={() => returning.mutate(lease)}
          />
        ))}
        {data?.instances.length === 0 && <NoRows columns={7}>No instance is registered.</NoRows>}
      </Table>
      {data && <Peers state={data} />}
      {leaving && <LeaveDialog lease={leaving} onClose={() => setLeaving(null)} />}
    </Panel>
  );
}

const serviceOf = (lease: LeaseState) => lease.application.toLowerCase();

function Facts({ state }: { state: RegistryState }) {
  return (
    <dl className={styles.figures}>
      <Figure name="Our own" value={state.signed.toLocaleString("en")} />
      <Figure name="By Eureka’s contract" value={state.foreign.toLocaleString("en")} />
      <Figure name="Overdue" value={state.overdue.toLocaleString("en")} />
      <Figure
        name="Renewals a minute"
        value={`${state.renewals_per_minute.toLocaleString("en")} of ${Math.round(state.expected_per_minute).toLocaleString("en")}`}
      />
      <Figure name="Self-preservation" value={state.self_preservation ? "on" : "off"} bad={state.self_preservation} />
    </dl>
  );
}

function Row({ lease, onLeave, onReturn }: { lease: LeaseState; onLeave: () => void; onReturn: () => void }) {
  const out = lease.status !== "UP";
  return (
    <tr data-testid="instance-row" data-instance={lease.instance} data-status={lease.status}>
      <th scope="row">{lease.signed ? serviceOf(lease) : lease.application}</th>
      <td>{lease.instance}</td>
      <td className={styles.code}>{lease.address}</td>
      <td className={out ? styles.bad : undefined}>{lease.status.toLowerCase().replaceAll("_", " ")}</td>
      <td>{lease.age_seconds.toFixed(1)} s ago</td>
      <td>{duration(lease.lease_seconds)}</td>
      <td>
        {lease.signed &&
          (out ? (
            <button type="button" className={buttons.quiet} onClick={onReturn} data-testid="instance-return">
              Put back
            </button>
          ) : (
            <button type="button" className={buttons.quiet} onClick={onLeave} data-testid="instance-leave">
              Take out
            </button>
          ))}
      </td>
    </tr>
  );
}

function LeaveDialog({ lease, onClose }: { lease: LeaseState; onClose: () => void }) {
  const client = useQueryClient();
  const leaving = useMutation({
    mutationFn: () => overrideStatus(serviceOf(lease), lease.instance, "OUT_OF_SERVICE"),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: registryQuery.queryKey });
      onClose();
    },
  });
  return (
    <Dialog title={`Take ${lease.instance} out of service?`} testId="instance-dialog" onClose={onClose}>
      <p className={dialogs.text}>
        Nobody will call it from the next second on, until it is put back or restarted. What it works on, it ends. If it is the
        only instance of {serviceOf(lease)}, requests that need it will fail.
      </p>
      <Fault error={leaving.error} />
      <div className={dialogs.actions}>
        <button
          type="button"
          className={buttons.main}
          disabled={leaving.isPending}
          onClick={() => leaving.mutate()}
          data-testid="instance-confirm"
        >
          Take out
        </button>
        <button type="button" className={buttons.quiet} onClick={onClose}>
          Cancel
        </button>
      </div>
    </Dialog>
  );
}

function Peers({ state }: { state: RegistryState }) {
  return (
    <Table caption="Its peers" heads={["Address", "Reachable", "Synced", "Told", "Waiting", "Dropped"]}>
      {state.peers.map((peer) => (
        <tr key={peer.address}>
          <th scope="row" className={styles.code}>
            {peer.address}
          </th>
          <td className={peer.reachable ? undefined : styles.bad}>{peer.reachable ? "yes" : peer.error || "no"}</td>
          <td>{peer.synced ? "yes" : "no"}</td>
          <td>{peer.sent.toLocaleString("en")}</td>
          <td>{peer.waiting}</td>
          <td className={peer.dropped > 0 ? styles.bad : undefined}>{peer.dropped}</td>
        </tr>
      ))}
      {state.peers.length === 0 && <NoRows columns={6}>It has no peers.</NoRows>}
    </Table>
  );
}
