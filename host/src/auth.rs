//! Who is asking, told by a bearer token, and what that lets them do.
//!
//! | scope | may |
//! |---|---|
//! | `app` | place, read, change and release rooms, follow `room.*` events; of one tenant only where it is bound to one |
//! | `register` | register, read, cordon, drain and remove the servers of one pool, and make their tokens |
//! | a server's own | report for that server; made by [`Installation`], and numbered so that it can be revoked |
//! | `admin` | everything |
//!
//! Of the tokens in the config file only hashes are kept, and every one is compared in full, so that timing tells nothing. Without `[auth]` everyone is an
//! admin, and the config lets Usher listen on loopback only.

use usher_fleet::command::TokenNo;
use usher_fleet::ids::{PoolName, Tenant};

use crate::config::{AuthConfig, TokenHash};
use crate::installation::Installation;

/// The longest token that is hashed, in bytes; ours have 43 characters.
const TOKEN_BYTES_MAX: usize = 512;

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// May do everything.
    Admin,
    /// Works with rooms, of one tenant if it is bound to one.
    App(Option<Tenant>),
    /// Makes and drains the servers of a pool.
    Register(PoolName),
    /// Reports for one server, as long as this token of it counts.
    Agent(TokenNo),
}

/// Says why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token, or not in the form that is asked for.
    #[error("a token is needed: send `Authorization: Bearer TOKEN`")]
    Missing,
    /// A token that is not known.
    #[error(
        "this token is not known here: those of apps and operators stand as hashes under [auth] in usher.toml, \
         a server's own comes from `POST /v1/servers/{{server}}/token`"
    )]
    Unknown,
}

/// Tells who is asking.
#[derive(Debug, Clone)]
pub struct Doorkeeper {
    known: Option<Vec<(TokenHash, Caller)>>,
    installation: Installation,
}

impl Doorkeeper {
    /// Makes one that knows these tokens and those of the installation's servers; `None` lets everyone in.
    pub fn new(auth: Option<&AuthConfig>, installation: Installation) -> Doorkeeper {
        let known = auth.map(|auth| {
            let admin = auth.admin.iter().map(|hash| (*hash, Caller::Admin));
            let app = auth
                .app
                .iter()
                .map(|token| (token.hash, Caller::App(token.tenant.clone())));
            let register = auth
                .register
                .iter()
                .map(|token| (token.hash, Caller::Register(token.pool.clone())));
            admin.chain(app).chain(register).collect()
        });
        Doorkeeper { known, installation }
    }

    /// Returns the token with this number.
    pub fn agent_token(&self, token: &TokenNo) -> String {
        self.installation.token(token)
    }

    /// Returns whether everyone is let in.
    pub fn is_open(&self) -> bool {
        self.known.is_none()
    }

    /// Tells who sends this `Authorization` header.
    ///
    /// # Errors
    /// No token, or an unknown one.
    pub fn caller(&self, authorization: Option<&[u8]>) -> Result<Caller, Denied> {
        let Some(known) = &self.known else {
            return Ok(Caller::Admin);
        };
        let token = authorization.and_then(bearer).ok_or(Denied::Missing)?;
        let hash = TokenHash::of(token);
        let mut found = Err(Denied::Unknown);
        for (candidate, caller) in known {
            if is_same(candidate, &hash) {
                found = Ok(caller);
            }
        }
        found
            .cloned()
            .or_else(|denied| self.installation.read_token(token).map(Caller::Agent).ok_or(denied))
    }
}

/// Compares without stopping at the first difference.
fn is_same(a: &TokenHash, b: &TokenHash) -> bool {
    let difference = a.0.iter().zip(&b.0).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0
}

/// Returns the token of a header such as `Bearer abc`.
fn bearer(header: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    let token = token.trim();
    let is_well_formed = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX;
    is_well_formed.then_some(token)
}

#[cfg(test)]
mod tests {
    use crate::config::{AppToken, RegisterToken};

    use super::*;

    fn doorkeeper() -> Doorkeeper {
        Doorkeeper::new(
            Some(&AuthConfig {
                admin: vec![TokenHash::of("old"), TokenHash::of("new")],
                app: vec![AppToken {
                    hash: TokenHash::of("app"),
                    tenant: Some("acme".parse().unwrap()),
                }],
                register: vec![RegisterToken {
                    hash: TokenHash::of("reg"),
                    pool: "demo".parse().unwrap(),
                }],
            }),
            Installation::new().unwrap(),
        )
    }

    #[test]
    fn a_servers_own_token_says_which_server() {
        let keeper = doorkeeper();
        let token = TokenNo {
            server: "demo-1".parse().unwrap(),
            no: usher_fleet::ids::ServerNo(1),
            generation: 0,
        };
        let header = format!("Bearer {}", keeper.agent_token(&token));
        assert_eq!(keeper.caller(Some(header.as_bytes())), Ok(Caller::Agent(token)));
        assert_eq!(doorkeeper().caller(Some(header.as_bytes())), Err(Denied::Unknown));
    }

    #[test]
    fn a_token_says_who_is_asking() {
        let who = |header: &str| doorkeeper().caller(Some(header.as_bytes()));
        assert_eq!(who("Bearer old"), Ok(Caller::Admin));
        assert_eq!(who("bearer  new"), Ok(Caller::Admin));
        assert_eq!(who("Bearer app"), Ok(Caller::App(Some("acme".parse().unwrap()))));
        assert_eq!(who("Bearer reg"), Ok(Caller::Register("demo".parse().unwrap())));
    }

    #[test]
    fn whoever_has_no_known_token_stays_outside() {
        for (header, denied) in [
            ("", Denied::Missing),
            ("Bearer", Denied::Missing),
            ("Bearer ", Denied::Missing),
            ("Basic old", Denied::Missing),
            ("Bearer ol", Denied::Unknown),
            ("Bearer old2", Denied::Unknown),
            (&TokenHash::of("old").to_string(), Denied::Missing),
        ] {
            assert_eq!(doorkeeper().caller(Some(header.as_bytes())), Err(denied), "{header:?}");
        }
        assert_eq!(doorkeeper().caller(None), Err(Denied::Missing));
        assert_eq!(doorkeeper().caller(Some(b"Bearer \xff")), Err(Denied::Missing));
        let long = format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1));
        assert_eq!(doorkeeper().caller(Some(long.as_bytes())), Err(Denied::Missing));
    }

    #[test]
    fn without_tokens_everyone_is_an_admin() {
        assert_eq!(
            Doorkeeper::new(None, Installation::new().unwrap()).caller(None),
            Ok(Caller::Admin)
        );
    }
}
