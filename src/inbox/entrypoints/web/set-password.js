// Sets a password with the token of a one-time link. The link is used when the form is sent, not before: programs that
// look at links in messages, and a second click, do not use it up.

const TEXTS = {
  en: {
    title: "Set your password",
    rule: "At least 8 characters.",
    password: "New password",
    again: "The same password again",
    save: "Save",
    done: "Your password is set. You can close this page and sign in.",
    no_link: "This page is opened with a link from your administrator. Open that link once more, whole.",
    otp_expired: "This link was used already or has expired. Ask your administrator for a new one.",
    different: "The two passwords are not the same.",
    length: "The password is too short: at least 8 characters.",
    too_long: "The password is too long: at most 72 bytes.",
    weak_password: "The password is too easy to guess. Choose a longer one.",
    user_banned: "Your account is blocked. Ask your administrator.",
    over_request_rate_limit: "Too many attempts. Wait five minutes and try again.",
    failed: "That did not work. Try again in a moment.",
  },
  fr: {
    title: "Choisissez votre mot de passe",
    rule: "Au moins 8 caractères.",
    password: "Nouveau mot de passe",
    again: "Le même mot de passe, encore une fois",
    save: "Enregistrer",
    done: "Votre mot de passe est enregistré. Vous pouvez fermer cette page et vous connecter.",
    no_link: "Cette page s’ouvre avec un lien de votre administrateur. Ouvrez ce lien encore une fois, en entier.",
    otp_expired: "Ce lien a déjà servi ou a expiré. Demandez-en un nouveau à votre administrateur.",
    different: "Les deux mots de passe ne sont pas identiques.",
    length: "Le mot de passe est trop court : au moins 8 caractères.",
    too_long: "Le mot de passe est trop long : 72 octets au plus.",
    weak_password: "Le mot de passe est trop facile à deviner. Choisissez-en un plus long.",
    user_banned: "Votre compte est bloqué. Adressez-vous à votre administrateur.",
    over_request_rate_limit: "Trop d’essais. Attendez cinq minutes et réessayez.",
    failed: "Cela n’a pas fonctionné. Réessayez dans un instant.",
  },
};

const MIN_CHARACTERS = 8;
const MAX_BYTES = 72;

const language = navigator.language.toLowerCase().startsWith("fr") ? "fr" : "en";
const texts = TEXTS[language];
const form = document.getElementById("form");
const email = document.getElementById("email");
const password = document.getElementById("password");
const again = document.getElementById("again");
const save = document.getElementById("save");
const problem = document.getElementById("problem");
const outcome = document.getElementById("outcome");

const asked = new URLSearchParams(location.hash.slice(1));
const link = { token_hash: asked.get("token_hash"), type: asked.get("type") };
history.replaceState(null, "", location.pathname);

let accessToken = null;

class Refused extends Error {
  constructor(code, reasons) {
    super(code);
    this.code = code;
    this.reasons = reasons;
  }
}

async function call(method, path, body) {
  const headers = { "Content-Type": "application/json", "X-Supabase-Api-Version": "2024-01-01" };
  if (accessToken !== null) {
    headers.Authorization = `Bearer ${accessToken}`;
  }
  const answer = await fetch(`v1/${path}`, { method, headers, body: JSON.stringify(body), credentials: "omit" });
  const content = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) {
    throw new Refused(content.code, content.weak_password?.reasons ?? []);
  }
  return content;
}

function flaw() {
  if ([...password.value].length < MIN_CHARACTERS) {
    return texts.length;
  }
  if (new TextEncoder().encode(password.value).length > MAX_BYTES) {
    return texts.too_long;
  }
  return password.value === again.value ? "" : texts.different;
}

function finish(text) {
  form.hidden = true;
  password.value = again.value = "";
  outcome.textContent = text;
  outcome.focus();
}

function explain(error) {
  const code = error instanceof Refused ? error.code : "failed";
  const isOver = ["otp_expired", "bad_jwt", "session_not_found", "current_password_required"].includes(code);
  if (isOver) {
    finish(texts.otp_expired);
    return;
  }
  const reason = error.reasons?.find((word) => word in texts);
  problem.textContent = texts[reason ?? code] ?? texts.failed;
  password.focus();
}

async function send(event) {
  event.preventDefault();
  problem.textContent = flaw();
  if (problem.textContent !== "") {
    password.focus();
    return;
  }
  save.disabled = true;
  try {
    if (accessToken === null) {
      const session = await call("POST", "verify", link);
      accessToken = session.access_token;
      email.value = session.user.email; // for password managers
    }
    await call("PUT", "user", { password: password.value });
    // The page needs no session any more. One that is left over by an outage does no harm.
    await call("POST", "logout?scope=local", {}).catch(() => null);
    finish(texts.done);
  } catch (error) {
    explain(error);
  } finally {
    save.disabled = false;
  }
}

// Another link pasted into the same tab changes only what stands after the #.
addEventListener("hashchange", () => location.reload());

document.documentElement.lang = language;
document.title = texts.title;
for (const element of document.querySelectorAll("[data-text]")) {
  element.textContent = texts[element.dataset.text];
}
if (link.token_hash && link.type) {
  form.hidden = false;
  form.addEventListener("submit", send);
  password.focus();
} else {
  outcome.textContent = texts.no_link;
}
