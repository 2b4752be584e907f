//! Draws the rooms that wait, in their order, with what they wait for.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::scene::Scene;
use super::super::watcher::Room;
use super::theme::{DIM, WARN, cut, panel};

/// Draws as many as there is room for, and says how many are left out.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let waiting = &scene.look.waiting;
    let block = panel(format!("rooms waiting {}", waiting.len()));
    let inside = block.inner(area);
    let fit = usize::from(inside.height);
    let shown = if waiting.len() > fit {
        fit.saturating_sub(1)
    } else {
        waiting.len()
    };
    let mut lines: Vec<_> = waiting
        .iter()
        .take(shown)
        .map(|room| row(room, usize::from(inside.width)))
        .collect();
    if shown < waiting.len() {
        lines.push(Line::from(format!("    and {} more", waiting.len() - shown)).fg(DIM));
    }
    if waiting.is_empty() {
        lines.push(Line::from(" nobody").fg(DIM));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn row(room: &Room, width: usize) -> Line<'static> {
    let position = room
        .position
        .map(|position| format!("{position:>2} "))
        .unwrap_or_default();
    let mut why = words(room.waiting_for.as_deref()).to_owned();
    if let Some(seconds) = room.expected_seconds {
        why.push_str(&format!(" {seconds} s"));
    }
    let left = width.saturating_sub(position.len() + why.chars().count() + 2);
    Line::from(vec![
        Span::raw(format!(" {position}")).fg(DIM),
        Span::raw(format!("{:<left$}", cut(&room.room, left.saturating_sub(1)))),
        Span::raw(why).fg(WARN),
    ])
}

/// Returns what it waits for, in a word that fits.
fn words(waiting_for: Option<&str>) -> &str {
    match waiting_for {
        Some("nobody_launches") => "nobody",
        Some(word) => word,
        None => "",
    }
}
