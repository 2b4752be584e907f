//! Draws the servers: three facts each, and how full they are.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::scene::{Scene, Stage};
use super::super::watcher::Server;
use super::theme::{BAD, DIM, GOOD, WARN, bar, colour, cut, panel};

/// Shown in turn beside a server that is starting.
const SPINNER: [&str; 4] = ["◐", "◓", "◑", "◒"];

/// Columns of the name and the three facts, before the bars.
const FACTS: usize = 3 + 9 + 12 + 9 + 8;

/// Draws as many servers as there is room for, and says how many are left out.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let servers = &scene.look.servers;
    let block = panel(title(scene));
    let inside = block.inner(area);
    let width = usize::from(inside.width);
    let fit = usize::from(inside.height);
    let shown = if servers.len() > fit {
        fit.saturating_sub(1)
    } else {
        servers.len()
    };
    let turn = SPINNER[(scene.setting.pace.here(scene.now.0).as_millis() / 200) as usize % SPINNER.len()];
    let mut lines: Vec<_> = servers
        .iter()
        .take(shown)
        .map(|server| row(server, width, turn))
        .collect();
    if shown < servers.len() {
        lines.push(Line::from(format!("   and {} more", servers.len() - shown)).fg(DIM));
    }
    if servers.is_empty() {
        lines.push(Line::from("   none: nobody meets, and nothing is paid for").fg(DIM));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
    draw_sums(frame, area, scene);
}

fn title(scene: &Scene) -> Line<'static> {
    let counts = scene.servers();
    let mut spans = vec![Span::raw(format!("{} servers ", scene.look.servers.len()))];
    for (count, word, stage) in [
        (counts.open, "open", Stage::Open),
        (counts.starting, "starting", Stage::Starting),
        (counts.going, "going", Stage::Going),
    ] {
        if count > 0 {
            spans.push(Span::raw(format!(" {count} {word}")).fg(colour(stage)));
        }
    }
    Line::from(spans)
}

/// Draws what the bars are of, and the sums, above them into the box.
fn draw_sums(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let sum = |of: fn(&Server) -> u32| scene.look.servers.iter().map(of).sum::<u32>();
    let cells = cells(usize::from(area.width) - 2);
    let sums = [
        ("rooms", sum(|server| server.rooms), 2),
        ("seats", sum(|server| server.seats), 3),
    ];
    let mut x = area.x + 1 + FACTS as u16;
    for (word, sum, digits) in sums {
        let words = Line::from(format!(" {word} {sum} ")).bold();
        let space = Rect {
            x: x - 1,
            y: area.y,
            width: words.width() as u16,
            height: 1,
        };
        frame.render_widget(words, space.intersection(area));
        x += (cells + 2 * digits + 4) as u16;
    }
}

/// Returns how long the bars are in a row so wide.
fn cells(width: usize) -> usize {
    if width >= 110 { 20 } else { 10 }
}

fn row(server: &Server, width: usize, turn: &str) -> Line<'static> {
    let stage = server.stage();
    let colour = colour(stage);
    let mark = match stage {
        Stage::Starting => turn,
        Stage::Open => "●",
        Stage::Going => "○",
    };
    let cells = cells(width);
    let hold = server.hold.as_ref();
    let mut spans = vec![
        Span::raw(format!(" {mark} ")).fg(colour),
        Span::raw(format!("{:<9}", cut(&server.name, 8))).bold(),
        Span::raw(format!("{:<12}", server.phase)).fg(colour),
        Span::raw(format!("{:<9}", hold.map_or("", |hold| hold.kind.as_str()))).fg(colour),
        Span::raw(format!("{:<8}", shown_health(server))).fg(health_colour(&server.health)),
    ];
    for (used, most, digits) in [(server.rooms, server.rooms_max, 2), (server.seats, server.seats_max, 3)] {
        let part = most.map_or(0.0, |most| f64::from(used) / f64::from(most.max(1)));
        spans.extend(bar(part, cells, colour));
        let most = most.map(|most| format!("/{most:<digits$}")).unwrap_or_default();
        spans.push(Span::raw(format!(" {used:>digits$}")));
        spans.push(Span::raw(format!("{most}  ")).fg(DIM));
    }
    if let Some(hold) = hold {
        let left = width.saturating_sub(spans.iter().map(Span::width).sum());
        if left >= 10 {
            spans.push(Span::raw(cut(&format!("{}: {}", hold.owner, hold.reason), left)).fg(DIM));
        }
    }
    Line::from(spans)
}

/// Returns the health, unless there is nothing to know yet.
fn shown_health(server: &Server) -> &str {
    match server.health.as_str() {
        "unknown" => "",
        known => known,
    }
}

fn health_colour(health: &str) -> Color {
    match health {
        "ok" => GOOD,
        "silent" => WARN,
        "lost" => BAD,
        _ => DIM,
    }
}
