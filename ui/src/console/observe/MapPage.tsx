/** Who calls whom within the last minute, drawn from calls that were really made. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import type { ServiceMap, ServiceNode } from "../../api/types";
import { rate, share, shortTime } from "./figures";
import { drawnOf, layoutOf, NODE_HEIGHT, NODE_WIDTH, type Drawn, type Place } from "./layout";
import styles from "./observe.module.css";
import { NoRows, Panel, Table } from "./Panel";
import { mapQuery } from "./queries";

const TOO_MANY_ERRORS = 0.01;

/** What goes to and from these says nothing of what people ask for. */
const housekeeping = new Set(["configuration", "telemetry"]);

export function MapPage() {
  const { data, error } = useQuery(mapQuery);
  const [everything, setEverything] = useState(false);
  const shown = useMemo(() => data && (everything ? data : withoutHousekeeping(data)), [data, everything]);
  const aside = (
    <label className={styles.only}>
      <input
        type="checkbox"
        checked={everything}
        onChange={(event) => setEverything(event.currentTarget.checked)}
        data-testid="map-everything"
      />
      Settings and reports too
    </label>
  );
  return (
    <Panel title="Service map" data={data} error={error} aside={aside} testId="map-page">
      {shown && <Picture map={shown} />}
      {shown && <Calls map={shown} />}
    </Panel>
  );
}

function withoutHousekeeping(map: ServiceMap): ServiceMap {
  const edges = map.edges.filter((edge) => !housekeeping.has(edge.target) && !housekeeping.has(edge.source));
  const called = new Set(edges.flatMap((edge) => [edge.source, edge.target]));
  const nodes = map.nodes.filter((node) => called.has(node.name) || (node.instances > 0 && !housekeeping.has(node.name)));
  return { ...map, nodes, edges };
}

function Picture({ map }: { map: ServiceMap }) {
  const layout = useMemo(() => layoutOf(map.nodes, map.edges), [map]);
  const drawn = useMemo(() => drawnOf(map.edges, layout), [map, layout]);
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls, so the keyboard must reach it
    <div className={styles.scroll} tabIndex={0} role="region" aria-label="Map of services, as a picture">
      <svg
        className={styles.map}
        width={layout.width}
        height={layout.height}
        viewBox={`0 0 ${layout.width} ${layout.height}`}
        role="group"
        aria-label={`${map.nodes.length} services and ${drawn.length} connections between them; the table below says the same`}
      >
        <defs>
          <marker id="call" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">
            <path d="M 0 0 L 8 4 L 0 8 z" className={styles.arrow} />
          </marker>
        </defs>
        {drawn.map((one) => (
          <Call key={`${one.edge.source} ${one.edge.target}`} {...one} />
        ))}
        {map.nodes.map((node) => (
          <Node key={node.name} node={node} place={layout.places.get(node.name)} />
        ))}
      </svg>
    </div>
  );
}

function Call({ edge, path, label }: Drawn) {
  const failing = edge.error_ratio >= TOO_MANY_ERRORS;
  return (
    <g className={failing ? styles.failing : styles.call} aria-hidden="true">
      <path d={path} className={styles.wire} strokeWidth={1.2 + Math.log10(1 + edge.rps) * 1.6} markerEnd="url(#call)" />
      <text x={label.x} y={label.y - 5} className={styles.figure}>
        {rate(edge.rps)}
      </text>
      <text x={label.x} y={label.y + 12} className={styles.figure}>
        {failing ? `${share(edge.error_ratio)} failed` : `p99 ${shortTime(edge.p99_seconds)}`}
      </text>
    </g>
  );
}

function Node({ node, place }: { node: ServiceNode; place: Place | undefined }) {
  if (!place) return null;
  return (
    <g
      transform={`translate(${place.x} ${place.y})`}
      className={node.error_ratio >= TOO_MANY_ERRORS ? styles.failing : styles.node}
      data-testid="map-node"
      data-name={node.name}
    >
      <Link to="/console/{-$page}/{-$item}" params={{ page: "services", item: node.name }}>
        <rect width={NODE_WIDTH} height={NODE_HEIGHT} rx={8} className={styles.box} />
        <text x={14} y={27} className={styles.nodeName}>
          {node.name}
        </text>
        <text x={14} y={49} className={styles.nodeFacts}>
          {node.instances > 0 ? `${node.instances} × · ` : ""}
          {rate(node.rps)} · {shortTime(node.p50_seconds)}
        </text>
      </Link>
    </g>
  );
}

function Calls({ map }: { map: ServiceMap }) {
  const busiest = [...map.edges].sort((a, b) => b.rps - a.rps);
  return (
    <Table
      caption={`Calls within the last ${map.window_seconds} s`}
      heads={["Caller", "Called", "Requests", "Failed", "p50", "p99"]}
    >
      {busiest.map((edge) => (
        <tr key={`${edge.source} ${edge.target}`} data-testid="map-call">
          <th scope="row">{edge.source}</th>
          <td>{edge.target}</td>
          <td>{rate(edge.rps)}</td>
          <td className={edge.error_ratio >= TOO_MANY_ERRORS ? styles.bad : undefined}>{share(edge.error_ratio)}</td>
          <td>{shortTime(edge.p50_seconds)}</td>
          <td>{shortTime(edge.p99_seconds)}</td>
        </tr>
      ))}
      {busiest.length === 0 && <NoRows columns={6}>Nobody has called anybody within the last minute.</NoRows>}
    </Table>
  );
}
