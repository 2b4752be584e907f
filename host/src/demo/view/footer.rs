//! Draws the keys, and what to try next beside the demo.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::scene::Scene;
use super::super::tries::{Try, tries};
use super::theme::{ACCENT, BAD, DIM, cut};

/// How long each line stays where there is room for one only, in seconds of the clock here.
const TURN_SECONDS: u64 = 6;

/// The keys, and what they do.
const KEYS: [(&str, &str); 3] = [("b", "ten rooms more"), ("p", "pause"), ("q", "quit")];

/// Draws the keys and one or all lines to try.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let tries = tries(&scene.setting, &scene.look);
    let room = usize::from(area.height).saturating_sub(1);
    let width = usize::from(area.width);
    let turn = scene.setting.pace.here(scene.now.0).as_secs() / TURN_SECONDS;
    let first = if room < tries.len() {
        turn as usize % tries.len()
    } else {
        0
    };
    let mut lines: Vec<_> = tries
        .iter()
        .cycle()
        .skip(first)
        .take(room.min(tries.len()))
        .map(|line| row(line, width))
        .collect();
    lines.push(keys(scene, width));
    frame.render_widget(Paragraph::new(lines), area);
}

fn row(line: &Try, width: usize) -> Line<'static> {
    let command = Span::raw(cut(&line.command, width.saturating_sub(7))).fg(ACCENT);
    let left = width.saturating_sub(7 + command.width());
    let what = if left > line.what.chars().count() + 2 {
        format!("  {}", line.what)
    } else {
        String::new()
    };
    Line::from(vec![Span::raw(" try   ").fg(DIM), command, Span::raw(what).fg(DIM)])
}

fn keys(scene: &Scene, width: usize) -> Line<'static> {
    let mut spans = vec![Span::raw(" keys  ").fg(DIM)];
    for (key, what) in KEYS {
        let what = if key == "p" && scene.is_paused { "go on" } else { what };
        spans.push(Span::raw(format!(" {key} ")).black().bg(ACCENT));
        spans.push(Span::raw(format!(" {what}   ")));
    }
    if let Some(problem) = &scene.tally.problem {
        let left = width.saturating_sub(spans.iter().map(Span::width).sum());
        spans.push(Span::raw(cut(problem, left)).fg(BAD));
    }
    Line::from(spans)
}
