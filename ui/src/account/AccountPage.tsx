import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { SubmitEvent } from "react";

import { setPassword, signOut } from "../api/actions";
import { sessionQuery } from "../api/queries";
import { Fault } from "../parts/Fault";
import { Field } from "../parts/Field";
import { usePageTitle } from "../parts/usePageTitle";
import buttons from "../parts/button.module.css";
import styles from "./account.module.css";
import { textOf } from "./form";
import { signedInAs } from "./signedInAs";

export function AccountPage() {
  usePageTitle("Account");
  const { data: who } = useQuery(sessionQuery);
  if (!who) return null;
  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <h1 className={styles.title}>{who.name === "" ? "Your account" : who.name}</h1>
        <p className={styles.hint}>
          {who.role === "operator" ? "Operator: you watch, add films and invite people." : "Viewer: you watch."}
        </p>
      </header>
      <PasswordForm name={who.name} />
      <SignOut />
    </div>
  );
}

function PasswordForm({ name }: { name: string }) {
  const client = useQueryClient();
  const saving = useMutation({
    mutationFn: (form: FormData) =>
      setPassword(textOf(form, "name"), textOf(form, "password"), textOf(form, "current")),
    onSuccess: () => client.invalidateQueries({ queryKey: sessionQuery.queryKey }),
  });
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    saving.mutate(new FormData(form), { onSuccess: () => form.reset() });
  };
  return (
    <form key={name} className={styles.card} onSubmit={submit} data-testid="password-form">
      <h2>{name === "" ? "Name and password" : "Change name or password"}</h2>
      {name === "" && (
        <p className={styles.hint}>You came by a claim link. With a name and a password you can sign in from anywhere.</p>
      )}
      <Field label="Name" name="name" autoComplete="username" required maxLength={64} defaultValue={name} />
      {name !== "" && (
        <Field label="Present password" name="current" type="password" autoComplete="current-password" required />
      )}
      <Field label={name === "" ? "Password" : "New password"} name="password" type="password" autoComplete="new-password" required />
      <Fault error={saving.error} />
      <p role="status" className={styles.saved}>
        {saving.isSuccess ? "Saved." : ""}
      </p>
      <button type="submit" className={buttons.main} disabled={saving.isPending}>
        Save
      </button>
    </form>
  );
}

function SignOut() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const leaving = useMutation({
    mutationFn: signOut,
    onSuccess: async () => {
      await signedInAs(client, null);
      await navigate({ to: "/sign-in" });
    },
  });
  return (
    <section className={styles.card} aria-labelledby="leave-heading">
      <h2 id="leave-heading">Leave</h2>
      <p className={styles.hint}>Ends your session in this browser.</p>
      <Fault error={leaving.error} />
      <button
        type="button"
        className={buttons.button}
        disabled={leaving.isPending}
        onClick={() => leaving.mutate()}
        data-testid="sign-out"
      >
        Sign out
      </button>
    </section>
  );
}
