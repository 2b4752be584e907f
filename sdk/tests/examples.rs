//! Every public item that an author meets has an example in its docs, or a method one in the docs of its type: examples are
//! read before any prose.

use std::fs;
use std::path::{Path, PathBuf};

/// What begins a public item. Methods stand four blanks in; what stands deeper is glue.
const ITEMS: [&str; 5] = ["pub fn ", "pub struct ", "pub enum ", "pub trait ", "pub const "];
const INDENTATION_MAX: usize = 4;
/// Between the macro and the contract, where no author looks. The contract's types have theirs in `bindings/examples.md`, which
/// `tests/bindings.rs` sees to.
const GLUE: &str = "src/bindings";

#[test]
fn every_public_item_has_an_example() {
    let files = source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(files.len() > 10, "there is something to look at: {files:?}");
    let missing: Vec<String> = files.iter().flat_map(|file| without_example(file)).collect();
    assert!(
        missing.is_empty(),
        "{} without an example:\n{}",
        missing.len(),
        missing.join("\n")
    );
}

/// Returns the files beneath a folder, but for glue and tests.
fn source_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the crate's sources can be listed");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let files = paths.flat_map(|path| match path.is_dir() {
        true if path.ends_with(GLUE) => Vec::new(),
        true => source_files(&path),
        false => vec![path],
    });
    let is_source = |file: &PathBuf| file.extension().is_some_and(|it| it == "rs") && !file.ends_with("tests.rs");
    files.filter(is_source).collect()
}

/// Returns the public items of a file, above its tests, that no example shows.
fn without_example(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("it can be read");
    let lines: Vec<&str> = text.lines().take_while(|line| *line != "#[cfg(test)]").collect();
    let docs = |line: &&&str| line.trim_start().starts_with("///");
    let calls = |method: String| lines.iter().filter(docs).any(|line| line.contains(&method));
    let is_exported = |at: usize| at > 0 && lines[at].starts_with("macro_rules!") && lines[at - 1] == "#[macro_export]";
    let items = lines
        .iter()
        .enumerate()
        .filter(|(at, line)| is_public(line) || is_exported(*at));
    let missing = items.filter(|(at, line)| {
        let above = lines[..*at].iter().rev().map(|line| line.trim());
        let is_apart = |line: &&str| line.is_empty() || line.ends_with(['{', '}', ';']);
        let mut above = above.take_while(|line| line.starts_with("///") || !is_apart(line));
        let is_shown = method(line).is_some_and(calls);
        !is_shown && !above.any(|line| line.starts_with("/// ```") || line == "#[doc(hidden)]")
    });
    missing
        .map(|(at, line)| format!("{}:{}: {}", file.display(), at + 1, line.trim()))
        .collect()
}

fn is_public(line: &str) -> bool {
    let item = line.trim_start();
    let is_item = ITEMS.iter().any(|begins| item.starts_with(begins));
    is_item && line.len() - item.len() <= INDENTATION_MAX || is_asked_of_authors(line)
}

/// Returns whether a line declares what a trait's author must write.
fn is_asked_of_authors(line: &str) -> bool {
    line.starts_with("    fn ") && line.ends_with(';')
}

/// Returns what an example of a method has: its call, or where an author writes it, its head. None for other items.
fn method(line: &str) -> Option<String> {
    let name = line.strip_prefix("    pub fn ").or(line.strip_prefix("    fn "))?;
    let name = name.split(['(', '<']).next()?;
    Some(match line {
        _ if is_asked_of_authors(line) => format!("fn {name}("),
        _ if line.contains("self") => format!(".{name}("),
        _ => format!("::{name}("),
    })
}
