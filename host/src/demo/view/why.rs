//! Draws the last decisions with their reasons. Rooms that went the same way one after the other share a line.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::scene::Scene;
use super::super::watcher::{Decision, Policy};
use super::theme::{ACCENT, BAD, DIM, GOING, GOOD, cut, panel};

/// Draws as many decisions as there is room for, the newest first.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let block = panel(title(&scene.look.policies));
    let inside = block.inner(area);
    let width = usize::from(inside.width);
    let mut lines: Vec<_> = refused(&scene.look.policies)
        .map(|refused| refused_row(&refused, width))
        .collect();
    let fit = usize::from(inside.height).saturating_sub(lines.len());
    let runs = chosen(runs(&scene.look.decisions), fit);
    lines.extend(runs.into_iter().map(|(decision, count)| row(decision, count, width)));
    if lines.is_empty() {
        lines.push(Line::from(" nothing was decided yet").fg(DIM));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn title(policies: &[Policy]) -> Line<'static> {
    let serving = policies.iter().find(|policy| policy.serving.is_some());
    let who = serving.map(|policy| {
        let version = policy.serving.as_ref().map_or("", |serving| &serving.version);
        let kind = if policy.built_in { "built in" } else { "wasm" };
        Span::raw(format!(" · asks {} {version} ({kind}) first", policy.name)).fg(DIM)
    });
    Line::from_iter([Span::raw("why")].into_iter().chain(who))
}

/// Returns policies whose file in the folder does not serve, with the reason.
fn refused(policies: &[Policy]) -> impl Iterator<Item = String> {
    policies
        .iter()
        .filter_map(|policy| Some(format!("{} does not serve: {}", policy.name, policy.problem.as_ref()?)))
}

fn refused_row(sentence: &str, width: usize) -> Line<'static> {
    Line::from(cut(&format!(" ✗ {sentence}"), width)).fg(BAD)
}

/// Returns the decisions with how many alike follow one another; those that changed nothing are left out.
fn runs(decisions: &[Decision]) -> Vec<(&Decision, u32)> {
    let mut runs: Vec<(&Decision, u32)> = Vec::new();
    for decision in decisions.iter().filter(|decision| decision.is_about_change()) {
        match runs.last_mut() {
            Some((last, count)) if is_alike(last, decision) => *count += 1,
            _ => runs.push((decision, 1)),
        }
    }
    runs
}

/// Returns the newest that fit; a part of the lines is kept for servers, whose decisions are rare beside those for rooms.
fn chosen(mut runs: Vec<(&Decision, u32)>, fit: usize) -> Vec<(&Decision, u32)> {
    let for_servers = runs
        .iter()
        .filter(|(decision, _)| decision.room.is_none())
        .count()
        .min(fit / 2);
    let for_rooms = fit - for_servers;
    let (mut servers, mut rooms) = (0, 0);
    runs.retain(|(decision, _)| {
        let (taken, most) = match decision.room {
            None => (&mut servers, for_servers),
            Some(_) => (&mut rooms, for_rooms),
        };
        *taken += 1;
        *taken <= most
    });
    runs
}

fn is_alike(a: &Decision, b: &Decision) -> bool {
    let key = |decision: &Decision| {
        (
            decision.point.clone(),
            decision.advice.clone(),
            decision.verdict.clone(),
            decision.code.clone(),
            decision.policy.clone(),
        )
    };
    key(a) == key(b) && a.reason == b.reason
}

fn row(decision: &Decision, count: u32, width: usize) -> Line<'static> {
    let (mark, colour) = match decision.point.as_str() {
        "scale_up" => (" ▲ ", GOOD),
        "scale_down" => (" ▼ ", GOING),
        _ => (" → ", ACCENT),
    };
    let subject = match (&decision.room, &decision.server, &decision.pool) {
        (Some(_), _, _) if count > 1 => format!("{count} rooms"),
        (Some(room), _, _) => room.clone(),
        (None, Some(server), _) => server.clone(),
        (None, None, Some(pool)) => pool.clone(),
        (None, None, None) => "all".to_owned(),
    };
    let times = if decision.room.is_none() && count > 1 {
        format!(" ×{count}")
    } else {
        String::new()
    };
    let mut spans = vec![
        Span::raw(mark).fg(colour).bold(),
        Span::raw(format!("{subject} ")).bold(),
        Span::raw(format!("{}{times} ", decision.advice)).fg(colour),
    ];
    if decision.verdict != "accepted" {
        let code = decision.code.as_deref().unwrap_or("");
        spans.push(Span::raw(format!("{} {code} ", decision.verdict)).fg(BAD));
    }
    let left = width.saturating_sub(spans.iter().map(Span::width).sum());
    let reason = decision
        .reason
        .as_deref()
        .map(|reason| format!("· {reason}"))
        .unwrap_or_default();
    let by = if width >= 90 {
        format!("  {}", decision.policy)
    } else {
        String::new()
    };
    let reason = cut(&reason, left.saturating_sub(by.chars().count() + 1));
    let gap = left.saturating_sub(reason.chars().count() + by.chars().count() + 1);
    spans.push(Span::raw(reason).fg(DIM));
    spans.push(Span::raw(format!("{}{by}", " ".repeat(gap))).fg(DIM));
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::super::super::scene::tests::midst;
    use super::*;

    #[test]
    fn rooms_that_went_the_same_way_share_a_line() {
        let mut decisions = midst().look.decisions;
        let keep = Decision {
            advice: "keep all".to_owned(),
            verdict: "accepted".to_owned(),
            ..decisions[0].clone()
        };
        decisions.insert(2, keep);
        let counts: Vec<u32> = runs(&decisions).iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1, 2, 1], "what changed nothing separates nobody");
    }

    #[test]
    fn many_rooms_do_not_push_out_why_a_server_came() {
        let look = midst().look;
        let (launch, place) = (&look.decisions[0], &look.decisions[1]);
        let mut runs = vec![(place, 1); 20];
        runs.push((launch, 1));
        let points = |fit| {
            chosen(runs.clone(), fit)
                .iter()
                .map(|(decision, _)| decision.point.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(points(3), ["place", "place", "scale_up"]);
        assert_eq!(points(1), ["place"]);
        assert_eq!(points(30).len(), 21);
    }
}
