import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, useState, type SubmitEvent } from "react";

import { setProperty } from "../../api/actions";
import { ApiError } from "../../api/request";
import type { PropertyState } from "../../api/types";
import { Choice } from "../../parts/Choice";
import { Dialog } from "../../parts/Dialog";
import { Fault } from "../../parts/Fault";
import { Field } from "../../parts/Field";
import buttons from "../../parts/button.module.css";
import dialogs from "../../parts/dialog.module.css";
import fields from "../../parts/field.module.css";
import { changeOf, editable, type Draft, type ScopeKind } from "./values";

const places: Record<ScopeKind, string> = {
  everywhere: "Everywhere",
  service: "One service",
  instance: "One instance or process",
  zone: "One zone",
  region: "One region",
};

const ends: [seconds: number, label: string][] = [
  [0, "Until it is taken back"],
  [600, "For 10 minutes"],
  [3600, "For an hour"],
  [86_400, "For a day"],
  [604_800, "For a week"],
];

/** Sets a value of a property: for whom, until when, and why. */
export function PropertyEditor({ property, onClose }: { property: PropertyState; onClose: () => void }) {
  const client = useQueryClient();
  const [draft, setDraft] = useState<Draft>({
    value: editable(property.value),
    where: "everywhere",
    name: "",
    percent: "100",
    seconds: 0,
    reason: "",
  });
  const change = (part: Partial<Draft>) => setDraft({ ...draft, ...part });
  const saving = useMutation({
    // A sentence of the form's own and one of the region's are shown in the same place.
    mutationFn: async () => await setProperty(property.name, changeOf(property.kind, draft), property.revision),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["properties"] });
      onClose();
    },
    onError: async (error) => {
      // Somebody was faster: what they did is shown, and the next attempt is based on it.
      if (error instanceof ApiError && error.status === 412) await client.invalidateQueries({ queryKey: ["properties"] });
    },
  });
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <Dialog title={property.name} testId="property-editor" onClose={onClose}>
      <p className={dialogs.text}>
        {property.description} Allowed is {property.allowed}.
      </p>
      <form className={dialogs.form} onSubmit={submit}>
        <ValueField property={property} value={draft.value} onChange={(value) => change({ value })} />
        <div className={dialogs.pair}>
          <Choice
            label="Where"
            value={draft.where}
            options={Object.entries(places)}
            onChange={(where) => change({ where: where as ScopeKind })}
            testId="property-where"
          />
          <Field
            label="Share, in %"
            inputMode="decimal"
            value={draft.percent}
            onChange={(event) => change({ percent: event.currentTarget.value })}
            data-testid="property-percent"
          />
        </div>
        {draft.where !== "everywhere" && (
          <Field
            label={`Name of the ${draft.where}`}
            value={draft.name}
            maxLength={100}
            onChange={(event) => change({ name: event.currentTarget.value })}
            data-testid="property-scope-name"
          />
        )}
        <Choice
          label="How long"
          value={String(draft.seconds)}
          options={ends.map(([seconds, label]) => [String(seconds), label])}
          onChange={(seconds) => change({ seconds: Number(seconds) })}
          testId="property-ends"
        />
        <Field
          label="Why"
          value={draft.reason}
          maxLength={500}
          hint="Stands in the history of changes."
          onChange={(event) => change({ reason: event.currentTarget.value })}
          data-testid="property-reason"
        />
        <Fault error={saving.error} testId="property-error" />
        <div className={dialogs.actions}>
          <button type="submit" className={buttons.main} disabled={saving.isPending} data-testid="property-save">
            Set
          </button>
          <button type="button" className={buttons.quiet} onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface ValueFieldProps {
  property: PropertyState;
  value: string;
  onChange: (value: string) => void;
}

/** The field that fits the property: a choice, a number, a text, or a line for each text of a list. */
function ValueField({ property, value, onChange }: ValueFieldProps) {
  const id = useId();
  const choices = property.kind === "flag" ? ["true", "false"] : property.choices;
  if (property.kind === "list") {
    const hint = choices.length > 0 ? `Each of ${choices.join(", ")}.` : "One text a line.";
    return (
      <div className={fields.field}>
        <label className={fields.label} htmlFor={id}>
          Value, one text a line
        </label>
        <textarea
          id={id}
          className={fields.input}
          value={value}
          aria-describedby={`${id}-hint`}
          onChange={(event) => onChange(event.currentTarget.value)}
          data-testid="property-input"
        />
        <p id={`${id}-hint`} className={fields.hint}>
          {hint}
        </p>
      </div>
    );
  }
  if (choices.length > 0) {
    const options = choices.map((choice): [string, string] => [choice, choice]);
    return <Choice label="Value" value={value} options={options} onChange={onChange} testId="property-input" />;
  }
  const numeric = property.kind === "number" || property.kind === "whole number";
  return (
    <Field
      label="Value"
      {...(numeric && { inputMode: property.kind === "number" ? "decimal" : "numeric" })}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      data-testid="property-input"
    />
  );
}
