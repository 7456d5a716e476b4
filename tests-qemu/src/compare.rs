//! Compares expected lines with those that came.
//!
//! A line `...` in the expected text stands for any number of lines; `…` within a line stands for any
//! text. Everything else must be equal after masking.

use crate::mask::Masks;

/// The expected line that stands for any lines.
const ANY_LINES: &str = "...";
/// What stands for any text within an expected line.
const ANY_TEXT: char = '…';

/// `Ok`, or a report that shows both texts.
pub fn lines(expected: &[String], actual: &[String], masks: &Masks) -> Result<(), String> {
    let expected: Vec<String> = expected.iter().map(|line| masks.apply(line)).collect();
    let mut actual: Vec<String> = actual.iter().map(|line| masks.apply(line)).collect();
    // A transcript sets prompts apart with empty lines, so it cannot show any at the end of an output.
    while actual.len() > expected.len() && actual.last().is_some_and(String::is_empty) {
        actual.pop();
    }
    if all_match(&expected, &actual) {
        return Ok(());
    }
    let common = expected.iter().zip(&actual).take_while(|(e, a)| line_matches(e, a)).count();
    let mut report = String::new();
    for line in &expected[..common] {
        report += &format!("    {line}\n");
    }
    for line in &expected[common..] {
        report += &format!("  - {line}\n");
    }
    for line in &actual[common..] {
        report += &format!("  + {line}\n");
    }
    Err(report)
}

/// Matches line by line; on a mismatch goes back to the last `...` and lets it take one line more.
fn all_match(expected: &[String], actual: &[String]) -> bool {
    let (mut e, mut a) = (0, 0);
    let mut last_gap = None;
    loop {
        if expected.get(e).is_some_and(|line| line.trim() == ANY_LINES) {
            e += 1;
            last_gap = Some((e, a));
        } else if e == expected.len() && a == actual.len() {
            return true;
        } else if let (Some(x), Some(y)) = (expected.get(e), actual.get(a))
            && line_matches(x, y)
        {
            e += 1;
            a += 1;
        } else {
            let Some((behind, taken)) = last_gap else { return false };
            if taken >= actual.len() {
                return false;
            }
            last_gap = Some((behind, taken + 1));
            (e, a) = (behind, taken + 1);
        }
    }
}

/// Whether one line matches, `…` standing for any text.
fn line_matches(expected: &str, actual: &str) -> bool {
    let mut parts = expected.split(ANY_TEXT);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = actual.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(expected: &str, actual: &str) -> bool {
        let split = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        lines(&split(expected), &split(actual), &Masks::default()).is_ok()
    }

    #[test]
    fn equal_lines_match() {
        assert!(matches("", "") && matches("a\nb", "a\nb") && matches("a  ", "a"));
        assert!(!matches("a", "b") && !matches("a", "") && !matches("", "a") && !matches("a\nb", "b\na"));
        assert!(matches("a", "a\n\n") && !matches("a", "a\n\nb"));
        assert!(matches("0xffff800080000000 x", "0xffff8000deadbeef x"));
    }

    #[test]
    fn dots_stand_for_lines() {
        assert!(matches("...", "") && matches("...", "a\nb") && matches("a\n...\nc", "a\nb\nb\nc"));
        assert!(matches("...\nx\n...\ny", "x\nx\nz\ny") && matches("a\n...", "a"));
        assert!(!matches("a\n...\nc", "a\nb") && !matches("...\nc", "c\nb"));
    }

    #[test]
    fn an_ellipsis_stands_for_text() {
        assert!(matches("a…c", "abc") && matches("a…c", "ac") && matches("…", "x") && matches("a…", "abc"));
        assert!(matches("…b…d", "abcd") && matches("[…] x=…", "[12] x=7"));
        assert!(!matches("a…c", "abd") && !matches("ab…bc", "abc") && !matches("a…b…c", "ac"));
    }

    #[test]
    fn the_report_shows_both() {
        let split = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let report = lines(&split("a\nb"), &split("a\nc\nd"), &Masks::default()).unwrap_err();
        assert_eq!(report, "    a\n  - b\n  + c\n  + d\n");
    }
}
