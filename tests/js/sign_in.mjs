// What a front end does with supabase-js, against a running service. Prints one JSON object; the test judges it.

import { createClient } from "@supabase/supabase-js";

const { url, email, password, invited, link, chosen } = JSON.parse(process.argv[2]);

function client(base = url) {
  const events = [];
  const made = createClient(base, "any-publishable-key", { auth: { persistSession: false, autoRefreshToken: false } });
  made.auth.onAuthStateChange((event) => events.push(event));
  return { auth: made.auth, events };
}

function told(error) {
  return error === null ? null : { name: error.name, code: error.code, status: error.status, message: error.message };
}

async function status(token) {
  return (await fetch(`${url}/auth/me`, { headers: { Authorization: `Bearer ${token}` } })).status;
}

async function signedIn(base) {
  const made = client(base);
  const { data, error } = await made.auth.signInWithPassword({ email, password });
  return { ...made, session: data.session, user: data.user, error };
}

async function everyday() {
  const { auth, events, session, user, error } = await signedIn();
  const read = await auth.getUser();
  const claims = await auth.getClaims();
  const me = await (await fetch(`${url}/auth/me`, { headers: { Authorization: `Bearer ${session.access_token}` } })).json();
  const refreshed = await auth.refreshSession();
  const calls = await status(refreshed.data.session.access_token);
  const out = await auth.signOut({ scope: "local" });
  const after = await auth.getSession();
  const revived = await client().auth.refreshSession({ refresh_token: refreshed.data.session.refresh_token });
  return {
    errors: [error, read.error, claims.error, refreshed.error, out.error].map(told),
    email: user.email,
    lifetime: session.expires_in,
    is_same_user: read.data.user.id === user.id,
    claims: claims.data.claims,
    me,
    is_new_token: refreshed.data.session.refresh_token !== session.refresh_token,
    calls,
    session_after: after.data.session,
    revived: told(revived.error),
    events,
  };
}

async function handedOver() {
  const { session } = await signedIn();
  const other = client();
  const set = await other.auth.setSession({ access_token: session.access_token, refresh_token: session.refresh_token });
  const read = await other.auth.getUser();
  return { errors: [set.error, read.error].map(told), email: read.data.user?.email, events: other.events };
}

async function scopes() {
  const [one, two, three] = [await signedIn(), await signedIn(), await signedIn()];
  const others = await one.auth.signOut({ scope: "others" });
  const kept = await one.auth.refreshSession();
  const ended = await two.auth.refreshSession();
  const fourth = await signedIn();
  const everywhere = await fourth.auth.signOut({ scope: "global" });
  const last = await one.auth.refreshSession();
  return {
    errors: [others.error, kept.error, everywhere.error].map(told),
    ended: [ended.error, last.error].map(told),
    gone: told((await three.auth.getUser()).error),
  };
}

async function refusals() {
  const { auth, events } = client();
  const wrong = await auth.signInWithPassword({ email, password: "wrong" });
  const stranger = await auth.signInWithPassword({ email: "nobody@example.org", password: "wrong" });
  const forged = await auth.getUser("eyJhbGciOiJub25lIn0.e30.");
  return { wrong: told(wrong.error), stranger: told(stranger.error), forged: told(forged.error), events };
}

async function invitation() {
  const { auth, events } = client();
  const first = await auth.verifyOtp(link);
  const weak = await auth.updateUser({ password: "short" });
  const updated = await auth.updateUser({ password: chosen });
  const again = await client().auth.verifyOtp(link);
  const signed = await client().auth.signInWithPassword({ email: invited, password: chosen });
  return {
    errors: [first.error, updated.error, signed.error].map(told),
    email: first.data.user?.email,
    weak: { ...told(weak.error), reasons: weak.error?.reasons },
    again: told(again.error),
    events,
  };
}

async function belowThePrefix() {
  const { error, user } = await signedIn(`${url}/api`);
  return { error: told(error), email: user?.email };
}

const found = {};
for (const scenario of [everyday, handedOver, scopes, refusals, invitation, belowThePrefix]) {
  found[scenario.name] = await scenario();
}
console.log(JSON.stringify(found));
