//! The modules that are measured: the standard policy, and guests of the tests, built here.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::figures::progress;

/// What each of them is, as bytes.
pub(super) struct Guests {
    /// `90-standard.wasm`.
    pub(super) standard: Vec<u8>,
    /// Takes many turns of the standard policy within a call.
    pub(super) turns: Vec<u8>,
    /// Is told everything as JSON.
    pub(super) json: Vec<u8>,
    /// Looks at the fleet and leaves every room to the next.
    pub(super) defers: Vec<u8>,
}

impl Guests {
    /// Builds what is not there, into a folder.
    pub(super) fn build(standard: &Path, into: &Path) -> anyhow::Result<Guests> {
        let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let built = |name: &str| {
            let out = into.join(format!("{name}.wasm"));
            build(name, &out)?;
            read(&out)
        };
        Ok(Guests {
            standard: read(standard)?,
            turns: built("turns")?,
            json: built("json")?,
            defers: built("versioned")?,
        })
    }
}

fn build(guest: &str, out: &Path) -> anyhow::Result<()> {
    progress(format_args!("building tests/guests/{guest}"));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new(tests.join("../sdk/toolchain.sh"))
        .arg("build")
        .args([&tests.join("guests").join(guest), out])
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()
        .context("cannot run sdk/toolchain.sh")?;
    ensure!(built.success(), "tests/guests/{guest} could not be built");
    Ok(())
}
