//! Draws what it costs now and so far, against the one big server, and how the hour went.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

use super::super::costs::BIG_SERVER;
use super::super::scene::{Point, Scene};
use super::theme::{ACCENT, DIM, GOOD, WARN, bar, panel};

/// Cells of the bars of dollars.
const CELLS: usize = 17;

/// Draws the dollars.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let now = scene.look.dollars_per_hour;
    let big = BIG_SERVER.dollars();
    let most = big.max(now);
    let line = |word: &str, dollars: f64, colour: Color| {
        let mut spans = vec![
            Span::raw(format!(" {word:<9}")).fg(DIM),
            Span::raw(format!("{:<7}", format!("${dollars:.2}"))).fg(colour).bold(),
        ];
        spans.extend(bar(dollars / most, CELLS, colour));
        Line::from(spans)
    };
    let costs = &scene.costs;
    let so_far = Line::from(vec![
        Span::raw(" so far ").fg(DIM),
        Span::raw(format!("${:.2}", costs.servers())).bold(),
        Span::raw(format!(" not ${:.2}: ", costs.big_server())).fg(DIM),
        Span::raw(costs.saved()).fg(GOOD).bold(),
    ]);
    let mut lines = vec![line("now", now, GOOD), line("one big", big, WARN), so_far];
    if area.height >= 8 {
        lines.insert(2, Line::default());
        lines.push(Line::from(" both over the office's time so far;").fg(DIM));
        lines.push(Line::from(" one big: 72 cores, on day and night").fg(DIM));
    }
    frame.render_widget(Paragraph::new(lines).block(panel("dollars an hour")), area);
}

/// A figure over the hour.
struct Part {
    word: &'static str,
    of: fn(&Point) -> u32,
    colour: Color,
    now: u32,
}

/// Draws the hour so far: rooms, servers, and rooms that waited.
pub(super) fn draw_hour(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let block = panel("the hour");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let rows = Layout::vertical([Constraint::Fill(1); 3]).split(inside);
    let count = |things: usize| u32::try_from(things).unwrap_or(u32::MAX);
    let look = &scene.look;
    let parts = [
        Part {
            word: "rooms",
            of: |point| point.rooms,
            colour: ACCENT,
            now: look.rooms_placed,
        },
        Part {
            word: "servers",
            of: |point| point.servers,
            colour: GOOD,
            now: count(look.servers.len()),
        },
        Part {
            word: "waiting",
            of: |point| point.waiting,
            colour: WARN,
            now: count(look.waiting.len()),
        },
    ];
    for (row, Part { word, of, colour, now }) in rows.iter().zip(parts) {
        let [label, chart] = Layout::horizontal([Constraint::Length(13), Constraint::Fill(1)]).areas(*row);
        let words = vec![
            Span::raw(format!(" {word:<8}")).fg(DIM),
            Span::raw(format!("{now:>3}")).fg(colour).bold(),
        ];
        frame.render_widget(Line::from(words), label);
        let columns = scene.history.columns(usize::from(chart.width), of);
        frame.render_widget(Sparkline::default().data(columns).style(colour), chart);
    }
}
