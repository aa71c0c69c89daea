//! An OpenID Connect provider on this machine: it publishes keys, exchanges them, and signs whoever asks in.
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::net::TcpListener;

/// A key that signs.
enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

#[derive(Default)]
struct State {
    keys: Vec<(String, Option<Pair>, Value)>,
    asked: usize,
    /// What was asked at the authorization endpoint, by the code that was given for it.
    codes: HashMap<String, (String, String)>,
    who: Value,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

pub(crate) fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
        };
        issuer.state.lock().unwrap().who = json!({"sub": "42", "email": "ann@example.com"});
        let serving = issuer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let issuer = serving.clone();
                let answer = service_fn(move |req| {
                    let issuer = issuer.clone();
                    async move { Ok::<_, Infallible>(issuer.answer(req).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        issuer
    }

    /// From now on it signs with this key alone.
    pub(crate) fn rotate(&self, kid: &str, edwards: bool) {
        let random = SystemRandom::new();
        let (pair, jwk) = if edwards {
            let der = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
            let x = BASE64.encode(pair.public_key());
            (
                Pair::Ed(pair),
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA"}),
            )
        } else {
            let how = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let der = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(how, der.as_ref(), &random).unwrap();
            let point = pair.public_key().as_ref()[1..].to_vec();
            let (x, y) = (BASE64.encode(&point[..32]), BASE64.encode(&point[32..]));
            (
                Pair::Ec(pair),
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}),
            )
        };
        let mut jwk = jwk;
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        self.state.lock().unwrap().keys = vec![(kid.to_owned(), Some(pair), jwk)];
    }

    /// Publishes a key that somebody else signs with.
    pub(crate) fn publish(&self, jwk: Value) {
        let kid = jwk["kid"].as_str().unwrap().to_owned();
        self.state.lock().unwrap().keys.push((kid, None, jwk));
    }

    /// How often its keys were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    /// A token with these claims, signed with its first key.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let state = self.state.lock().unwrap();
        let (kid, pair, _) = &state.keys[0];
        let algorithm = match pair {
            Some(Pair::Ed(_)) => "EdDSA",
            _ => "ES256",
        };
        let header = json!({"alg": algorithm, "kid": kid, "typ": "JWT"});
        let text = format!(
            "{}.{}",
            BASE64.encode(header.to_string()),
            BASE64.encode(claims.to_string())
        );
        let signature = match pair.as_ref().unwrap() {
            Pair::Ed(pair) => pair.sign(text.as_bytes()).as_ref().to_vec(),
            Pair::Ec(pair) => pair
                .sign(&SystemRandom::new(), text.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
        };
        format!("{text}.{}", BASE64.encode(signature))
    }

    /// The claims of a token that holds for a minute.
    pub(crate) fn claims(&self, more: Value) -> Value {
        let mut claims =
            json!({"iss": self.url, "aud": "tierway", "sub": "42", "exp": seconds() + 60});
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims
    }

    async fn answer(&self, req: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = req.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let url = &self.url;
        let pairs = |text: &[u8]| -> HashMap<String, String> {
            form_urlencoded::parse(text).into_owned().collect()
        };
        let told = match head.uri.path() {
            "/.well-known/openid-configuration" => json!({
                "issuer": url, "jwks_uri": format!("{url}/keys"),
                "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
            }),
            "/keys" => {
                let mut state = self.state.lock().unwrap();
                state.asked += 1;
                let keys: Vec<Value> = state.keys.iter().map(|(_, _, jwk)| jwk.clone()).collect();
                json!({ "keys": keys })
            }
            "/authorize" => {
                let asked = pairs(head.uri.query().unwrap_or_default().as_bytes());
                assert_eq!(asked["code_challenge_method"], "S256");
                let code = format!("code-{}", asked["state"]);
                let given = (asked["nonce"].clone(), asked["code_challenge"].clone());
                self.state.lock().unwrap().codes.insert(code.clone(), given);
                let back = format!(
                    "{}?code={code}&state={}",
                    asked["redirect_uri"], asked["state"]
                );
                let res = Response::builder()
                    .status(303)
                    .header(header::LOCATION, back);
                return res.body(Full::default()).unwrap();
            }
            "/token" => {
                let form = pairs(&body);
                let given = self.state.lock().unwrap().codes.remove(&form["code"]);
                let (nonce, challenge) = given.expect("a code is used once");
                let hashed =
                    ring::digest::digest(&ring::digest::SHA256, form["code_verifier"].as_bytes());
                assert_eq!(BASE64.encode(hashed), challenge);
                let mut claims = self.claims(json!({"aud": "gateway", "nonce": nonce}));
                for (name, value) in self.state.lock().unwrap().who.as_object().unwrap() {
                    claims[name] = value.clone();
                }
                json!({"access_token": "x", "token_type": "Bearer", "id_token": self.sign(&claims)})
            }
            other => panic!("{other}"),
        };
        Response::new(Full::new(told.to_string().into()))
    }
}
