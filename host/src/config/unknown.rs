//! What to write instead of a key that does not exist.

use super::problem::{Collector, Place};
use super::raw::FILE;
use super::section::Section;

/// Names that keys had before, or have elsewhere in Usher: what they are called in the file.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("pools", "pool"),
    ("token", "admin_tokens"),
    ("tokens", "admin_tokens"),
    ("rooms_max", "rooms_per_server"),
    ("seats_max", "seats_per_server"),
    ("load_max", "load_per_server"),
    ("type", "instance_type"),
    ("secret", "secret_file"),
    ("price_microdollars_per_hour", "price_per_hour"),
];

/// Says that `section` has no such key, and which was probably meant.
pub(super) fn unknown(key: &str, at: &Place, section: &'static Section, problems: &mut Collector<'_>) {
    let is_here = |name: &str| section.all_keys().any(|known| known.name == name);
    if let Some((_, name)) = OTHER_NAMES.iter().find(|(other, name)| *other == key && is_here(name)) {
        problems.problem(at, "there is no such key", format!("it is called {name}"));
        return;
    }
    let remedy = match elsewhere(key, FILE, "") {
        Some(table) if table.is_empty() => format!("{key} stands at the top of the file, before the first [table]"),
        Some(table) => format!("{key} stands under {table}"),
        None => match nearest(key, section) {
            Some(name) => format!("did you mean {name}?"),
            None => {
                let names: Vec<&str> = section.all_keys().map(|known| known.name).collect();
                format!("the keys here are {}", names.join(", "))
            }
        },
    };
    problems.problem(at, "there is no such key", remedy);
}

/// Returns the key that differs from what was written by a slip of the keyboard.
fn nearest(key: &str, section: &'static Section) -> Option<&'static str> {
    let slips_max = (key.len() / 3).max(1);
    let known = section
        .all_keys()
        .map(|known| (strsim::osa_distance(key, known.name), known.name));
    known
        .filter(|(slips, _)| *slips <= slips_max)
        .min()
        .map(|(_, name)| name)
}

/// Returns the header of a table that has this very key.
fn elsewhere(key: &str, section: &'static Section, header: &str) -> Option<String> {
    if section.all_keys().any(|known| known.name == key) {
        return Some(header.to_owned());
    }
    section.all_keys().find_map(|known| {
        let path = match header.trim_matches(['[', ']']) {
            "" => known.name.to_owned(),
            path => format!("{path}.{}", known.name),
        };
        let header = if known.is_list {
            format!("[[{path}]]")
        } else {
            format!("[{path}]")
        };
        elsewhere(key, known.section?, &header)
    })
}
