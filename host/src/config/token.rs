//! Who may do what: tokens as the config file knows them, by their hashes.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use usher_fleet::ids::{PoolName, Tenant};

/// The hashes of all tokens that are let in, by scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthConfig {
    /// May do everything.
    pub admin: Vec<TokenHash>,
    /// May place, read and release rooms.
    pub app: Vec<AppToken>,
    /// May register and drain servers of one pool.
    pub register: Vec<RegisterToken>,
}

/// A token of scope `app`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppToken {
    /// Its hash.
    pub hash: TokenHash,
    /// The only tenant whose rooms it sees, if it is bound to one.
    pub tenant: Option<Tenant>,
}

/// A token of scope `register`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterToken {
    /// Its hash.
    pub hash: TokenHash,
    /// The pool that it makes and drains servers in.
    pub pool: PoolName,
}

/// The SHA-256 of a token. Tokens are 256 random bits, so that no salt and no slow hash is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Returns the hash of a token as a client sends it.
    pub fn of(token: &str) -> TokenHash {
        TokenHash(Sha256::digest(token.as_bytes()).into())
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Says that a text is no token hash; never repeats the text, which may be the token itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token's hash is `sha256:` and 64 hexadecimal digits")]
pub struct TokenHashError;

impl FromStr for TokenHash {
    type Err = TokenHashError;

    fn from_str(text: &str) -> Result<Self, TokenHashError> {
        let digits = text.strip_prefix("sha256:").ok_or(TokenHashError)?;
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(TokenHashError);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| TokenHashError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| TokenHashError)?;
        }
        Ok(TokenHash(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_as_it_is_read() {
        let hash = TokenHash::of("abc");
        assert_eq!(
            hash.to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let hash = TokenHash::of("abc").to_string();
        for text in [
            "",
            "abc",
            &hash[7..],
            &hash[..70],
            &format!("{hash}0"),
            &hash.replace('b', "g"),
        ] {
            assert_eq!(text.parse::<TokenHash>(), Err(TokenHashError), "{text}");
        }
    }
}
