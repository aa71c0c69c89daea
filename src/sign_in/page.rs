//! The page on which users approve: a code, who they are, and a click. Nothing happens by opening it.
use super::{Answer, SignIn, answer, asked, book, is_foreign, passes::Who, peer, text};
use crate::access::{form_value, is_password, now};
use http::{HeaderValue, StatusCode, header, request::Parts};
use serde::{Deserialize, Serialize};

pub(super) const PATH: &str = "/device";
pub(super) const STYLE: &str = "/device.css";
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// How long who has shown who he is may think about it.
const PROOF_TTL: i64 = 10 * 60 * 1000;
const WRONG_CODE: &str = "No sign-in waits with this code. Look at it again, or begin once more.";
const AWAY: &str = "Sign-ins cannot be looked at at the moment. Try again.";

/// That somebody has shown at his provider who he is.
#[derive(Debug, Serialize, Deserialize)]
struct Proof {
    who: Who,
    code: String,
    until: i64,
}

pub(super) fn style() -> Answer {
    answer(
        StatusCode::OK,
        "text/css; charset=utf-8",
        include_str!("../admin/page/login.css"),
    )
}

/// The page; with a code, who the user is is asked too.
pub(super) async fn show(desk: &SignIn, head: &Parts) -> Answer {
    let Some(typed) = asked(head, "user_code") else {
        return ask_code(StatusCode::OK, "");
    };
    match checked(desk, head, &typed).await {
        Ok(code) => ask_who(desk, StatusCode::OK, &code, ""),
        Err(no) => *no,
    }
}

/// The code that was typed, where a sign-in waits with it.
pub(super) async fn checked(
    desk: &SignIn,
    head: &Parts,
    typed: &str,
) -> Result<String, Box<Answer>> {
    let peer = peer(head);
    if desk.0.wrong.may(peer).is_err() {
        return Err(Box::new(too_many()));
    }
    let waits = match (book::user_code(typed), desk.0.access.store().await) {
        (None, _) => None,
        (Some(code), Ok(store)) => match (desk.ready(store).await, book::waits(store, &code).await)
        {
            (Ok(()), Ok(waits)) => waits.then_some(code),
            _ => return Err(Box::new(ask_code(StatusCode::SERVICE_UNAVAILABLE, AWAY))),
        },
        (_, Err(_)) => return Err(Box::new(ask_code(StatusCode::SERVICE_UNAVAILABLE, AWAY))),
    };
    waits.ok_or_else(|| {
        desk.0.wrong.failed(peer);
        Box::new(ask_code(StatusCode::NOT_FOUND, WRONG_CODE))
    })
}

/// Somebody has clicked.
pub(super) async fn decide(desk: &SignIn, head: &Parts, body: &[u8]) -> Answer {
    if is_foreign(&head.headers, &desk.base(head)) {
        let told = "This did not come from this page: open the address that your terminal shows.";
        return ask_code(StatusCode::FORBIDDEN, told);
    }
    let field = |name: &str| form_value(body, name).unwrap_or_default();
    let code = match checked(desk, head, &field("user_code")).await {
        Ok(code) => code,
        Err(no) => return *no,
    };
    let store = match desk.0.access.store().await {
        Ok(store) => store,
        Err(_) => return ask_code(StatusCode::SERVICE_UNAVAILABLE, AWAY),
    };
    if field("do") == "deny" {
        // Whoever reads the code on the terminal may stop what it stands for.
        return match book::decide(store, &code, None).await {
            Ok(true) => done(
                "Denied",
                "The terminal has been told. You can close this page.",
            ),
            Ok(false) => ask_code(StatusCode::NOT_FOUND, WRONG_CODE),
            Err(_) => ask_code(StatusCode::SERVICE_UNAVAILABLE, AWAY),
        };
    }
    let proof = field("proof");
    let who = if proof.is_empty() {
        by_password(desk, &field("username"), field("password")).await
    } else {
        let proof = desk.0.passes.open::<Proof>("proof", &proof);
        let proof = proof.filter(|p| p.code == code && now() < p.until);
        proof.map(|proof| proof.who)
    };
    let Some(who) = who.filter(|who| desk.0.passes.is_welcome(who)) else {
        desk.0.wrong.failed(peer(head));
        return ask_who(
            desk,
            StatusCode::FORBIDDEN,
            &code,
            "That is not right. Try again.",
        );
    };
    match book::decide(store, &code, Some(&who)).await {
        Ok(true) => done(
            "Signed in",
            "Go back to your terminal. You can close this page.",
        ),
        Ok(false) => ask_code(StatusCode::NOT_FOUND, WRONG_CODE),
        Err(_) => ask_code(StatusCode::SERVICE_UNAVAILABLE, AWAY),
    }
}

async fn by_password(desk: &SignIn, name: &str, password: String) -> Option<Who> {
    let user = desk.0.told.users.get(name);
    let hash = user.map_or_else(
        || desk.0.nobody.clone(),
        |u| u.password_hash.expose().to_owned(),
    );
    let _turn = desk.0.hashes.acquire().await.ok()?;
    let right = tokio::task::spawn_blocking(move || is_password(&password, &hash)).await;
    let user = user.filter(|_| right.unwrap_or_default())?;
    Some(Who {
        subject: format!("user:{name}"),
        tenant: user.tenant.clone(),
        email: Some(name.to_owned()),
    })
}

// === what is shown ===

fn ask_code(status: StatusCode, told: &str) -> Answer {
    let form = format!(
        r#"<form method="get" action="/device">
<label for="user_code">Code that your terminal shows</label>
<input class="code" id="user_code" name="user_code" maxlength="16" autocomplete="off" autocapitalize="characters" spellcheck="false" required autofocus>
<button>Continue</button>
<p role="alert">{}</p>
</form>"#,
        escaped(told)
    );
    page(status, "Sign in", &form)
}

fn ask_who(desk: &SignIn, status: StatusCode, code: &str, told: &str) -> Answer {
    let code = escaped(code);
    let mut form = format!(
        r#"<p>A program asks to use this gateway for you. Go on only if your terminal shows <code>{code}</code>, and you started it.</p>"#
    );
    for provider in &desk.0.providers {
        let name = escaped(provider.name());
        form += &format!(
            r#"<p><a class="button" href="/device/oidc/{name}?user_code={code}">Continue with {name}</a></p>"#
        );
    }
    let users = !desk.0.told.users.is_empty();
    let fields = r#"<label for="username">User name</label>
<input id="username" name="username" autocomplete="username" autocapitalize="none" spellcheck="false">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password">
<button name="do" value="approve">Approve</button>"#;
    form += &format!(
        r#"<form method="post" action="/device">
<input type="hidden" name="user_code" value="{code}">
{}
<button class="quiet" name="do" value="deny">Deny</button>
<p role="alert">{}</p>
</form>"#,
        if users { fields } else { "" },
        escaped(told)
    );
    page(status, "Approve this sign-in?", &form)
}

/// For who comes back from his provider: he must still click.
pub(super) fn confirm(desk: &SignIn, code: &str, who: Who) -> Answer {
    let name = who.email.clone().unwrap_or_else(|| who.subject.clone());
    let proof = Proof {
        who,
        code: code.to_owned(),
        until: now() + PROOF_TTL,
    };
    let Some(proof) = desk.0.passes.seal("proof", &proof) else {
        return ask_code(StatusCode::SERVICE_UNAVAILABLE, AWAY);
    };
    let (code, proof, name) = (escaped(code), escaped(&proof), escaped(&name));
    let form = format!(
        r#"<p>You are <strong>{name}</strong>. A program asks to use this gateway for you. Go on only if your terminal shows <code>{code}</code>, and you started it.</p>
<form method="post" action="/device">
<input type="hidden" name="user_code" value="{code}">
<input type="hidden" name="proof" value="{proof}">
<button name="do" value="approve">Approve</button>
<button class="quiet" name="do" value="deny">Deny</button>
</form>"#
    );
    page(StatusCode::OK, "Approve this sign-in?", &form)
}

fn done(title: &str, told: &str) -> Answer {
    let told = format!(r#"<p role="status">{}</p>"#, escaped(told));
    page(StatusCode::OK, title, &told)
}

/// What goes wrong at the provider, in our words.
pub(super) fn failed(told: &str) -> Answer {
    ask_code(StatusCode::BAD_GATEWAY, told)
}

fn too_many() -> Answer {
    let mut res = text(
        StatusCode::TOO_MANY_REQUESTS,
        "too many tries: wait a minute\n",
    );
    res.headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    res
}

fn page(status: StatusCode, title: &str, inside: &str) -> Answer {
    let html = format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Tierway</title>
<link rel="stylesheet" href="{STYLE}">
<link rel="icon" href="data:,">
</head>
<body>
<main>
<h1>{title}</h1>
{inside}
</main>
</body>
</html>
"#
    );
    let mut res = answer(status, "text/html; charset=utf-8", html);
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        res.headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    res
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
