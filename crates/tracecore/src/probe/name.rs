//! Group and event names: `[GRP/][EVENT]` as typed, or made from the place.

use super::MAX_EVENT_NAME_LEN;
use super::error::{ErrorKind, ProbeError};
use alloc::string::String;
use core::fmt::Write;

/// Is `name` a C identifier?
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Groups may have dashes inside, as systems such as `ext4-fc` do.
fn is_group_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Splits `GRP/EVENT` (or `GRP.EVENT`) whose first byte stands at `column`. The group is `default` where none is
/// named; the event is `None` where the name is left to be made from the place.
pub(super) fn split<'t>(
    text: &'t str,
    mut column: usize,
    default: &'t str,
) -> Result<(&'t str, Option<&'t str>), ProbeError> {
    let at = text.find('/').or_else(|| text.find('.'));
    let (group, event) = match at {
        None => (None, text),
        Some(at) => (Some(&text[..at]), &text[at + 1..]),
    };
    if let Some(group) = group {
        if group.is_empty() {
            return Err(ProbeError::at(ErrorKind::NoGroupName, column));
        }
        if group.len() > MAX_EVENT_NAME_LEN {
            return Err(ProbeError::at(ErrorKind::GroupTooLong, column));
        }
        if !is_group_name(group) {
            return Err(ProbeError::at(ErrorKind::BadGroupName, column));
        }
        column += group.len() + 1;
    }
    if event.is_empty() {
        return match group {
            Some(group) => Ok((group, None)),
            None => Err(ProbeError::at(ErrorKind::NoEventName, column)),
        };
    }
    if event.len() > MAX_EVENT_NAME_LEN {
        return Err(ProbeError::at(ErrorKind::EventTooLong, column));
    }
    if !is_identifier(event) {
        return Err(ProbeError::at(ErrorKind::BadEventName, column));
    }
    Ok((group.unwrap_or(default), Some(event)))
}

/// The name of a probe that was given none: `p_SYMBOL_OFFSET`, or `p_0xADDRESS`, `r_…` for a return probe.
/// What may not stand in a name becomes `_`, and the name is cut to the longest allowed.
pub(super) fn generate(is_return: bool, symbol: Option<&str>, number: u64) -> String {
    let mut name = String::new();
    let letter = if is_return { 'r' } else { 'p' };
    // Writing to a String cannot fail.
    let _ = match symbol {
        Some(symbol) => write!(name, "{letter}_{symbol}_{number}"),
        None => write!(name, "{letter}_0x{number:016x}"),
    };
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(MAX_EVENT_NAME_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_those_of_linux() {
        assert_eq!(generate(false, Some("work_add"), 8), "p_work_add_8");
        assert_eq!(generate(true, Some("work_add"), 0), "r_work_add_0");
        assert_eq!(generate(false, Some("mod:sym.isra.0"), 0), "p_mod_sym_isra_0_0");
        assert_eq!(generate(false, None, 0xffff_8000_8000_1000), "p_0xffff800080001000");
    }

    #[test]
    fn generated_names_are_names() {
        let long = "<task::Run<alloc::vec::Vec<u8>> as core::ops::Drop>::drop::{closure#0}";
        let name = generate(false, Some(long), 4);
        assert!(is_identifier(&name));
        assert_eq!(name.len(), MAX_EVENT_NAME_LEN);
        assert_eq!(generate(false, Some("task::schedule"), 0), "p_task__schedule_0");
    }
}
