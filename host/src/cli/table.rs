//! Lays out a list from the API as a table for people.

use std::io::{IsTerminal, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

/// A column: its title, where its value comes from, and whether it is a number.
pub(super) struct Column {
    title: &'static str,
    show: fn(&Value) -> String,
    is_number: bool,
}

impl Column {
    /// Makes a column of words.
    pub(super) const fn words(title: &'static str, show: fn(&Value) -> String) -> Column {
        Column {
            title,
            show,
            is_number: false,
        }
    }

    /// Makes a column of numbers: aligned to the right.
    pub(super) const fn number(title: &'static str, show: fn(&Value) -> String) -> Column {
        Column {
            title,
            show,
            is_number: true,
        }
    }
}

/// Returns the table, one row for each of `rows`; wrapped to `width` characters if that is known.
pub(super) fn table(columns: &[Column], rows: &[Value], width: Option<u16>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(columns.iter().map(|column| column.title));
    match width {
        Some(width) => table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    for row in rows {
        table.add_row(columns.iter().map(|column| (column.show)(row)));
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(laid_out) = table.column_mut(index) {
            laid_out.set_padding((0, 2));
            if column.is_number {
                laid_out.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Writes a table as wide as the terminal, or `nothing` where there are no rows.
pub(super) fn write(columns: &[Column], rows: &[Value], nothing: &str, out: &mut dyn Write) -> std::io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "{nothing}");
    }
    writeln!(out, "{}", table(columns, rows, terminal_width()))
}

/// Returns the terminal's width in characters; none where the output goes elsewhere: a file is never wrapped.
fn terminal_width() -> Option<u16> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    crossterm::terminal::size().ok().map(|(width, _)| width)
}
