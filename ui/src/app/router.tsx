/** Which address shows which page. Player, studio and console are loaded when somebody goes there. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";

import { AccountPage } from "../account/AccountPage";
import { ClaimPage } from "../account/ClaimPage";
import { SignInPage } from "../account/SignInPage";
import { HomePage } from "../home/HomePage";
import { TitlePage } from "../title/TitlePage";
import { FailedPage } from "./FailedPage";
import { NotFoundPage } from "./NotFoundPage";
import { Shell } from "./Shell";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFoundPage, errorComponent: FailedPage });

const home = createRoute({ getParentRoute: () => root, path: "/", component: HomePage });

const title = createRoute({ getParentRoute: () => root, path: "/titles/$titleId", component: TitlePage });

const watch = createRoute({
  getParentRoute: () => root,
  path: "/watch/$titleId",
  component: lazyRouteComponent(() => import("../player/WatchPage"), "WatchPage"),
});

const studio = createRoute({
  getParentRoute: () => root,
  path: "/studio",
  component: lazyRouteComponent(() => import("../studio/StudioPage"), "StudioPage"),
});

const consoleRoute = createRoute({
  getParentRoute: () => root,
  path: "/console/{-$page}/{-$item}",
  component: lazyRouteComponent(() => import("../console/ConsolePage"), "ConsolePage"),
});

const account = createRoute({ getParentRoute: () => root, path: "/account", component: AccountPage });

const claim = createRoute({ getParentRoute: () => root, path: "/claim", component: ClaimPage });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  component: SignInPage,
  validateSearch: (search): { next?: string } =>
    // Only a path of our own: a link from elsewhere must not send people away after they sign in.
    typeof search.next === "string" && /^\/(?![/\\])/.test(search.next) ? { next: search.next } : {},
});

export const router = createRouter({
  routeTree: root.addChildren([home, title, watch, studio, consoleRoute, account, claim, signIn]),
  scrollRestoration: true,
  defaultPreload: "intent",
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
