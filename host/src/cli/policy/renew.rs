//! `usher policy sdk`: brings the copy of the SDK in a policy's folder up to date.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use super::{files, sdk};
use crate::cli::EXIT_CODES;
use crate::cli::failure::Failure;

/// Arguments of `usher policy sdk`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(in crate::cli) struct SdkArgs {
    /// The policy's folder, which has the folder usher-sdk in it; by default this one.
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    folder: PathBuf,
}

/// Writes the SDK that this program carries in the place of the one that is there.
pub(super) fn renew(args: &SdkArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let folder = args.folder.join(sdk::NAME);
    let shown = folder.strip_prefix(".").unwrap_or(&folder).display();
    let (before, now) = (version_of(&folder).map_err(Failure::Undone)?, sdk::version());
    let replaced = files::replace_folder(&folder, &sdk::files());
    replaced
        .with_context(|| format!("{shown} cannot be written"))
        .map_err(Failure::Undone)?;
    match before == now {
        true => writeln!(out, "{shown} is {now}, as it was")?,
        false => writeln!(out, "{shown} is {now} now; it was {before}")?,
    }
    Ok(())
}

/// Returns the version of the SDK in a folder; what is no SDK is not to be replaced.
fn version_of(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join("Cargo.toml");
    let text = fs::read_to_string(&file).with_context(|| {
        format!(
            "{} cannot be read; name a folder that `usher policy new` made, or update the checkout that the policy's \
             Cargo.toml names",
            file.display()
        )
    })?;
    let manifest: toml::Table = text
        .parse()
        .with_context(|| format!("{} is not TOML", file.display()))?;
    let text = |key: &str| manifest.get("package")?.get(key)?.as_str();
    if text("name") != Some(sdk::NAME) {
        bail!("{} is not that of {}", file.display(), sdk::NAME);
    }
    Ok(text("version").unwrap_or("without a version").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_copy_is_replaced_whole_and_nothing_else_is() {
        let at = tempfile::tempdir().unwrap();
        let renewed = || {
            let mut out = Vec::new();
            let args = SdkArgs {
                folder: at.path().into(),
            };
            renew(&args, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert!(renewed().unwrap_err().to_string().contains("usher policy new"));
        let folder = at.path().join("usher-sdk");
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("Cargo.toml"), "[package]\nname = \"mine\"\n").unwrap();
        assert!(renewed().unwrap_err().to_string().contains("is not that of usher-sdk"));

        fs::write(
            folder.join("Cargo.toml"),
            "[package]\nname = \"usher-sdk\"\nversion = \"0.0.1\"\n",
        )
        .unwrap();
        fs::write(folder.join("src/old.rs"), "").unwrap();
        let told = renewed().unwrap();
        assert!(
            told.ends_with("now; it was 0.0.1\n") && told.contains(&sdk::version()),
            "{told}"
        );
        assert!(folder.join("src/lib.rs").exists() && !folder.join("src/old.rs").exists());
        assert!(renewed().unwrap().ends_with("as it was\n"));
    }
}
