/** What can be changed while everything runs, what it is now and why, and who has changed it. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { propertiesQuery } from "../../api/queries";
import { Fault } from "../../parts/Fault";
import { Field } from "../../parts/Field";
import { usePageTitle } from "../../parts/usePageTitle";
import { Waiting } from "../../parts/Waiting";
import { PropertyEditor } from "./PropertyEditor";
import { PropertyRow } from "./PropertyRow";
import styles from "./properties.module.css";
import { Trail } from "./Trail";
import { found } from "./values";

export function PropertiesPage() {
  usePageTitle("Properties");
  const { data, error } = useQuery(propertiesQuery);
  const [search, setSearch] = useState("");
  const [changedOnly, setChangedOnly] = useState(false);
  const [editing, setEditing] = useState("");
  const [trailOf, setTrailOf] = useState("");
  if (!data) return error ? <Fault error={error} /> : <Waiting />;
  const { properties, unknown } = data;
  const listed = found(properties, search, changedOnly);
  const edited = properties.find((property) => property.name === editing);
  return (
    <div className={styles.page}>
      <section aria-labelledby="properties-heading" className={styles.section}>
        <h1 id="properties-heading" className={styles.title}>
          Properties
        </h1>
        <search className={styles.search}>
          <Field
            label="Search"
            type="search"
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
            data-testid="property-search"
          />
          <label className={styles.only}>
            <input
              type="checkbox"
              checked={changedOnly}
              onChange={(event) => setChangedOnly(event.currentTarget.checked)}
              data-testid="property-changed-only"
            />
            Changed ones only
          </label>
          <p role="status" className={styles.count} data-testid="property-count">
            {listed.length === properties.length ? `${listed.length}` : `${listed.length} of ${properties.length}`}{" "}
            {properties.length === 1 ? "property" : "properties"}
          </p>
        </search>
        {unknown.length > 0 && (
          <p className={styles.refused} data-testid="property-unknown">
            No property is called {unknown.join(", ")}; the file or the environment names it.
          </p>
        )}
        <ul className={styles.list} data-testid="property-list">
          {listed.map((property) => (
            <PropertyRow
              key={property.name}
              property={property}
              onEdit={() => setEditing(property.name)}
              onHistory={() => setTrailOf(property.name)}
            />
          ))}
        </ul>
      </section>
      <Trail name={trailOf} onAll={() => setTrailOf("")} />
      {edited && <PropertyEditor property={edited} onClose={() => setEditing("")} />}
    </div>
  );
}
