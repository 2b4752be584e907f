//! Puts the SDK's source into the program: `usher policy new` writes it beside a new policy, because no registry has it.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const SDK: &str = "../sdk";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SDK}");
    let sdk = fs::canonicalize(SDK)?;
    let mut files = Vec::new();
    list(&sdk, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let path = file.strip_prefix(&sdk)?;
        // By no absolute path: a target folder may be shared with another clone, whose table would be taken for this one's.
        let included = format!("/{SDK}/{}", path.display());
        writeln!(
            table,
            "    ({path:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {included:?}))),"
        )?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("sdk_files.rs"), table)?;
    Ok(())
}

/// Lists what the crate is made of: not what editors and cargo leave behind, and no tests that need more than the crate.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    const LEFT_OUT: [&str; 4] = ["target", "tests", "benches", "Cargo.lock"];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().ok_or("a file name that is no text")?;
        let is_left_out = folder.ends_with("sdk") && LEFT_OUT.contains(&name);
        if is_left_out || name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
