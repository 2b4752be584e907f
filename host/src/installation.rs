//! Who this installation is: a word in every mark on its servers, and the key of its servers' tokens.
//!
//! Both are made once and kept beside the records, in `installation.json`, readable by its owner only. Whoever copies a data folder
//! copies the identity: two hosts with one would take each other's servers for their own. Without the key no agent's token
//! can be checked; a new one means new tokens.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use anyhow::Context as _;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use usher_fleet::command::TokenNo;
use usher_fleet::ids::ServerNo;

use crate::durable_file;

/// The file's name in the data folder.
const FILE: &str = "installation.json";
/// What the token of a server begins with, so that people and scanners know it.
const TOKEN_BEGIN: &str = "usher_agent";
/// Random bytes in the id: two installations meet by chance after billions.
const ID_BYTES: usize = 8;

/// Who this installation is.
#[derive(Clone)]
pub struct Installation {
    id: String,
    key: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    id: String,
    key: String,
}

impl Installation {
    /// Reads who this is; the first time it is made up.
    ///
    /// # Errors
    /// The file cannot be read or written, or is damaged.
    pub fn open(data_dir: &Path) -> anyhow::Result<Installation> {
        let path = data_dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => {
                read(&bytes).with_context(|| format!("{} is damaged; restore it from a backup", path.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let new = Installation::new()?;
                new.keep(data_dir)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(new)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Makes one up.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new() -> anyhow::Result<Installation> {
        let (mut id, mut key) = ([0; ID_BYTES], [0; 32]);
        getrandom::fill(&mut id).context("the system gives no random bytes")?;
        getrandom::fill(&mut key).context("the system gives no random bytes")?;
        Ok(Installation { id: hex(&id), key })
    }

    /// Writes the file whole or not at all.
    fn keep(&self, data_dir: &Path) -> io::Result<()> {
        let kept = Kept {
            id: self.id.clone(),
            key: hex(&self.key),
        };
        durable_file::replace(data_dir, FILE, &serde_json::to_vec(&kept)?)
    }

    /// Returns the word that marks its servers.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns it as what launches servers: with the tokens that they find in their user data.
    pub fn launcher(self) -> usher_cloud::Installation {
        usher_cloud::Installation {
            id: self.id.clone(),
            tokens: Arc::new(move |no, server| {
                self.token(&TokenNo {
                    server: server.clone(),
                    no,
                    generation: 0,
                })
            }),
        }
    }

    /// Returns the token with this number.
    pub fn token(&self, token: &TokenNo) -> String {
        let TokenNo { server, no, generation } = token;
        format!(
            "{TOKEN_BEGIN}.{no}.{generation}.{}.{server}",
            hex(&self.mac(token).finalize().into_bytes())
        )
    }

    /// Returns the number of a token that this installation has made; none of any other text.
    pub fn read_token(&self, text: &str) -> Option<TokenNo> {
        let mut parts = text.strip_prefix(TOKEN_BEGIN)?.strip_prefix('.')?.splitn(4, '.');
        let mut part = || parts.next();
        let (no, generation, mac, server) = (part()?, part()?, part()?, part()?);
        let token = TokenNo {
            server: server.parse().ok()?,
            no: ServerNo(no.parse().ok()?),
            generation: generation.parse().ok()?,
        };
        self.mac(&token).verify_slice(&unhex(mac)?).ok()?;
        Some(token)
    }

    fn mac(&self, token: &TokenNo) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.key).expect("a key of any length will do");
        let TokenNo { server, no, generation } = token;
        mac.update(format!("server token {no} {generation} {server}").as_bytes());
        mac
    }
}

impl std::fmt::Debug for Installation {
    /// Never shows the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installation")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn read(bytes: &[u8]) -> anyhow::Result<Installation> {
    let kept: Kept = serde_json::from_slice(bytes)?;
    let is_word = !kept.id.is_empty() && kept.id.bytes().all(|b| b.is_ascii_alphanumeric()) && kept.id.len() <= 32;
    anyhow::ensure!(is_word, "its `id` is not 1 to 32 letters and digits");
    let key = unhex(&kept.key).and_then(|key| key.try_into().ok());
    Ok(Installation {
        id: kept.id,
        key: key.context("its `key` is not 64 hexadecimal digits")?,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(server: &str, generation: u32) -> TokenNo {
        TokenNo {
            server: server.parse().unwrap(),
            no: ServerNo(7),
            generation,
        }
    }

    #[test]
    fn an_installation_is_the_same_after_a_restart_and_its_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let first = Installation::open(folder.path()).unwrap();
        let again = Installation::open(folder.path()).unwrap();
        assert_eq!((first.id(), first.key), (again.id(), again.key));
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = Installation::open(tempfile::tempdir().unwrap().path()).unwrap();
        assert_ne!(first.id(), other.id());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        for damaged in ["", "{}", r#"{"id": "a b", "key": ""}"#, r#"{"id": "ab", "key": "00"}"#] {
            fs::write(folder.path().join(FILE), damaged).unwrap();
            let error = format!("{:#}", Installation::open(folder.path()).unwrap_err());
            assert!(error.contains("damaged"), "{error}");
            assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), damaged);
        }
    }

    #[test]
    fn a_token_names_its_server_and_cannot_be_made_up() {
        let ours = Installation::new().unwrap();
        let text = ours.token(&token("cloud.eu:7", 3));
        assert_eq!(ours.read_token(&text), Some(token("cloud.eu:7", 3)));
        assert_eq!(Installation::new().unwrap().read_token(&text), None);
        for other in [
            text.replace("cloud", "cload"),
            text.replacen(".7.3.", ".7.4.", 1),
            text.replacen(".7.3.", ".8.3.", 1),
            text[..text.len() - 1].to_owned(),
            text.replacen("usher_agent.", "", 1),
            String::new(),
        ] {
            assert_eq!(ours.read_token(&other), None, "{other}");
        }
    }
}
