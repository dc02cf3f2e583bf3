import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, type SubmitEvent } from "react";

import { textOf } from "../account/form";
import { changeTitle } from "../api/actions";
import type { Title, TitleDetails } from "../api/types";
import { Fault } from "../parts/Fault";
import { Field } from "../parts/Field";
import fields from "../parts/field.module.css";
import buttons from "../parts/button.module.css";
import { Dialog } from "../parts/Dialog";
import styles from "../parts/dialog.module.css";

function detailsOf(form: FormData): TitleDetails {
  const year = textOf(form, "year").trim();
  return {
    title: textOf(form, "title").trim(),
    synopsis: textOf(form, "synopsis").trim(),
    year: year === "" ? null : Number(year),
    shelf: textOf(form, "shelf").trim(),
    genres: textOf(form, "genres")
      .split(",")
      .map((genre) => genre.trim())
      .filter(Boolean),
    credits: textOf(form, "credits").trim(),
  };
}

/** What people read about a title. */
export function TitleEditor({ title, onClose }: { title: Title; onClose: () => void }) {
  const client = useQueryClient();
  const synopsisId = useId();
  const saving = useMutation({
    mutationFn: (details: TitleDetails) => changeTitle(title.title_id, details),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["catalog"] });
      onClose();
    },
  });
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    saving.mutate(detailsOf(new FormData(event.currentTarget)));
  };
  return (
    <Dialog title="Edit film" testId="title-editor" onClose={onClose}>
      <form className={styles.form} onSubmit={submit}>
        <Field label="Title" name="title" defaultValue={title.title} required maxLength={300} data-testid="edit-title" />
        <div className={fields.field}>
          <label className={fields.label} htmlFor={synopsisId}>
            Synopsis
          </label>
          <textarea
            id={synopsisId}
            className={fields.input}
            name="synopsis"
            defaultValue={title.synopsis}
            maxLength={4000}
            data-testid="edit-synopsis"
          />
        </div>
        <div className={styles.pair}>
          <Field label="Shelf" name="shelf" defaultValue={title.shelf} required maxLength={80} />
          <Field label="Year" name="year" type="number" min={1880} max={2200} defaultValue={title.year ?? ""} />
        </div>
        <Field label="Kinds, with commas between" name="genres" defaultValue={title.genres.join(", ")} />
        <Field label="Credits" name="credits" defaultValue={title.credits} />
        <Fault error={saving.error} />
        <div className={styles.actions}>
          <button type="submit" className={buttons.main} disabled={saving.isPending} data-testid="edit-save">
            Save
          </button>
          <button type="button" className={buttons.quiet} onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
