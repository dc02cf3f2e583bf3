import { useMutation, useQueryClient } from "@tanstack/react-query";

import { withdrawTitle } from "../api/actions";
import type { Title } from "../api/types";
import { Fault } from "../parts/Fault";
import buttons from "../parts/button.module.css";
import { Dialog } from "../parts/Dialog";
import styles from "../parts/dialog.module.css";

/** Asks before a film is taken off. */
export function WithdrawDialog({ title, onClose }: { title: Title; onClose: () => void }) {
  const client = useQueryClient();
  const withdrawing = useMutation({
    mutationFn: () => withdrawTitle(title.title_id),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["catalog"] });
      onClose();
    },
  });
  return (
    <Dialog title="Withdraw film" testId="withdraw-dialog" onClose={onClose}>
      <p className={styles.text}>
        “{title.title}” leaves the programme for everybody. Who is watching it now can see it to the end.
      </p>
      <Fault error={withdrawing.error} />
      <div className={styles.actions}>
        <button
          type="button"
          className={buttons.fault}
          onClick={() => withdrawing.mutate()}
          disabled={withdrawing.isPending}
          data-testid="withdraw-confirm"
        >
          Withdraw it
        </button>
        <button type="button" className={buttons.quiet} onClick={onClose}>
          Keep it
        </button>
      </div>
    </Dialog>
  );
}
