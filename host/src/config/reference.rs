//! The reference: a whole `usher.toml` with every key, its documentation and its default.

use super::raw::FILE;
use super::section::{Key, Section, Shown};

/// Returns the text that `usher config reference` prints. It is a valid file that means the defaults, with one external
/// pool; what has no default stands in it as `#key = example`.
pub fn reference() -> String {
    let mut text = String::new();
    docs(FILE.about, &mut text);
    keys(FILE, "", false, &mut text);
    text
}

/// Tables come after the plain keys: what follows a table's header in TOML is the table's.
fn keys(section: &Section, path: &str, is_comment: bool, text: &mut String) {
    let is_table =
        |key: &&Key| key.section.is_some() && key.shown.value().is_empty() || key.shown.value() == "[[pool]]";
    let plain = section.all_keys().filter(|key| !is_table(key));
    for key in plain {
        text.push('\n');
        docs(key.docs, text);
        let mark = if is_comment || matches!(key.shown, Shown::Example(_)) {
            "#"
        } else {
            ""
        };
        text.push_str(&format!("{mark}{} = {}\n", key.name, key.shown.value()));
    }
    for key in section.all_keys().filter(is_table) {
        let Some(within) = key.section else { continue };
        let path = if path.is_empty() {
            key.name.to_owned()
        } else {
            format!("{path}.{}", key.name)
        };
        let is_comment = is_comment || matches!(key.shown, Shown::Example(_));
        text.push('\n');
        docs(within.about, text);
        let header = if key.is_list {
            format!("[[{path}]]")
        } else {
            format!("[{path}]")
        };
        text.push_str(&format!("{}{header}\n", if is_comment { "#" } else { "" }));
        keys(within, &path, is_comment, text);
    }
}

fn docs(lines: &[&str], text: &mut String) {
    for line in lines {
        text.push_str(&format!("# {}\n", line.trim()));
    }
}
