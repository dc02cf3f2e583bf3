import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { SubmitEvent } from "react";

import { signIn } from "../api/actions";
import { Fault } from "../parts/Fault";
import { Field } from "../parts/Field";
import { Logo } from "../parts/Logo";
import { usePageTitle } from "../parts/usePageTitle";
import buttons from "../parts/button.module.css";
import { textOf } from "./form";
import { signedInAs } from "./signedInAs";
import styles from "./account.module.css";

export function SignInPage() {
  usePageTitle("Sign in");
  const client = useQueryClient();
  const navigate = useNavigate();
  const { next = "/" } = useSearch({ from: "/sign-in" });
  const entering = useMutation({
    mutationFn: (form: FormData) => signIn(textOf(form, "name"), textOf(form, "password")),
    onSuccess: async (who) => {
      await signedInAs(client, who);
      await navigate({ to: next, replace: true });
    },
  });
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    entering.mutate(new FormData(event.currentTarget));
  };
  return (
    <div className={styles.door}>
      <form className={styles.form} onSubmit={submit} data-testid="sign-in-form">
        <Logo size={52} />
        <h1 className={styles.title}>Sign in</h1>
        <p className={styles.hint}>With the name and password of your account here. No account? Ask for a claim link.</p>
        <Field label="Name" name="name" autoComplete="username" required maxLength={100} data-testid="sign-in-name" />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete="current-password"
          required
          data-testid="sign-in-password"
        />
        <Fault error={entering.error} testId="sign-in-error" />
        <button type="submit" className={buttons.main} disabled={entering.isPending} data-testid="sign-in-submit">
          {entering.isPending ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </div>
  );
}
