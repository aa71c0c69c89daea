//! Passwords that people think up: hashed slowly, with Argon2id.
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

/// Argon2id's word for a password, with a salt of its own (19 MiB, two passes: OWASP's first choice).
///
/// # Errors
/// Where the system has no randomness.
pub(crate) fn hash_password(password: &str) -> Result<String, String> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    hashed
        .map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

/// Whether this is the password. It takes some 20 ms, and so is for a thread that may block.
pub(crate) fn is_password(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        let hash = hash_password("correct horse").unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(is_password("correct horse", &hash));
        assert!(!is_password("correct hors", &hash));
        assert!(!is_password("", "nonsense"));
    }
}
