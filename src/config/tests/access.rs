//! Who may call and who may look.
use super::*;
use std::time::Duration;

const ACCESS: &str = r#"
[admin]
token = "sk-operators-only"
open_metrics = true
[access]
required = true
file = "/var/lib/tierway/access.db"
pepper_env = "PEPPER"
[oidc.corp]
issuer = "https://login.example.com"
audience = ["tierway"]
jwks_url = "https://login.example.com/keys"
algorithms = ["RS256"]
leeway = "30s"
tenant = "staff"
tenant_claim = "team"
tiers = ["simple"]
models_claim = "models"
tags_claim = "groups"
client_id = "tierway"
client_secret = "sk-client"
[sign_in]
enabled = true
public_url = "https://llm.example.com/"
settings = "managed.json"
token_ttl = "10m"
refresh_ttl = "1day"
max_pending = 5
[sign_in.users.ann]
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$sk-salt$sk-hash"
tenant = "staff"
[tenants.contractors]
tiers = ["simple"]
"#;

#[test]
fn every_setting_is_read_and_shown_without_secrets() {
    let loaded = sound(ACCESS, &[("PEPPER", "sk-pepper")]);
    let shown = loaded.show();
    for text in [&shown, &format!("{loaded:?}")] {
        assert!(!text.contains("sk-"), "{text}");
    }
    let access = &loaded.config.access;
    assert_eq!(
        access.sign_in.public_url.as_deref(),
        Some("https://llm.example.com")
    );
    assert_eq!(access.oidc["corp"].leeway, Duration::from_secs(30));
    assert_eq!(
        access.pepper.as_ref().map(Secret::expose),
        Some("sk-pepper")
    );
    assert!(
        shown.contains("[sign_in.users.ann]") && shown.contains("[oidc.corp]"),
        "{shown}"
    );
    assert!(loaded.config.is_closed());
}

#[test]
fn the_variable_beats_the_file() {
    let text = "[admin]\ntoken_file = '/no/where'";
    let loaded = sound(text, &[("TIERWAY_ADMIN_TOKEN", "0123456789abcdef")]);
    assert!(loaded.config.access.admin_token.is_some());
}

#[test]
fn what_is_open_to_the_network_is_guarded() {
    let listen = "[server]\nlisten = '0.0.0.0:8787'\n";
    let admin = "[server]\nadmin = '0.0.0.0:9787'\n";
    for (text, told) in [
        (listen.to_owned(), "no key guards it"),
        (admin.to_owned(), "no credential guards it"),
        (format!("{admin}[admin]\ntoken = 'short'"), "fewer than 16"),
        (
            "[admin]\ntls = true".to_owned(),
            "`admin.tls` has no certificate",
        ),
        (
            format!("{listen}[access]\nrequired = false"),
            "access.required = true",
        ),
        ("[sign_in]\nenabled = true".to_owned(), "knows no users"),
        (
            "[sign_in.users.a]\npassword_hash = 'secret'".to_owned(),
            "tierway keys password",
        ),
        (
            "[oidc.a]\nissuer = 'http://a.example'\naudience = ['x']".to_owned(),
            "not an https address",
        ),
        (
            "[oidc.a]\nissuer = 'https://a.example'".to_owned(),
            "admits nobody",
        ),
        ("[oidc.a]\naudience = ['x']".to_owned(), "has no issuer"),
        (
            "[oidc.a]\nissuer = 'https://a'\naudience = ['x']\nalgorithms = ['none']".to_owned(),
            "names none",
        ),
        (
            "[oidc.a]\nissuer = 'https://a'\naudience = ['x']\nalgorithms = ['HS256']".to_owned(),
            "HS256",
        ),
        (
            "[oidc.a]\nissuer = 'https://a'\naudience = ['x']\nleeway = '1h'".to_owned(),
            "ten minutes",
        ),
    ] {
        let problems = read_with(&text, &[]).unwrap_err().to_string();
        assert!(problems.contains(told), "{text}: {problems}");
        assert!(!problems.contains("'secret'"), "{problems}");
    }
    sound(&format!("{listen}[access]\nrequired = true"), &[]);
    sound(&format!("{admin}[admin]\ntoken = '0123456789abcdef'"), &[]);
    sound(
        "[oidc.a]\nissuer = 'http://127.0.0.1:1'\naudience = ['x']",
        &[],
    );
}
