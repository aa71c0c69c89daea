//! Checks signatures of tokens with ring, whose code is in the binary for TLS already.
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::ErrorKind,
};
use ring::signature::{
    self as ring_signature, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use signature::Verifier;

/// Signatures are checked and never made.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    verifier_factory: |algorithm, key| {
        Ok(Box::new(Check {
            algorithm: *algorithm,
            key: key.clone(),
        }))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// To be called before the first token is looked at.
pub(super) fn install() {
    // Whoever was faster, in a process that links us, has chosen for all.
    let _ = PROVIDER.install_default();
}

struct Check {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for Check {
    fn verify(&self, message: &[u8], told: &Vec<u8>) -> Result<(), signature::Error> {
        let right = match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                rsa(self.algorithm).is_some_and(|how| {
                    let key = RsaPublicKeyComponents { n, e };
                    key.verify(how, message, told).is_ok()
                })
            }
            DecodingKeyKind::SecretOrDer(key) => curve(self.algorithm).is_some_and(|how| {
                let key = UnparsedPublicKey::new(how, key);
                key.verify(message, told).is_ok()
            }),
        };
        right.then_some(()).ok_or_else(signature::Error::new)
    }
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &ring_signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &ring_signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &ring_signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &ring_signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &ring_signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &ring_signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn curve(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::ES256 => &ring_signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &ring_signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDSA => &ring_signature::ED25519,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl dgst -sha256 -sign`.
    const N: &str = "vVK7SlfR-_PlZvOtMWV0jiI4_QnaZbW9wx8Se_G03oLLA9U1aLASl7A5vDfEasJra1oJD08JpoozeNXJbZyNtnTT4poF-wY_GaqZ4P5LCMCHOCN_n-NlvQMVmP4tLvU3g3AJL5F2qE83VJvq2XTX2SLDBPPSfMp_em2oUL5Zhyd_9W7RSHxYrIijBgVE7HfYvgeMLFzdUX6aLo0Fe_7IpMdDPMTWeJqWACfwSuRxi9_qUU6XKHB1EbaYSRyJk3HFEi-WD_r6zxGKZhY-LtX04IQycfxNWLsCsjg3DIKl2bi7FmrxW__OZa8OWSkU-j0ffeLWgHdcPZCCgzQo6YlSDQ";
    const SIGNED: [(Algorithm, &str, &str); 2] = [
        (
            Algorithm::RS256,
            "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJpc3MiOiJpIn0",
            "EtGL42Q1xp8BtMODUH0xaid3U-_sFSl2YPmZgj_1N9xdAPnT6ZKDzMwO3Jxc0cs5bB890GVJdaEBuYZlistwbWM1k-DDLQGD-l6nnzvHX4OWeMZV9-HuwOZDTgYvhIZS8Zm8eu_MXtKRhJQ-45-MvClyIZDT-jREfl_d0JRaRIFlDWMcNiAeOwNSC6jJusIea4BGxby4rXhA5HNPdDj9arXuvU9K73KInsGlPhcANUgXtUHivjIUz_TVgzPgNkC5dPiAgBT7fFJ3gw4TQyQpns8qH0fxQ1fO3wpUftWYBZUZiAdYhDmQsesv6JgZI6pnCoEIcPMtvh0NPAmruSbQMg",
        ),
        (
            Algorithm::PS256,
            "eyJhbGciOiJQUzI1NiIsImtpZCI6InIifQ.eyJpc3MiOiJpIn0",
            "A1ihAO3zSiFVqiljvFTkUqAuvUr_qHf2ape2_DdRN819MtoGgn83EwX5vdJzLlFf_dARC2Imq85-r4YISrooIapKzorNZZpyZmovTPl5EqEXjNXPqQD8Nb81qnmrv8nVeHrAh8sh9SH9yX6wFiEwcPqmvh9SHmSSzhU3dsJYSCE1kpAeFHVYare_Q7rYUv29TB6DoqULboDJC3QXIZKTV0w9Jcu5J0r6ohGCR5why01RV_ME3XqjmOOyjl7gw0jhqPXsgNTohPr20fxs3LXRPHxTByZoVQ_ehxvPW13fcF2nSIupptgFvjtbKyOP4gffper2KTcy14O3U8jotuEvbQ",
        ),
    ];

    #[test]
    fn signatures_of_others_are_checked() {
        install();
        let key = DecodingKey::from_rsa_components(N, "AQAB").unwrap();
        for (algorithm, text, signature) in SIGNED {
            let check = |text: &str, how| {
                jsonwebtoken::crypto::verify(signature, text.as_bytes(), &key, how).unwrap()
            };
            assert!(check(text, algorithm), "{algorithm:?}");
            assert!(!check(&text.replace("eyJpc3M", "eyJpc3N"), algorithm));
            for other in [Algorithm::RS384, Algorithm::ES256, Algorithm::HS256] {
                assert!(!check(text, other), "{algorithm:?} as {other:?}");
            }
        }
    }
}
