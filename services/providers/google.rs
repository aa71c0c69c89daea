//! Google's credentials files, and the tokens that are to be had for them.
use super::{
    Secret,
    token::{self, Fetched},
};
use crate::upstream::Client;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{rand::SystemRandom, rsa, signature::RSA_PKCS1_SHA256};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a token may be used for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where tokens are to be had, unless the file names another place.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// How long a token is asked for; the longest that Google gives.
const GOOD_FOR: u64 = 3600;

/// A credentials file: a service account's key, or what `gcloud auth application-default login` writes.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Credentials {
    ServiceAccount {
        client_email: String,
        private_key: Secret,
        private_key_id: Option<String>,
        token_uri: Option<String>,
        project_id: Option<String>,
    },
    AuthorizedUser {
        client_id: String,
        client_secret: Secret,
        refresh_token: Secret,
        token_uri: Option<String>,
        quota_project_id: Option<String>,
    },
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

fn read(credentials: &Secret) -> Result<Credentials, String> {
    // What is wrong is not told with the text, which is secret.
    serde_json::from_str(credentials.expose()).map_err(|_| {
        "its credentials are neither a service account's key nor application-default credentials"
            .to_owned()
    })
}

/// The project that the credentials belong to.
pub(super) fn project(credentials: &Secret) -> Option<String> {
    match read(credentials).ok()? {
        Credentials::ServiceAccount { project_id, .. } => project_id,
        Credentials::AuthorizedUser {
            quota_project_id, ..
        } => quota_project_id,
    }
}

/// Looks whether a token can be asked for with these credentials.
///
/// # Errors
/// Why not, without a secret.
pub(super) fn check(credentials: &Secret) -> Result<(), String> {
    match read(credentials)? {
        Credentials::ServiceAccount { private_key, .. } => key(&private_key).map(|_| ()),
        Credentials::AuthorizedUser { .. } => Ok(()),
    }
}

/// Asks for a token.
///
/// # Errors
/// Why there is none, without a secret.
pub(super) async fn fetch(client: &Client, credentials: &Secret) -> Result<Fetched, String> {
    match read(credentials)? {
        Credentials::ServiceAccount {
            client_email,
            private_key,
            private_key_id,
            token_uri,
            ..
        } => {
            let uri = token_uri.as_deref().unwrap_or(TOKEN_URI);
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.map_or(0, |d| d.as_secs());
            let id = private_key_id.as_deref();
            let assertion = assertion(&client_email, id, uri, now, &private_key)?;
            let form = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", &*assertion),
            ];
            token::fetch(client, uri, &form, None).await
        }
        Credentials::AuthorizedUser {
            client_id,
            client_secret,
            refresh_token,
            token_uri,
            ..
        } => {
            let uri = token_uri.as_deref().unwrap_or(TOKEN_URI);
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", &*client_id),
                ("client_secret", client_secret.expose()),
                ("refresh_token", refresh_token.expose()),
            ];
            token::fetch(client, uri, &form, None).await
        }
    }
}

fn key(pem: &Secret) -> Result<rsa::KeyPair, String> {
    let wrong = || "the private key in its credentials cannot be used".to_owned();
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| wrong())?;
    rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| wrong())
}

/// What proves to Google's token server who asks: a JSON web token, signed with RS256.
fn assertion(
    email: &str,
    key_id: Option<&str>,
    audience: &str,
    now: u64,
    private_key: &Secret,
) -> Result<String, String> {
    let mut head = serde_json::json!({"alg": "RS256", "typ": "JWT"});
    if let Some(id) = key_id {
        head["kid"] = id.into();
    }
    let claims = serde_json::json!({
        "iss": email, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + GOOD_FOR,
    });
    let mut token = URL_SAFE_NO_PAD.encode(head.to_string());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
    let key = key(private_key)?;
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        token.as_bytes(),
        &mut signature,
    )
    .map_err(|_| "signing with the key in its credentials failed".to_owned())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    const PEM: &str = include_str!("../tests/dispatch/test-only-key.pem");

    #[test]
    fn an_assertion_says_who_asks_and_bears_out_its_signature() {
        let pem = Secret::new(PEM);
        let token = assertion("sa@p.example", Some("kid"), "https://t", 1000, &pem).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let json = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(
            json(parts[0]),
            serde_json::json!({"alg":"RS256","typ":"JWT","kid":"kid"})
        );
        assert_eq!(
            json(parts[1]),
            serde_json::json!({"iss":"sa@p.example","scope":SCOPE,"aud":"https://t","iat":1000,"exp":4600})
        );
        let signed = format!("{}.{}", parts[0], parts[1]);
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        let public = key(&pem).unwrap().public().as_ref().to_vec();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
            .verify(signed.as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn what_is_wrong_with_credentials_is_said_without_them() {
        for wrong in [
            "hunter2",
            r#"{"type":"external_account","x":"hunter2"}"#,
            r#"{"type":"service_account","client_email":"e","private_key":"hunter2"}"#,
        ] {
            let told = check(&Secret::new(wrong)).unwrap_err();
            assert!(!told.contains("hunter2"), "{told}");
        }
        let user = r#"{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r","quota_project_id":"p"}"#;
        let user = Secret::new(user);
        assert_eq!(check(&user), Ok(()));
        assert_eq!(project(&user).as_deref(), Some("p"));
    }
}
