//! TLS on both sides: with callers, and with providers that want a certificate of ours.
use crate::support::{Gateway, Upstream, two_formats};
use futures_util::future::join_all;
use http::{Method, Request, Response, Version};
use http_body_util::{Empty, Full};
use hyper::{body::Incoming, client::conn::http2, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::json;
use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tierway::server::{self, tls::Acceptor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Barrier,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

/// An authority and what it has signed, as files.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
    /// A certificate for this host, as `NAME.pem` and `NAME.key`.
    fn sign(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let whole = |path: &Path, text: String| {
            let new = path.with_extension("new");
            fs::write(&new, text).unwrap();
            fs::rename(&new, path).unwrap();
        };
        whole(&self.path(&format!("{name}.key")), key.serialize_pem());
        whole(&self.path(&format!("{name}.pem")), signed.pem());
    }
    fn client(&self, own: Option<&str>, alpn: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for cert in CertificateDer::pem_file_iter(self.path("ca.pem")).unwrap() {
            roots.add(cert.unwrap()).unwrap();
        }
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let cert = CertificateDer::from_pem_file(self.path(&format!("{name}.pem")));
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key")));
                let chain = vec![cert.unwrap()];
                builder.with_client_auth_cert(chain, key.unwrap()).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

async fn connect(gw: &Gateway, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(gw.address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// What is said to a probe, and the certificate that was shown.
async fn probe(gw: &Gateway, config: ClientConfig) -> std::io::Result<(String, Vec<u8>)> {
    let mut stream = connect(gw, config).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let ask = b"GET / HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n";
    stream.write_all(ask).await?;
    let mut told = String::new();
    stream.read_to_string(&mut told).await?;
    Ok((told, shown))
}

#[tokio::test]
async fn callers_are_spoken_to_in_tls_and_a_new_certificate_is_shown_without_a_restart() {
    let (up, ca) = (Upstream::start().await, Authority::new());
    ca.sign("own");
    let (cert, key) = (ca.text("own.pem"), ca.text("own.key"));
    let extra = format!("[server.tls]\ncert_file = '{cert}'\nkey_file = '{key}'\n");
    let gw = Gateway::start(&two_formats(&up, &extra)).await;
    let (told, first) = probe(&gw, ca.client(None, &["http/1.1"])).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    let both = connect(&gw, ca.client(None, &["h2", "http/1.1"]))
        .await
        .unwrap();
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(both))
        .await
        .unwrap();
    tokio::spawn(connection);
    let ask = Request::get("https://g/").body(Empty::<bytes::Bytes>::new());
    let told = send.send_request(ask.unwrap()).await.unwrap();
    assert_eq!(
        (told.status().as_u16(), told.version()),
        (200, Version::HTTP_2)
    );
    // Who speaks plain is no caller, and holds nobody up.
    let mut plain = TcpStream::connect(gw.address).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: g\r\n\r\n")
        .await
        .unwrap();
    let mut told = Vec::new();
    let _ = plain.read_to_end(&mut told).await;
    assert!(!told.starts_with(b"HTTP/1.1 200"));
    let stranger = Authority::new();
    assert!(probe(&gw, stranger.client(None, &[])).await.is_err());

    ca.sign("own");
    let end = Instant::now() + Duration::from_secs(10);
    while probe(&gw, ca.client(None, &[])).await.unwrap().1 == first {
        assert!(Instant::now() < end, "the new certificate is not shown");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn callers_without_a_certificate_stay_outside_where_one_is_wanted() {
    let (up, ca) = (Upstream::start().await, Authority::new());
    ca.sign("own");
    ca.sign("caller");
    let (cert, key, root) = (ca.text("own.pem"), ca.text("own.key"), ca.text("ca.pem"));
    let extra = format!(
        "[server.tls]\ncert_file = '{cert}'\nkey_file = '{key}'\nclient_ca_file = '{root}'\n"
    );
    let gw = Gateway::start(&two_formats(&up, &extra)).await;
    assert!(probe(&gw, ca.client(None, &[])).await.is_err());
    let (told, _) = probe(&gw, ca.client(Some("caller"), &[])).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
}

async fn chat(_: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "safe"}}]});
    let res = Response::builder().header("content-type", "application/json");
    Ok(res.body(Full::from(answer.to_string())).unwrap())
}

#[tokio::test]
async fn a_provider_is_trusted_by_its_own_authority_and_knows_us_by_our_certificate() {
    let ca = Authority::new();
    ca.sign("provider");
    ca.sign("us");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let told = tierway::config::ServerTls {
        cert: ca.path("provider.pem"),
        key: ca.path("provider.key"),
        client_ca: Some(ca.path("ca.pem")),
    };
    let acceptor = Acceptor::open(told).unwrap();
    let service = tower::service_fn(chat);
    let limits = server::Limits::default();
    let never = std::future::pending();
    tokio::spawn(server::serve_in(
        listener,
        Some(acceptor),
        service,
        limits,
        never,
    ));
    let (root, cert, key) = (ca.text("ca.pem"), ca.text("us.pem"), ca.text("us.key"));
    let provider = |tls: &str| {
        format!(
            "[retry]\nmax = 0\n[providers.p]\nkind = 'openai-compatible'\nbase_url = 'https://{address}/v1'\n{tls}"
        )
    };
    let ask = json!({"model": "p:m", "messages": [{"role": "user", "content": "hi"}]});
    for (tls, status) in [
        (String::new(), 502),
        (format!("tls.ca_file = '{root}'\n"), 502),
        (
            format!("tls = {{ ca_file = '{root}', cert_file = '{cert}', key_file = '{key}' }}\n"),
            200,
        ),
    ] {
        let gw = Gateway::start(&provider(&tls)).await;
        let kind = [("content-type", "application/json")];
        let path = "/v1/chat/completions";
        let answer = gw.call(Method::POST, path, &kind, ask.to_string()).await;
        assert_eq!(answer.status.as_u16(), status, "{tls} {}", answer.text());
    }
}

/// A provider that speaks HTTP/2 alone, with as few calls on a connection as the protocol thinks fit, and answers when so many are waiting.
async fn answers_together(ca: &Authority, calls: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let chain = vec![CertificateDer::from_pem_file(ca.path("provider.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(ca.path("provider.key")).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let all = Arc::new(Barrier::new(calls));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, all) = (acceptor.clone(), all.clone());
            tokio::spawn(async move {
                // Of several that a first burst opens at once, all but one are dropped again.
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let answer = service_fn(|req| {
                    let all = all.clone();
                    async move {
                        all.wait().await;
                        chat(req).await
                    }
                });
                let _ = conn::http2::Builder::new(TokioExecutor::new())
                    .max_concurrent_streams(100)
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    });
    address
}

#[tokio::test]
async fn more_calls_than_an_http2_connection_takes_wait_for_no_other() {
    const CALLS: usize = 230;
    let ca = Authority::new();
    ca.sign("provider");
    let (address, root) = (answers_together(&ca, CALLS).await, ca.text("ca.pem"));
    let gw = Gateway::start(&format!(
        "[providers.p]\nkind = 'openai-compatible'\nbase_url = 'https://{address}/v1'\ntls.ca_file = '{root}'\n"
    ))
    .await;
    let ask = json!({"model": "p:m", "messages": [{"role": "user", "content": "hi"}]});
    let kind = [("content-type", "application/json")];
    let calls =
        (0..CALLS).map(|_| gw.call(Method::POST, "/v1/chat/completions", &kind, ask.to_string()));
    let answers = timeout(Duration::from_secs(20), join_all(calls))
        .await
        .unwrap();
    assert!(answers.iter().all(|answer| answer.status == 200));
}
