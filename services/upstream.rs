//! The HTTP client: pooled connections to providers, plain or TLS, HTTP/1.1 or HTTP/2 as the provider offers.
//!
//! # Cancellation
//! Dropping the future of a [`Client::request`], or the body of its answer, closes the connection (HTTP/1) or resets the stream (HTTP/2)
//! at once: nobody pays for tokens that nobody reads.
//!
//! # Retries
//! One kind only: a pooled connection that turns out to have been closed before the first byte of the request was written costs nothing
//! to replace, so the request goes out on another. What was sent is never sent twice; but an error tells whether it was sent on a connection
//! that had served another call before, so that whoever may send again knows.
mod incoming;
mod kept;
mod pools;
mod stream;

pub use incoming::Incoming;
pub(crate) use kept::was_kept;

use crate::{BoxError, chat::Pieces, providers::Tls};
use http::{Request, Response, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use kept::Kept;
use pools::Pools;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};
use stream::Stream;
use tower::util::Oneshot;
use tower_service::Service;

/// The operating system asks a silent peer whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A client with its pools of connections. A clone shares them.
///
/// ```
/// use tierway_services::upstream::Client;
/// let client = Client::new();
/// # let _ = client;
/// ```
#[derive(Clone)]
pub struct Client(Arc<Pools>);

impl Client {
    /// A client that trusts the system's certificates, or Mozilla's where the system has none.
    #[must_use]
    pub fn new() -> Self {
        Self::with_connect_timeout(Duration::from_secs(10))
    }
    /// The same with another limit on connecting, TLS included. It has pools of its own.
    #[must_use]
    pub fn with_connect_timeout(connect: Duration) -> Self {
        Self(Arc::new(Pools::new(CONNECTOR.clone(), connect)))
    }
    /// The same with authorities and a certificate of a provider's own.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn with_tls(connect: Duration, own: &Tls) -> Result<Self, String> {
        let connector = connector(own_tls(own)?);
        Ok(Self(Arc::new(Pools::new(connector, connect))))
    }
    /// How long a connection may take to stand.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout()
    }
    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// Where the provider cannot be reached, or hangs up before it answers.
    pub fn request(
        &self,
        request: Request<Pieces>,
    ) -> impl Future<Output = Result<Response<Incoming>, legacy::Error>> + Send + 'static {
        let (sent, seat) = self.0.with(|pool, seat| (pool.request(request), seat));
        async move {
            let response = sent.await?;
            kept::has_served(&response);
            Ok(response.map(|body| Incoming::new(body, seat)))
        }
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("connect_timeout", &self.connect_timeout())
            .finish_non_exhaustive()
    }
}

type Https = HttpsConnector<HttpConnector>;

/// Certificates are read once per process, and TLS sessions resumed across clients.
static CONNECTOR: LazyLock<Https> = LazyLock::new(|| connector(tls()));

fn connector(tls: rustls::ClientConfig) -> Https {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp)
}

/// TLS with authorities and a certificate of a provider's own.
pub(crate) fn own_tls(own: &Tls) -> Result<rustls::ClientConfig, String> {
    let named = |what: &'static str| move |error: pem::Error| format!("{what}: {error}");
    let mut roots = rustls::RootCertStore::empty();
    // What the system trusts stays trusted; a system without certificates trusts these alone.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca) = &own.ca {
        let mut found = false;
        for cert in CertificateDer::pem_slice_iter(ca) {
            let cert = cert.map_err(named("ca_file"))?;
            roots
                .add(cert)
                .map_err(|error| format!("ca_file: {error}"))?;
            found = true;
        }
        if !found {
            return Err("ca_file: there is no certificate in it".to_owned());
        }
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    match (&own.cert, &own.key) {
        (None, None) => Ok(config.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert).collect();
            let chain = chain.map_err(named("cert_file"))?;
            let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes());
            let key = key.map_err(|_| "key_file: there is no private key in it".to_owned())?;
            let config = config.with_client_auth_cert(chain, key);
            config.map_err(|error| format!("cert_file and key_file: {error}"))
        }
        _ => Err("cert_file and key_file belong together".to_owned()),
    }
}

fn tls() -> rustls::ClientConfig {
    // Named, because a process that links a second provider of cryptography has no default.
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    #[expect(
        clippy::expect_used,
        reason = "ring knows the cipher suites of both TLS versions"
    )]
    let builder = || {
        rustls::ClientConfig::builder_with_provider(ring.clone())
            .with_safe_default_protocol_versions()
            .expect("ring supports TLS 1.2 and 1.3")
    };
    match builder().with_native_roots() {
        Ok(native) => native.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "the system has no certificates: Mozilla's are trusted");
            builder().with_webpki_roots().with_no_client_auth()
        }
    }
}

/// Connects within a limit that covers name resolution, TCP and TLS together.
#[derive(Clone)]
struct Connector {
    // The client clones it for each request, whether or not a connection stands already.
    inner: Arc<Https>,
    limit: Duration,
}

/// The connection did not stand in time.
#[derive(Debug)]
pub(crate) struct ConnectTimeout(());

impl fmt::Display for ConnectTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connecting took too long")
    }
}
impl std::error::Error for ConnectTimeout {}

impl Service<Uri> for Connector {
    type Response = Kept<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = Oneshot::new((*self.inner).clone(), uri);
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected.map(|stream| Kept::new(stream.into())),
                Err(_) => Err(ConnectTimeout(()).into()),
            }
        })
    }
}
