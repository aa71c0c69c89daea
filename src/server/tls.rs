//! TLS with callers: the certificate is read anew when its files change, and connections that stand keep theirs.
use crate::{config::ServerTls, reload::Watch};
use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{io, path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::interval};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// What is spoken within, the better one first.
const SPOKEN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Takes connections in TLS.
#[derive(Debug)]
pub struct Acceptor {
    told: ServerTls,
    config: ArcSwap<ServerConfig>,
}

/// Looks whether these files can be used.
///
/// # Errors
/// What is wrong with them, and with which; no word of the key.
pub(crate) fn check(told: &ServerTls) -> io::Result<()> {
    read(told).map(drop)
}

impl Acceptor {
    /// With the certificate that is there now.
    ///
    /// # Errors
    /// As the files say.
    pub fn open(told: ServerTls) -> io::Result<Arc<Self>> {
        let config = ArcSwap::from_pointee(read(&told)?);
        Ok(Arc::new(Self { told, config }))
    }

    /// Agrees with the caller on how to speak.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.config.load_full());
        acceptor.accept(stream).await
    }

    /// Reads the files anew whenever they have changed; for ever. Files that cannot be used change nothing, which the log tells.
    pub async fn watch(self: Arc<Self>) {
        let own = [&self.told.cert, &self.told.key];
        let files = own.into_iter().chain(&self.told.client_ca).cloned();
        let mut watch = Watch::new(files.collect());
        let mut tick = interval(EVERY);
        loop {
            tick.tick().await;
            if !watch.changed().await {
                continue;
            }
            match read(&self.told) {
                Ok(config) => {
                    self.config.store(Arc::new(config));
                    tracing::info!(file = %self.told.cert.display(), "the certificate was read anew");
                }
                Err(error) => {
                    tracing::error!(%error, "the certificate cannot be used; the one before goes on");
                }
            }
        }
    }
}

fn read(told: &ServerTls) -> io::Result<ServerConfig> {
    let chain = certificates(&told.cert)?;
    let key = PrivateKeyDer::from_pem_file(&told.key).map_err(|error| of(&told.key, error))?;
    // Named, because a process that links a second provider of cryptography has no default.
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(ring.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match &told.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| of(file, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), ring);
            builder.with_client_cert_verifier(verifier.build().map_err(|e| of(file, e))?)
        }
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|error| of(&told.cert, error))?;
    config.alpn_protocols = SPOKEN.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let certificates: Vec<_> = certificates.map_err(|error| of(file, error))?;
    if certificates.is_empty() {
        return Err(of(file, "there is no certificate in it"));
    }
    Ok(certificates)
}

fn of(file: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}
