//! Whom to trust for a provider beside the system's authorities, and by which certificate it knows us.
use super::{Provider, Secret};
use bytes::Bytes;

/// The files of TLS for one provider, as PEM. The default is nothing beyond what the system trusts.
///
/// ```
/// use tierway_services::providers::Tls;
/// assert!(Tls::default().check().is_ok());
/// let wrong = Tls { ca: Some("no certificate".into()), ..Tls::default() };
/// assert!(wrong.check().is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities to trust beside the system's.
    pub ca: Option<Bytes>,
    /// Our certificate, and what leads from it to its authority.
    pub cert: Option<Bytes>,
    /// Its private key.
    pub key: Option<Secret>,
}

impl Tls {
    /// Whether there is anything in it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Looks whether a connection could be made with it.
    ///
    /// # Errors
    /// What is wrong, without a word of the key.
    pub fn check(&self) -> Result<(), String> {
        if self.is_default() {
            return Ok(());
        }
        crate::upstream::own_tls(self).map(drop)
    }
}

impl Provider {
    /// Whom to trust for it beside the system's authorities, and by which certificate it knows us.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    pub(crate) const fn own_tls(&self) -> &Tls {
        &self.tls
    }
}
