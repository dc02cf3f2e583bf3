import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useRouter } from "@tanstack/react-router";
import { useCallback } from "react";

import { titleQuery } from "../api/queries";
import { usePageTitle } from "../parts/usePageTitle";
import { Player } from "./Player";

export function WatchPage() {
  const { titleId } = useParams({ from: "/watch/$titleId" });
  const { data: title } = useQuery(titleQuery(titleId));
  const navigate = useNavigate();
  const { history } = useRouter();
  usePageTitle(title ? `Watching ${title.title}` : "Watching");

  const onBack = useCallback(() => {
    if (history.canGoBack()) history.back();
    else void navigate({ to: "/titles/$titleId", params: { titleId }, replace: true });
  }, [history, navigate, titleId]);

  return <Player titleId={titleId} title={title} onBack={onBack} />;
}
