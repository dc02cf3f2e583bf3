import { useMutation, useQueryClient } from "@tanstack/react-query";

import { unsetProperty } from "../../api/actions";
import type { PropertyState, SetOverride } from "../../api/types";
import { Fault } from "../../parts/Fault";
import buttons from "../../parts/button.module.css";
import styles from "./properties.module.css";
import { forWhom, scopeKey, scopeWords, shown, timeWords } from "./values";

const from: Record<PropertyState["layer"], string> = {
  runtime: "set here",
  environment: "from the environment",
  file: "from properties.toml",
  default: "default",
};

interface PropertyRowProps {
  property: PropertyState;
  onEdit: () => void;
  onHistory: () => void;
}

/** One property: what it is now and where that comes from, and every value that was set for it. */
export function PropertyRow({ property, onEdit, onHistory }: PropertyRowProps) {
  const refused = property.layers.filter((layer) => layer.refused !== "");
  return (
    <li className={styles.property} data-testid="property-row" data-name={property.name} data-layer={property.layer}>
      <div className={styles.words}>
        <h2 className={styles.name}>{property.name}</h2>
        <p>{property.description}</p>
        <dl className={styles.facts}>
          <div>
            <dt>Allowed</dt>
            <dd>{property.allowed}</dd>
          </div>
          <div>
            <dt>Default</dt>
            <dd>{shown(property.default)}</dd>
          </div>
          <div>
            <dt>Variable</dt>
            <dd>{property.variable}</dd>
          </div>
        </dl>
        {refused.map((layer) => (
          <p key={layer.layer} className={styles.refused}>
            {layer.refused} The value {from[layer.layer]} is not used.
          </p>
        ))}
      </div>
      <p className={styles.now}>
        <output className={styles.value} data-testid="property-value" aria-label={`Value of ${property.name}`}>
          {shown(property.value)}
        </output>
        <span className={styles.layer}>{from[property.layer]}</span>
      </p>
      <div className={styles.actions}>
        <button type="button" className={buttons.button} onClick={onEdit} data-testid="property-edit">
          Set<span className="unseen"> {property.name}</span>
        </button>
        <button type="button" className={buttons.quiet} onClick={onHistory} data-testid="property-history">
          History<span className="unseen"> of {property.name}</span>
        </button>
      </div>
      {property.overrides.length > 0 && (
        <ul className={styles.overrides} aria-label={`Values set for ${property.name}`}>
          {property.overrides.map((override) => (
            <OverrideRow key={scopeKey(override.scope)} property={property} override={override} />
          ))}
        </ul>
      )}
    </li>
  );
}

function OverrideRow({ property, override }: { property: PropertyState; override: SetOverride }) {
  const client = useQueryClient();
  const taking = useMutation({
    mutationFn: () => unsetProperty(property.name, override.scope, "", property.revision),
    onSettled: () => client.invalidateQueries({ queryKey: ["properties"] }),
  });
  const where = scopeWords(override.scope);
  return (
    <li className={styles.override} data-testid="override-row" data-scope={where}>
      <p>
        <strong className={styles.value}>{shown(override.value)}</strong> {forWhom(override.scope)}
        {override.expires_at && <span> until {timeWords(override.expires_at)}</span>}
      </p>
      <p className={styles.hint}>
        {override.set_by}, {timeWords(override.set_at)}
        {override.reason && `: ${override.reason}`}
      </p>
      <p className={override.instances.length > 0 ? styles.hint : styles.refused} data-testid="override-instances">
        {override.instances.length > 0 ? `Holds for ${override.instances.join(", ")}` : "Holds for no running instance"}
      </p>
      <button
        type="button"
        className={buttons.quiet}
        onClick={() => taking.mutate()}
        disabled={taking.isPending}
        data-testid="override-unset"
      >
        Take back<span className="unseen">{` ${shown(override.value)} of ${property.name}, ${where}`}</span>
      </button>
      <Fault error={taking.error} />
    </li>
  );
}
