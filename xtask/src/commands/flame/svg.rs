//! Calls as bars.

use std::fmt::Write as _;

use super::{Call, Lane};

/// The picture's width, the bars' height, and what is between charts.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 18.0;
const MARGIN: f64 = 10.0;
const HEADING: f64 = 22.0;
/// Narrower bars are not drawn: they could not be told from the line beside them.
const NARROWEST: f64 = 0.4;
/// About the width of a letter of the names.
const LETTER: f64 = 6.4;

/// The picture of all lanes, each with a scale of its own.
pub(super) fn chart(lanes: &[Lane]) -> String {
    let mut body = String::new();
    let mut top = MARGIN;
    for lane in lanes {
        let ns = lane.calls.iter().map(time).sum::<u64>().max(1);
        let rows = depth(&lane.calls) as f64;
        let scale = (WIDTH - 2.0 * MARGIN) / ns as f64;
        let _ = writeln!(
            body,
            r#"<text x="{MARGIN}" y="{:.1}" class="lane">{}: {}</text>"#,
            top + 14.0,
            escape(&lane.name),
            shown(ns)
        );
        let bottom = top + HEADING + rows * ROW;
        let mut x = MARGIN;
        for call in &lane.calls {
            bar(call, x, bottom - ROW, scale, &mut body);
            x += time(call) as f64 * scale;
        }
        top = bottom + MARGIN;
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" font-family="monospace" font-size="11">
<style>rect{{stroke:#fff;stroke-width:.5}} text{{fill:#222}} .lane{{font-size:13px}} g:hover rect{{stroke:#222}}</style>
<rect width="{WIDTH}" height="{top}" fill="#fff"/>
{body}</svg>
"##
    )
}

/// A call's time: at least that of what it called, should the text say otherwise.
fn time(call: &Call) -> u64 {
    call.ns.max(call.calls.iter().map(time).sum())
}

fn depth(calls: &[Call]) -> usize {
    calls.iter().map(|call| 1 + depth(&call.calls)).max().unwrap_or(0)
}

fn bar(call: &Call, x: f64, y: f64, scale: f64, out: &mut String) {
    let width = time(call) as f64 * scale;
    if width < NARROWEST {
        return;
    }
    let letters = ((width - 4.0) / LETTER).max(0.0) as usize;
    let _ = write!(
        out,
        r#"<g><title>{} {}</title><rect x="{x:.2}" y="{y:.1}" width="{width:.2}" height="{ROW}" fill="{}"/>"#,
        escape(&call.name),
        shown(time(call)),
        colour(&call.name)
    );
    if letters >= 3 {
        let _ = write!(
            out,
            r#"<text x="{:.2}" y="{:.1}">{}</text>"#,
            x + 2.0,
            y + 13.0,
            escape(&cut(&call.name, letters))
        );
    }
    out.push_str("</g>\n");
    let mut inside = x;
    for call in &call.calls {
        bar(call, inside, y - ROW, scale, out);
        inside += time(call) as f64 * scale;
    }
}

/// A time for people.
fn shown(ns: u64) -> String {
    match ns {
        0..1000 => format!("{ns} ns"),
        _ => format!("{:.3} µs", ns as f64 / 1000.0),
    }
}

/// As much of a name as fits: its end, which says more than its path.
fn cut(name: &str, letters: usize) -> String {
    let len = name.chars().count();
    if len <= letters {
        return name.to_owned();
    }
    std::iter::once('…').chain(name.chars().skip(len - (letters - 1))).collect()
}

/// The same warm colour for the same room of the kernel.
fn colour(name: &str) -> String {
    let room = name.trim_start_matches('<').split("::").next().unwrap_or(name);
    let hash = room.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte));
    format!("hsl({},{}%,{}%)", hash % 60, 70 + hash / 64 % 25, 62 + hash / 2048 % 14)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, ns: u64, calls: Vec<Call>) -> Call {
        Call { name: name.into(), ns, calls }
    }

    #[test]
    fn bars_are_as_wide_as_their_calls_are_long() {
        let inner = vec![call("a", 250, vec![]), call("b", 250, vec![])];
        let picture = chart(&[Lane { name: "CPU 0".into(), calls: vec![call("outer", 1000, inner)] }]);
        assert!(picture.contains(r#"x="10.00" y="50.0" width="1180.00""#), "{picture}");
        assert!(picture.contains(r#"x="10.00" y="32.0" width="295.00""#), "{picture}");
        assert!(picture.contains(r#"x="305.00" y="32.0" width="295.00""#), "{picture}");
        assert!(picture.contains("CPU 0: 1.000 µs"));
    }

    #[test]
    fn names_are_no_markup_and_are_cut() {
        let picture = chart(&[Lane { name: "x".into(), calls: vec![call("<A & B>::c", 1, vec![])] }]);
        assert!(picture.contains("&lt;A &amp; B&gt;::c") && !picture.contains("<A"));
        assert_eq!(cut("trace::events::define", 7), "…define");
        assert_eq!(cut("leaf", 4), "leaf");
    }

    #[test]
    fn what_cannot_be_seen_is_not_drawn() {
        let calls = vec![call("long", 1_000_000, vec![call("short", 1, vec![])])];
        assert!(!chart(&[Lane { name: "x".into(), calls }]).contains("short"));
    }
}
