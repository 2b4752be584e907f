//! Colours, bars and boxes that all parts of the view share. The sixteen colours of every terminal, in its own taste.

use ratatui::style::{Color, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType};

use super::super::scene::Stage;

/// What the eye shall find first.
pub(super) const ACCENT: Color = Color::Cyan;
/// What is there for those who look closer.
pub(super) const DIM: Color = Color::DarkGray;
/// What waits, or is on its way.
pub(super) const WARN: Color = Color::Yellow;
/// What is as it should be.
pub(super) const GOOD: Color = Color::Green;
/// What goes.
pub(super) const GOING: Color = Color::Magenta;
/// What went wrong.
pub(super) const BAD: Color = Color::Red;

/// Returns a server's colour.
pub(super) fn colour(stage: Stage) -> Color {
    match stage {
        Stage::Starting => WARN,
        Stage::Open => GOOD,
        Stage::Going => GOING,
    }
}

/// Returns a box with a title.
pub(super) fn panel<'a>(title: impl Into<Line<'a>>) -> Block<'a> {
    let mut title = title.into();
    title.spans.insert(0, Span::raw(" "));
    title.spans.push(Span::raw(" "));
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(DIM)
        .title(title.bold())
}

/// Returns a bar: so much of so much in so many cells.
pub(super) fn bar(part: f64, cells: usize, colour: Color) -> [Span<'static>; 2] {
    let full = ((part * cells as f64).round().max(0.0) as usize).min(cells);
    // What is there at all is seen.
    let full = if part > 0.0 { full.max(1) } else { full };
    [
        Span::raw("■".repeat(full)).fg(colour),
        Span::raw("·".repeat(cells - full)).fg(DIM),
    ]
}

/// Cuts a text to so many columns, with a mark where something is missing.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_its_length_whatever_it_shows() {
        for (part, full) in [(0.0, 0), (0.01, 1), (0.5, 5), (1.0, 10), (1.7, 10)] {
            let [used, free] = bar(part, 10, GOOD);
            assert_eq!((used.width(), free.width()), (full, 10 - full), "{part}");
        }
    }

    #[test]
    fn a_cut_text_says_so_and_fits() {
        assert_eq!(cut("fullest server", 20), "fullest server");
        assert_eq!(cut("fullest server with room", 9), "fullest…");
        assert_eq!(cut("fullest", 0), "…");
    }
}
