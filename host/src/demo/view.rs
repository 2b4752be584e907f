//! Draws a scene: what it costs, the servers and their load, who waits, and why. From 80 × 24 cells on.
//!
//! It only reads the scene, so that a test can draw one; see `screen` for the terminal.

mod footer;
mod money;
mod queue;
mod servers;
mod theme;
mod why;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::office::OfficeTime;
use super::scene::{Act, Scene};
use theme::{ACCENT, DIM, WARN};

/// Below this nothing would be readable, in columns and lines.
const LEAST: (u16, u16) = (60, 18);

/// From so many lines on there is room for more than the most important.
const TALL: u16 = 34;
/// From so many columns on, likewise.
const WIDE: u16 = 120;

/// Draws the scene into the whole frame.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let sentence = format!("usher demo needs {} × {} cells; q ends it", LEAST.0, LEAST.1);
        return frame.render_widget(Paragraph::new(sentence), area);
    }
    let is_tall = area.height >= TALL;
    let (top, foot) = if is_tall { (8, 5) } else { (5, 2) };
    let [header, top, middle, bottom, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(top),
        Constraint::Fill(11),
        Constraint::Fill(10),
        Constraint::Length(foot),
    ])
    .areas(area);
    draw_header(frame, header, scene);
    let [money, hour] = Layout::horizontal([Constraint::Length(38), Constraint::Fill(1)]).areas(top);
    money::draw(frame, money, scene);
    money::draw_hour(frame, hour, scene);
    servers::draw(frame, middle, scene);
    let waiting = Constraint::Length(if area.width >= WIDE { 40 } else { 25 });
    let [waiting, why] = Layout::horizontal([waiting, Constraint::Fill(1)]).areas(bottom);
    queue::draw(frame, waiting, scene);
    why::draw(frame, why, scene);
    footer::draw(frame, foot, scene);
}

fn draw_header(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let [words, hour] = Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).areas(area);
    let setting = &scene.setting;
    let mut left = vec![
        Span::raw(" usher ").black().bg(ACCENT).bold(),
        Span::raw(format!("  {}  ", scene.now)).bold(),
    ];
    let state = match (scene.act, scene.is_paused) {
        (_, true) => Some("paused: the office is, Usher is not"),
        (Act::Opening, false) => Some("policies are being loaded"),
        (Act::Office, false) => None,
        (Act::Closing, false) => Some("all leave; servers go"),
    };
    let pace = format!("{}: {}  ", setting.pace, setting.pace.explained());
    if state.is_none() || area.width >= WIDE {
        left.push(Span::raw(pace).fg(DIM));
    }
    left.extend(state.map(|state| Span::raw(state).fg(WARN).bold()));
    frame.render_widget(Line::from(left), words);
    let url = Line::from(vec![Span::raw(setting.url.as_str()).fg(ACCENT), Span::raw(" ")]).right_aligned();
    frame.render_widget(url, words);
    draw_progress(frame, hour, scene);
}

/// Draws the hour as a line with its beginning and end.
fn draw_progress(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let (from, to) = (OfficeTime::default().to_string(), scene.setting.closes.to_string());
    let width = usize::from(area.width).saturating_sub(from.len() + to.len() + 4);
    let gone = ((width as f64 * scene.progress()) as usize).min(width);
    let line = Line::from(vec![
        Span::raw(format!(" {from} ")).fg(DIM),
        Span::raw("━".repeat(gone)).fg(ACCENT),
        Span::raw("─".repeat(width - gone)).fg(DIM),
        Span::raw(format!(" {to} ")).fg(DIM),
    ]);
    frame.render_widget(line, area);
}

#[cfg(test)]
mod tests;
