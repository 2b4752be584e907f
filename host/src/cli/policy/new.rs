//! `usher policy new`: a crate that builds and whose tests pass.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use super::files::{self, File};
use super::name::PolicyName;
use super::sdk;
use crate::cli::EXIT_CODES;
use crate::cli::failure::Failure;

/// What stands under `usher policy new --help`.
const EXAMPLES: &str = "\
Examples:
  usher policy new night                   a crate in the folder night, with the SDK beside it
  usher policy new night --in policies-src the same in policies-src/night
  usher policy new night --sdk ~/usher/sdk against a checkout of Usher's repository";

/// Every file of a new crate: where it goes, and what it says of a policy called `my-policy`.
const TEMPLATE: [(&str, &str); 7] = [
    (".gitignore", include_str!("../../../templates/policy/gitignore")),
    ("Cargo.toml", include_str!("../../../templates/policy/Cargo.toml")),
    ("README.md", include_str!("../../../templates/policy/README.md")),
    ("clippy.toml", include_str!("../../../templates/policy/clippy.toml")),
    (
        "my-policy.toml",
        include_str!("../../../templates/policy/settings.toml"),
    ),
    ("src/lib.rs", include_str!("../../../templates/policy/src/lib.rs")),
    ("src/tests.rs", include_str!("../../../templates/policy/src/tests.rs")),
];
/// The template's name, as a crate's and as a type's.
const TEMPLATE_NAME: &str = "my-policy";
const TEMPLATE_TYPE: &str = "MyPolicy";
/// How the template depends on the SDK.
const TEMPLATE_SDK: &str = "usher-sdk = { path = \"usher-sdk\" }";
const TEMPLATE_EXCLUDE: &str = "exclude = [\"usher-sdk\"]\n";

/// Arguments of `usher policy new`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(in crate::cli) struct NewArgs {
    /// The crate's name: lower-case letters, digits and hyphens. In the folder of policies it will be 50-NAME.wasm.
    name: PolicyName,
    /// The folder in which the crate's own folder is made; by default this one.
    #[arg(long = "in", value_name = "FOLDER", default_value = ".", hide_default_value = true)]
    within: PathBuf,
    /// Depend on the SDK of a checkout of Usher's repository, instead of a copy in the crate.
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

/// Writes the crate.
pub(super) fn new(args: &NewArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let folder = args.within.join(args.name.to_string());
    let folder = folder.strip_prefix(".").unwrap_or(&folder);
    write(args, folder).map_err(Failure::Undone)?;
    let shown = folder.display();
    writeln!(
        out,
        "made {shown}: a policy that packs rooms, its tests, and its settings\n\n  \
         cd {shown}\n  \
         cargo test            its tests, without wasm and without a host\n  \
         usher policy build    builds the module, checks it, and puts it into the folder of policies (--to FOLDER)\n  \
         usher policy watch    the same at every save"
    )?;
    Ok(())
}

fn write(args: &NewArgs, folder: &Path) -> anyhow::Result<()> {
    refuse_used(folder)?;
    let mut files = template(&args.name, args.sdk.as_deref().map(sdk_folder).transpose()?.as_deref());
    if args.sdk.is_none() {
        files.extend(sdk::files().into_iter().map(|file| file.within(sdk::NAME)));
    }
    files.push(File::new("Cargo.lock", sdk::lock()));
    files::make_folder(folder, &files).with_context(|| format!("{} cannot be made", folder.display()))
}

/// Refuses to write where something is.
fn refuse_used(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    let used = fs::read_dir(folder).map(|mut entries| entries.next().is_some());
    match used {
        Ok(true) => bail!("{shown} is there and not empty; take another name, or another place with --in"),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("{shown} is no folder that can be written to; take another name"))
        }
    }
}

/// Returns the template's files with the policy's name in them.
fn template(name: &PolicyName, checkout: Option<&Path>) -> Vec<File> {
    let named = |text: &str| {
        text.replace(TEMPLATE_TYPE, &name.type_name())
            .replace(TEMPLATE_NAME, &name.to_string())
    };
    let file = |(path, text): (&str, &str)| {
        let mut text = named(text);
        if let Some(checkout) = checkout {
            // A TOML basic string takes what Rust's `{:?}` writes of a path without control characters.
            text = text.replace(TEMPLATE_SDK, &format!("usher-sdk = {{ path = {checkout:?} }}"));
            text = text.replace(TEMPLATE_EXCLUDE, "");
            let lines = text.lines().filter(|line| !line.starts_with("| `usher-sdk/`"));
            text = lines.flat_map(|line| [line, "\n"]).collect();
        }
        File::new(named(path), text)
    };
    TEMPLATE.map(file).into()
}

/// Returns where the SDK's crate is in a checkout; the checkout's root will do as well.
fn sdk_folder(path: &Path) -> anyhow::Result<PathBuf> {
    let is_sdk = |folder: &PathBuf| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let manifest = manifest.parse::<toml::Table>().unwrap_or_default();
        let name = manifest.get("package").and_then(|package| package.get("name"));
        name.and_then(toml::Value::as_str) == Some(sdk::NAME)
    };
    let found = [path.to_path_buf(), path.join("sdk")].into_iter().find(is_sdk);
    let Some(folder) = found else {
        bail!(
            "--sdk {}: there is no Cargo.toml of `{}`; name the folder sdk of a checkout of Usher's repository, or leave it out",
            path.display(),
            sdk::NAME
        )
    };
    fs::canonicalize(&folder).with_context(|| format!("--sdk {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(files: &[File], path: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("crate");
        files::make_folder(&at, files).unwrap();
        fs::read_to_string(at.join(path)).unwrap()
    }

    #[test]
    fn the_shortest_useful_policy_has_less_than_25_lines_of_code() {
        let (_, source) = TEMPLATE[5];
        let code = source
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("//"));
        let code = code.take_while(|line| *line != "#[cfg(test)]").count();
        assert!(code < 25, "{code}");
    }

    #[test]
    fn the_name_is_everywhere_and_the_templates_nowhere() {
        let name: PolicyName = "night-shift".parse().unwrap();
        let files = template(&name, None);
        for (path, _) in TEMPLATE {
            let path = path.replace(TEMPLATE_NAME, "night-shift");
            let text = text_of(&files, &path);
            assert!(!text.contains(TEMPLATE_NAME) && !text.contains(TEMPLATE_TYPE), "{path}");
        }
        assert!(text_of(&files, "src/lib.rs").contains("export_policy!(NightShift: place);"));
        let manifest: toml::Table = text_of(&files, "Cargo.toml").parse().unwrap();
        assert_eq!(
            manifest["package"]["metadata"]["usher"]["file"].as_str(),
            Some("50-night-shift")
        );
    }

    #[test]
    fn a_checkout_stands_in_the_place_of_the_copy() {
        let name: PolicyName = "night".parse().unwrap();
        let files = template(&name, Some(Path::new("/a \"b\"/sdk")));
        let manifest: toml::Table = text_of(&files, "Cargo.toml").parse().unwrap();
        assert_eq!(
            manifest["dependencies"]["usher-sdk"]["path"].as_str(),
            Some("/a \"b\"/sdk")
        );
        assert_eq!(manifest["workspace"].as_table().map(toml::Table::len), Some(0));
        assert!(!text_of(&files, "README.md").contains("usher-sdk/"));
    }
}
