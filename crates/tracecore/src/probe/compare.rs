//! A probe beside those that its event has already.
//!
//! One event may have several probes, at different places or fetching differently, as long as their records look
//! alike: the same kind of probe, the same fields of the same types. A second probe that is the first one again
//! is refused.

use super::error::{ErrorKind, ProbeError};
use super::{Definition, Words};

/// May `new` join the probes of the same group and event? `command` is the line it came from.
pub fn join(new: &Definition, existing: &[&Definition], command: &str) -> Result<(), ProbeError> {
    let Some(&first) = existing.first() else { return Ok(()) };
    let same_kind = core::mem::discriminant(&new.kind) == core::mem::discriminant(&first.kind);
    if !same_kind || new.is_return() != first.is_return() {
        return Err(ProbeError::at(ErrorKind::DifferentProbeType, 0));
    }
    if let Some(arg) = first_difference(new, first) {
        // The arguments follow the head and the place; where one is missing the caret stands behind the line.
        let column = Words::split(command).column(arg + 2);
        return Err(ProbeError::at(ErrorKind::DifferentArgType, column));
    }
    let same = |other: &&Definition| {
        other.place == new.place && other.args.iter().zip(&new.args).all(|(a, b)| a.text == b.text)
    };
    if existing.iter().any(same) {
        return Err(ProbeError::at(ErrorKind::SameProbe, 0));
    }
    Ok(())
}

/// The number of the first argument whose field would not be the same.
fn first_difference(new: &Definition, old: &Definition) -> Option<usize> {
    if new.args.len() != old.args.len() {
        return Some(new.args.len().min(old.args.len()));
    }
    new.args.iter().zip(&old.args).position(|(a, b)| a.ty != b.ty || a.count != b.count || a.name != b.name)
}
